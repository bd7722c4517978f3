use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::{fs::FileExt as _, net::UnixListener},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::*;
use crate::{
    Reason,
    mutation::{Timespec, Unchanged},
};

#[test]
fn created_replaced_unchanged() {
    let root = Root::new();
    assert_eq!(root.publish("f", "one", |_| {}).unwrap(), Outcome::Created);
    let (inode, mtime) = (root.inode("f"), backdate(&root.path("f")));
    assert_eq!(root.publish("f", "one", |_| {}).unwrap(), Outcome::Unchanged);
    assert_eq!((root.inode("f"), super::mtime(&root.path("f"))), (inode, mtime));
    assert_eq!(root.publish("f", "two", |_| {}).unwrap(), Outcome::Replaced);
    assert_eq!(root.read("f"), "two");
    assert_ne!(root.inode("f"), inode);
    root.assert_staging_empty();
    assert_eq!(root.names("."), [".onewriter", "f"]);
}

#[test]
fn unchanged_may_be_touched_or_replaced() {
    let root = Root::new();
    root.publish("f", "one", |_| {}).unwrap();
    let (inode, before) = (root.inode("f"), backdate(&root.path("f")));
    let touched = root.publish("f", "one", |p| p.unchanged = Unchanged::Touch).unwrap();
    assert_eq!((touched, root.inode("f")), (Outcome::Attributes, inode));
    let after = mtime(&root.path("f"));
    assert_ne!(after, before);
    let replaced = root.publish("f", "one", |p| p.unchanged = Unchanged::Replace).unwrap();
    assert_eq!(replaced, Outcome::Replaced);
    assert_ne!(root.inode("f"), inode);
}

#[test]
fn modes() {
    let root = Root::new();
    chmod_source(&root, 0o775);
    // The source's, less the umask; set-id bits are not copied.
    root.publish("new", "x", |p| p.umask = 0o027).unwrap();
    assert_eq!(root.mode("new"), 0o750);
    chmod_source(&root, 0o6755);
    root.publish("plain", "x", |p| p.umask = 0o022).unwrap();
    assert_eq!(root.mode("plain"), 0o755);
    // Kept.
    chmod(&root.path("new"), 0o604);
    root.publish("new", "y", |p| p.umask = 0o777).unwrap();
    assert_eq!(root.mode("new"), 0o604);
    // Exactly.
    for exact in [0o000, 0o444, 0o755, 0o2755, 0o4711] {
        let name = format!("m{exact:o}");
        root.publish(&name, "x", |p| (p.mode, p.umask) = (Some(exact), 0o077)).unwrap();
        assert_eq!(root.mode(&name), exact);
        root.publish(&name, "other", |p| p.mode = Some(exact)).unwrap();
        assert_eq!(root.mode(&name), exact);
    }
    // The mode alone is changed in place.
    let (inode, before) = (root.inode("m755"), backdate(&root.path("m755")));
    assert_eq!(
        root.publish("m755", "other", |p| p.mode = Some(0o700)).unwrap(),
        Outcome::Attributes
    );
    assert_eq!(
        (root.mode("m755"), root.inode("m755"), mtime(&root.path("m755"))),
        (0o700, inode, before)
    );
}

fn chmod_source(root: &Root, mode: u32) {
    fs::write(root.outside("source"), "").unwrap();
    chmod(&root.outside("source"), mode);
}

#[test]
fn set_gid_directories_hand_down_their_group() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let root = Root::new();
    root.mkdir("shared");
    if chown(root.path("shared"), None, Some(12_345)).is_err() {
        untested("may not give a directory to another group");
        return;
    }
    chmod(&root.path("shared"), 0o2775);
    let group = |name: &str| fs::metadata(root.path(name)).unwrap().gid();
    root.publish("shared/new", "x", |_| {}).unwrap();
    root.publish("shared/new", "y", |p| p.mode = Some(0o2755)).unwrap();
    root.publish("shared/sub/new", "x", |p| p.parents = true).unwrap();
    assert_eq!((group("shared/new"), group("shared/sub/new")), (12_345, 12_345));
    assert_eq!(root.mode("shared/new"), 0o2755);
}

#[test]
fn the_owner_of_what_is_replaced_is_kept_with_its_mode() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let root = Root::new();
    root.write("f", "old");
    if chown(root.path("f"), Some(12_345), Some(54_321)).is_err() {
        untested("may not give a file away");
        return;
    }
    let owner = || fs::metadata(root.path("f")).map(|m| (m.uid(), m.gid())).unwrap();
    root.publish("f", "new", |_| {}).unwrap();
    assert_eq!(owner(), (12_345, 54_321));
    root.publish("f", "newer", |p| p.mode = Some(0o644)).unwrap();
    assert_ne!(owner(), (12_345, 54_321));
}

