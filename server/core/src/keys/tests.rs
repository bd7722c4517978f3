//! Requests that come twice.

use std::{fs::File, process::Command, time::Duration};

use onewriter_tree::{
    RelPath,
    mutation::{Outcome, Remove, Rename},
};

use super::*;

fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).unwrap()
}

fn key(who: &str, number: u8) -> Key {
    Key { who: who.into(), id: [number; 16] }
}

fn rename(from: &str, to: &str) -> Rename {
    let (from, to) = (rel(from), rel(to));
    Rename { from, to, must_create: false, parents: false, keep_unchanged: false, umask: 0 }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A root with the files `a` and `b`.
#[expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    Tree::init(root.path()).unwrap();
    std::fs::write(root.path().join("a"), "a").unwrap();
    std::fs::write(root.path().join("b"), "b").unwrap();
    root
}

fn open(root: &tempfile::TempDir, epoch: u64) -> Arc<Keys> {
    let tree = Arc::new(Tree::open(root.path()).unwrap());
    Keys::open(tree, epoch, false).unwrap()
}

async fn enter(keys: &Arc<Keys>, key: Key, mutation: &mut dyn Mutation) -> Option<Turn> {
    match keys.enter(key, mutation, soon()).await.unwrap() {
        Entered::Mine(turn) => Some(turn),
        Entered::Told(_) => None,
    }
}

fn act(keys: &Keys, mutation: &mut dyn Mutation) -> Vec<Change> {
    let mut effects = onewriter_tree::mutation::Effects::new(false);
    onewriter_tree::mutation::run(mutation, &keys.tree, &mut effects).unwrap();
    effects.changes
}

#[tokio::test]
async fn what_was_done_is_told_again_also_by_a_successor() {
    let root = root();
    let keys = open(&root, 3);
    let mut mutation = rename("a", "c");
    let mut turn = enter(&keys, key("me", 1), &mut mutation).await.unwrap();
    turn.intend(&mut mutation).unwrap();
    let changes = act(&keys, &mut mutation);
    turn.done(&changes);
    for keys in [&keys, &open(&root, 5), &open(&root, 8), &open(&root, 0)] {
        match keys.enter(key("me", 1), &mut rename("a", "c"), soon()).await.unwrap() {
            Entered::Told(told) => assert_eq!(told, changes),
            Entered::Mine(_) => panic!("it would be done twice"),
        }
        assert!(enter(keys, key("you", 1), &mut rename("a", "c")).await.is_some(), "not yours");
        let other = keys.enter(key("me", 1), &mut rename("b", "c"), soon()).await;
        assert_eq!(other.err().unwrap().reason, Reason::BadRequest);
    }
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_decided_by_the_disk() {
    let root = root();
    let keys = open(&root, 1);
    let (mut done, mut not) = (rename("a", "c"), rename("b", "d"));
    let mut turn = enter(&keys, key("me", 1), &mut done).await.unwrap();
    turn.intend(&mut done).unwrap();
    act(&keys, &mut done);
    // Killed before it could say so, and another one before it acted.
    std::mem::forget(turn);
    let mut turn = enter(&keys, key("me", 2), &mut not).await.unwrap();
    turn.intend(&mut not).unwrap();
    std::mem::forget(turn);
    let next = open(&root, 2);
    match next.enter(key("me", 1), &mut done, soon()).await.unwrap() {
        Entered::Told(told) => {
            let told: Vec<_> = told.iter().map(|c| (c.path.clone(), c.outcome)).collect();
            assert_eq!(told, [(rel("a"), Outcome::Removed), (rel("c"), Outcome::Created)]);
        }
        Entered::Mine(_) => panic!("it would be done twice"),
    }
    assert!(enter(&next, key("me", 2), &mut not).await.is_some(), "nothing was done");
}

#[tokio::test]
async fn what_failed_may_be_asked_for_anew() {
    let root = root();
    let keys = open(&root, 1);
    let mut mutation = rename("a", "c");
    let mut turn = enter(&keys, key("me", 1), &mut mutation).await.unwrap();
    turn.intend(&mut mutation).unwrap();
    drop(turn);
    // Somebody else does the same.
    act(&keys, &mut rename("a", "c"));
    for keys in [&keys, &open(&root, 2)] {
        assert!(enter(keys, key("me", 1), &mut mutation).await.is_some());
    }
}

#[tokio::test]
async fn the_same_request_waits_for_itself() {
    let root = root();
    let keys = open(&root, 0);
    let mut mutation = rename("a", "c");
    let turn = enter(&keys, key("me", 1), &mut mutation).await.unwrap();
    let early = Instant::now() + Duration::from_millis(20);
    let late = keys.enter(key("me", 1), &mut mutation, early).await;
    assert_eq!(late.err().unwrap().reason, Reason::LockTimeout);
    let second = tokio::spawn({
        let keys = Arc::clone(&keys);
        async move { enter(&keys, key("me", 1), &mut rename("a", "c")).await.is_none() }
    });
    tokio::task::yield_now().await;
    let changes = act(&keys, &mut mutation);
    turn.done(&changes);
    assert!(second.await.unwrap(), "it is told");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]
async fn a_record_that_was_not_written_to_its_end_is_none() {
    let root = root();
    let keys = open(&root, 0);
    for (number, from) in [(1, "a"), (2, "b")] {
        let mut mutation =
            Remove { path: rel(from), recursive: false, allow_missing: false, directory: false };
        let mut turn = enter(&keys, key("me", number), &mut mutation).await.unwrap();
        turn.intend(&mut mutation).unwrap();
        let changes = act(&keys, &mut mutation);
        turn.done(&changes);
    }
    let file = root.path().join(".onewriter/keys/0");
    let whole = std::fs::read(&file).unwrap();
    let told = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        open(&root, 0).known().records().count()
    };
    assert_eq!(told(&whole), 2);
    for length in 0..whole.len() {
        // Where only the intent is left of one, the disk tells that it was done.
        let _ = told(&whole[..length]);
        let mut broken = whole.clone();
        broken[length] ^= 1;
        assert!(told(&broken) <= 2);
    }
}

