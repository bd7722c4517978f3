//! What reaches the disk before what.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Mutex,
};

use onewriter_tree::Reason;
use rustix::{
    fs::{FileType, fstat},
    io::Errno,
};

use super::*;

/// A disk that asks `judge` about each handle: whether it is a directory is the argument.
fn disk(judge: impl Fn(bool) -> Result<(), Errno> + Send + Sync + 'static) -> Option<Disk> {
    let judge = move |handle: BorrowedFd<'_>| {
        let kind = FileType::from_raw_mode(fstat(handle.as_fd())?.st_mode);
        judge(kind == FileType::Directory)
    };
    let device = fstat(std::fs::File::open(std::env::temp_dir()).unwrap()).unwrap().st_dev;
    Some(Disk { device, file: Box::new(judge), filesystem: Box::new(|| Ok(())) })
}

#[tokio::test]
async fn content_reaches_the_disk_before_its_name_and_the_name_before_the_answer() {
    let target = Arc::new(Mutex::new(PathBuf::new()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (path, log) = (Arc::clone(&target), Arc::clone(&seen));
    let site = Site::on(disk(move |directory| {
        let content = std::fs::read(&*path.lock().unwrap()).ok();
        log.lock().unwrap().push((directory, content));
        Ok(())
    }));
    *target.lock().unwrap() = site.path("f");
    for (content, before) in [(b"one", None), (b"two", Some(b"one"))] {
        site.run(site.publish("f", content)).await.unwrap();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let before = before.map(|content: &[u8; 3]| content.to_vec());
        assert_eq!(seen, [(false, before), (true, Some(content.to_vec()))]);
    }
    assert_eq!(site.engine.syncs(), (4, 4));
    assert_eq!(site.engine.durability(), Durability::Power);
}

#[tokio::test]
async fn content_that_cannot_reach_the_disk_is_not_published() {
    let site = Site::on(disk(|directory| if directory { Ok(()) } else { Err(Errno::NOSPC) }));
    std::fs::write(site.path("old"), "old").unwrap();
    for path in ["new", "old"] {
        let error = refused(site.run(site.publish(path, b"content")).await);
        assert_eq!((error.reason, &error.path[..]), (Reason::NoSpace, path.as_bytes()));
    }
    assert!(!site.path("new").exists());
    assert_eq!(std::fs::read(site.path("old")).unwrap(), b"old");
    assert_eq!(site.staging(), 0);
    assert!(site.engine.locks().is_idle());
    let outcomes: Vec<_> = site.recorded().await.into_iter().map(|(.., o)| o).collect();
    assert_eq!(outcomes, ["refused", "refused"]);
}

#[tokio::test]
async fn a_name_that_cannot_reach_the_disk_is_an_error_and_recorded_as_made() {
    let site = Site::on(disk(|directory| if directory { Err(Errno::IO) } else { Ok(()) }));
    let error = refused(site.run(site.publish("f", b"content")).await);
    assert_eq!((error.reason, &error.path[..]), (Reason::Io, &b"f"[..]));
    let outcomes: Vec<_> = site.recorded().await.into_iter().map(|(.., o)| o).collect();
    assert_eq!(outcomes, ["created", "refused"]);
}

#[tokio::test]
async fn nobody_is_told_of_what_is_not_on_the_disk_yet() {
    let (enter, entered) = channel();
    let (go_on, wait) = channel::<()>();
    let gate = Mutex::new((enter, wait));
    let site = Site::on(disk(move |_| {
        let gate = gate.lock().unwrap();
        let _ = gate.0.send(());
        let _ = gate.1.recv_timeout(LIMIT);
        Ok(())
    }));
    let first = site.start("first", mkdir("d"));
    tokio::task::spawn_blocking(move || entered.recv_timeout(LIMIT)).await.unwrap().unwrap();
    assert!(site.path("d").is_dir());
    let second = site.start("second", mkdir("d"));
    until("the second waits until it is safe to say that it exists", || site.waiting() == ["d"])
        .await;
    // Nor does it matter that the first has gone away.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(site.waiting(), ["d"]);
    drop(go_on);
    let changes = ended(second).await.unwrap();
    assert_eq!(changes, [Change::new(&rel("d"), Outcome::Existed)]);
    let outcomes: Vec<_> = site.recorded().await.into_iter().map(|(.., o)| o).collect();
    assert_eq!(outcomes, ["created", "existed"]);
}

#[tokio::test]
async fn a_commit_is_on_the_disk_with_its_intent_before_it_begins_and_wholly_before_the_answer() {
    let target = Arc::new(Mutex::new(PathBuf::new()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let look = {
        let (target, seen) = (Arc::clone(&target), Arc::clone(&seen));
        move || {
            let root = target.lock().unwrap().clone();
            let staging = root.join(".onewriter/staging");
            let on_record = std::fs::read_dir(staging).into_iter().flatten().flatten();
            let on_record = on_record.filter(|e| e.path().join("intent").exists()).count();
            let read = |name| std::fs::read_to_string(root.join(name)).unwrap_or_default();
            seen.lock().unwrap().push((on_record, read("a"), read("b")));
            Ok(())
        }
    };
    let mut disk = disk(|_| Ok(())).unwrap();
    let each = look.clone();
    disk.file = Box::new(move |_| each());
    disk.filesystem = Box::new(look);
    let site = Site::on(Some(disk));
    *target.lock().unwrap() = site.root.path().to_owned();
    for name in ["a", "b"] {
        std::fs::write(site.path(name), "old").unwrap();
    }
    let caller = Caller { owner: Owner { method: "run", ..Owner::default() }, ..caller("t") };
    let transaction = site.engine.begin(caller, "sh".into(), Vec::new()).await.unwrap();
    let upper = site.path(".onewriter/staging").join(transaction.name()).join("upper");
    for name in ["a", "b"] {
        std::fs::write(upper.join(name), "new").unwrap();
    }
    seen.lock().unwrap().clear();
    transaction.commit(crate::transactions::Terms::default()).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let state = |on_record, content: &str| (on_record, content.to_owned(), content.to_owned());
    assert_eq!(seen.first(), Some(&state(1, "old")), "before it begins");
    // The transaction's directory may still be there under the name of what is to be deleted.
    let (_, a, b) = seen.last().unwrap();
    assert_eq!((&a[..], &b[..]), ("new", "new"), "before the answer: {seen:?}");
    assert!(seen.iter().all(|(_, a, b)| a == b), "no round in between: {seen:?}");
}