#[test]
fn modification_times() {
    let root = Root::new();
    let given = Timespec { tv_sec: 1_234_567, tv_nsec: 890 };
    root.publish("f", "x", |p| p.mtime = Some(given)).unwrap();
    assert_eq!(mtime(&root.path("f")), 1_234_567_000_000_890);
    assert_eq!(root.publish("f", "x", |p| p.mtime = Some(given)).unwrap(), Outcome::Unchanged);
    let other = Timespec { tv_sec: -5, tv_nsec: 1 };
    assert_eq!(root.publish("f", "x", |p| p.mtime = Some(other)).unwrap(), Outcome::Attributes);
    assert_eq!(mtime(&root.path("f")), -4_999_999_999);
    assert_eq!(root.publish("f", "y", |p| p.mtime = Some(given)).unwrap(), Outcome::Replaced);
    assert_eq!(mtime(&root.path("f")), 1_234_567_000_000_890);
}

#[test]
fn parents() {
    let root = Root::new();
    let error = root.publish("a/b/f", "x", |_| {}).unwrap_err();
    assert_eq!((error.reason, error.component), (Reason::NotFound, Some(b"a".to_vec())));
    assert!(!root.exists("a"));
    let set = |p: &mut Publish| (p.parents, p.umask) = (true, 0o077);
    assert_eq!(root.publish("a/b/f", "x", set).unwrap(), Outcome::Created);
    assert_eq!((root.mode("a"), root.mode("a/b")), (0o700, 0o700));
    let error = root.publish("a/b/f/g", "x", set).unwrap_err();
    assert_eq!((error.reason, error.component), (Reason::NotADirectory, Some(b"a/b/f".to_vec())));
    root.assert_staging_empty();
}

#[test]
fn links_at_the_end_are_replaced_or_followed() {
    let root = Root::new();
    root.write("file", "old");
    root.link("file", "link");
    root.link("promised", "dangling");
    root.link(root.outside("secret"), "out");
    fs::write(root.outside("secret"), "secret").unwrap();
    let follow = |p: &mut Publish| p.follow = true;
    assert_eq!(root.publish("link", "new", follow).unwrap(), Outcome::Replaced);
    assert_eq!(root.read("file"), "new");
    assert_eq!(root.publish("dangling", "new", follow).unwrap(), Outcome::Created);
    assert_eq!(root.read("promised"), "new");
    assert_eq!(root.publish("out", "new", follow).unwrap_err().reason, Reason::OutsideRoot);
    // Itself, also one that leads out.
    for link in ["link", "out"] {
        assert_eq!(root.publish(link, "mine", |_| {}).unwrap(), Outcome::Replaced);
        assert!(fs::symlink_metadata(root.path(link)).unwrap().is_file());
    }
    assert_eq!(root.read("file"), "new");
    assert_eq!(fs::read_to_string(root.outside("secret")).unwrap(), "secret");
}