#[tokio::test]
async fn what_comes_after_a_record_that_stayed_torn_is_told_by_a_successor() {
    use std::io::Write as _;
    let root = root();
    let keys = open(&root, 1);
    let done = async |number, mutation: &mut Rename| {
        let mut turn = enter(&keys, key("me", number), mutation).await.unwrap();
        turn.intend(mutation).unwrap();
        turn.done(&act(&keys, mutation));
    };
    done(1, &mut rename("a", "c")).await;
    if let Some(log) = &mut *keys.log.lock().unwrap() {
        // A few bytes of one were written, and cannot be taken back.
        log.file().write_all(&[7, 0, 0]).unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let file = std::mem::replace(log.file(), full);
        log.append(&Record::Void { key: key("me", 9) }, false).unwrap_err();
        *log.file() = file;
    }
    done(2, &mut rename("b", "d")).await;
    let next = open(&root, 2);
    for (number, mut mutation) in [(1, rename("a", "c")), (2, rename("b", "d"))] {
        assert!(enter(&next, key("me", number), &mut mutation).await.is_none(), "{number}");
    }
}

const INSIDE: &str = "ONEWRITER_TEST_NAMESPACE";

/// Runs this program's test of that name where anybody may mount.
fn in_own_namespace(test: &str) {
    let unshare = ["--user", "--map-root-user", "--mount"];
    let may = Command::new("unshare").args(unshare).arg("true").output();
    if !may.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: no user and mount namespace is to be had here");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let run = ["--exact", test, "--nocapture"];
    let mut command = Command::new("unshare");
    let done = command.args(unshare).arg(this).args(run).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]
async fn a_full_disk_refuses_what_finds_no_room_and_hides_nothing_that_does() {
    if std::env::var_os(INSIDE).is_none() {
        let name = "a_full_disk_refuses_what_finds_no_room_and_hides_nothing_that_does";
        return in_own_namespace(&format!("keys::tests::{name}"));
    }
    let root = root();
    let dir = root.path().join(".onewriter/keys");
    std::fs::create_dir(&dir).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=64k", "none"];
    assert!(Command::new("mount").args(mount).arg(&dir).status().unwrap().success());
    let keys = open(&root, 1);
    let mut first = rename("a", "c");
    let mut turn = enter(&keys, key("me", 1), &mut first).await.unwrap();
    turn.intend(&mut first).unwrap();
    turn.done(&act(&keys, &mut first));
    std::fs::write(dir.join("filler"), vec![7; 64 << 10]).unwrap_err();
    let (mut second, long) = (rename("b", "d"), "x".repeat(5000));
    let mut turn = enter(&keys, key(&long, 2), &mut second).await.unwrap();
    assert_eq!(turn.intend(&mut second).unwrap_err().reason, Reason::NoSpace);
    drop(turn);
    // What remains of a block is enough for this one.
    let mut turn = enter(&keys, key("me", 2), &mut second).await.unwrap();
    turn.intend(&mut second).unwrap();
    turn.done(&act(&keys, &mut second));
    std::fs::remove_file(dir.join("filler")).unwrap();
    let next = open(&root, 2);
    for (number, mut mutation) in [(1, first), (2, second)] {
        assert!(enter(&next, key("me", number), &mut mutation).await.is_none(), "{number}");
    }
}

#[tokio::test]
async fn a_record_that_grows_long_is_begun_anew_with_what_counts() {
    let root = root();
    let keys = open(&root, 0);
    let long = "x".repeat(200);
    let mut rounds = 0;
    let file = root.path().join(".onewriter/keys/0");
    let mut largest = 0;
    loop {
        let mut mutation = rename("a", "a");
        let owner = format!("{long}{rounds}");
        let mut turn = enter(&keys, key(&owner, 1), &mut mutation).await.unwrap();
        turn.intend(&mut mutation).unwrap();
        turn.done(&[Change::new(&rel("a"), Outcome::Unchanged)]);
        rounds += 1;
        let size = std::fs::metadata(&file).unwrap().len();
        if size < largest {
            break;
        }
        largest = size;
    }
    let last = format!("{long}{}", rounds - 1);
    assert!(enter(&open(&root, 0), key(&last, 1), &mut rename("a", "a")).await.is_none());
    let first = format!("{long}0");
    assert!(enter(&open(&root, 0), key(&first, 1), &mut rename("a", "a")).await.is_none());
}