#[test]
fn must_create() {
    let root = Root::new();
    let must = |p: &mut Publish| p.must_create = true;
    assert_eq!(root.publish("f", "x", must).unwrap(), Outcome::Created);
    root.link("nowhere", "dangling");
    for name in ["f", "dangling"] {
        assert_eq!(root.publish(name, "x", must).unwrap_err().reason, Reason::Exists);
    }
    root.assert_staging_empty();
    let wins: usize = std::thread::scope(|scope| {
        let publish = |n: usize| {
            fs::write(root.outside(&format!("s{n}")), format!("{n}")).unwrap();
            let mut p = Publish::new(
                rel("one"),
                local(&root.outside(&format!("s{n}")), n.is_multiple_of(2)),
            );
            p.must_create = true;
            usize::from(root.run(p).is_ok())
        };
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || publish(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
}

#[test]
fn what_stands_there() {
    let root = Root::new();
    root.mkdir("dir");
    assert_eq!(root.publish("dir", "x", |_| {}).unwrap_err().reason, Reason::IsADirectory);
    assert_eq!(root.publish(".", "x", |_| {}).unwrap_err().reason, Reason::BadRequest);
    mkfifo(&root.path("fifo"));
    let _socket = UnixListener::bind(root.path("socket")).unwrap();
    for name in ["fifo", "socket"] {
        assert_eq!(root.publish(name, "x", |_| {}).unwrap(), Outcome::Replaced);
        assert_eq!(root.read(name), "x");
    }
    // One that cannot be compared is replaced.
    root.write("closed", "x");
    chmod(&root.path("closed"), 0);
    unprivileged(root.outside.path(), || {
        assert_eq!(root.publish("closed", "x", |_| {}).unwrap(), Outcome::Replaced);
        assert_eq!(root.mode("closed"), 0);
    });
    root.assert_staging_empty();
}

#[test]
fn contents_of_all_sizes_arrive_whole() {
    let root = Root::new();
    for size in [0, 1, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 5_000_001] {
        let content: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        let source = root.outside("big");
        fs::write(&source, &content).unwrap();
        for consume in [false, true] {
            let name = format!("f{size}{consume}");
            root.run(Publish::new(rel(&name), local(&source, consume))).unwrap();
            assert_eq!(fs::read(root.path(&name)).unwrap(), content);
        }
        fs::write(&source, &content).unwrap();
        let same = Publish::new(rel(&format!("f{size}true")), local(&source, false));
        assert_eq!(root.run(same).unwrap(), [format!("f{size}true unchanged")]);
        // A difference in the very last byte is seen.
        if let Some(last) = content.len().checked_sub(1) {
            File::options()
                .write(true)
                .open(&source)
                .unwrap()
                .write_at(b"\xff", last as u64)
                .unwrap();
            let other = Publish::new(rel(&format!("f{size}true")), local(&source, false));
            assert_eq!(root.run(other).unwrap(), [format!("f{size}true replaced")]);
        }
    }
    let sparse = File::create(root.outside("sparse")).unwrap();
    sparse.set_len(3_000_000).unwrap();
    sparse.write_at(b"end", 2_999_997).unwrap();
    root.run(Publish::new(rel("sparse"), local(&root.outside("sparse"), false))).unwrap();
    let copied = fs::read(root.path("sparse")).unwrap();
    assert_eq!(copied, fs::read(root.outside("sparse")).unwrap());
    root.assert_staging_empty();
}

/// Every byte that a reader sees belongs to one whole publish, and no name but the target is ever
/// beside it.
#[test]
fn readers_see_whole_files_only() {
    let root = Root::new();
    root.mkdir("d");
    let content = |n: u8| [&[n][..], &vec![n; 20_000 + 10_000 * usize::from(n % 4)]].concat();
    let publish = |writer: u8| {
        for n in 0..40 {
            let source = root.outside(&format!("s{writer}"));
            fs::write(&source, content(writer * 40 + n)).unwrap();
            let publish = Publish::new(rel("d/f"), local(&source, n.is_multiple_of(2)));
            root.run(publish).unwrap();
        }
    };
    publish(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let read = || {
            let mut seen = 0;
            while !done.load(Relaxed) || seen == 0 {
                let mut bytes = Vec::new();
                File::open(root.path("d/f")).unwrap().read_to_end(&mut bytes).unwrap();
                assert!(bytes == content(bytes[0]), "half a file of {} bytes", bytes.len());
                assert_eq!(root.names("d"), ["f"]);
                seen += 1;
            }
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        let writers: Vec<_> = (1..4).map(|w| scope.spawn(move || publish(w))).collect();
        let written: Vec<_> = writers.into_iter().map(|w| w.join()).collect();
        done.store(true, Relaxed);
        assert!(written.into_iter().all(|w| w.is_ok()));
        readers.into_iter().for_each(|r| r.join().unwrap());
    });
    root.assert_staging_empty();
}

#[test]
fn what_is_durable_is_handed_over_before_it_is_placed() {
    let root = Root::new();
    fs::write(root.outside("s"), "x").unwrap();
    let mut publish = Publish::new(rel("a/f"), local(&root.outside("s"), false));
    publish.parents = true;
    let mut effects = Effects::new(true);
    publish.prepare(&root.tree, &mut effects).unwrap();
    assert_eq!(effects.take_unsynced().len(), 1, "the content");
    publish.apply(&root.tree, &mut effects).unwrap();
    assert_eq!(effects.take_unsynced().len(), 2, "the root and the new directory");
    let mut again = Publish::new(rel("a/f"), local(&root.outside("s"), false));
    again.mode = Some(0o600);
    again.prepare(&root.tree, &mut effects).unwrap();
    again.apply(&root.tree, &mut effects).unwrap();
    assert_eq!(effects.take_unsynced().len(), 1, "the file whose mode changed");
}
