//! A daemon that is killed in the middle of a commit, or of making one good.

use std::process::Command;

use super::*;
use crate::{
    fault,
    transaction::{Recovered, recover::recover, recover_all},
};

/// Where a process that is to be killed works; what it does there.
const PLACE: &str = "ONEWRITER_TEST_CRASH";
const ACT: &str = "ONEWRITER_TEST_ACT";

/// A root that outlives the processes that work in it.
fn place() -> (TempDir, PathBuf) {
    let outside = TempDir::new().unwrap();
    let dir = outside.path().join("root");
    fs::create_dir(&dir).unwrap();
    (outside, dir)
}

fn open(outside: &Path) -> Root {
    Root::at(TempDir::new_in(outside).unwrap(), outside.join("root"))
}

/// Not a test: what the killed processes do. Runs in this program for want of another.
#[test]
fn the_process_that_is_killed() {
    let Some(outside) = std::env::var_os(PLACE) else { return };
    let outside = Path::new(&outside);
    let root = open(outside);
    let intent = outside.join("intent");
    if std::env::var_os(ACT).is_some_and(|act| act == "start") {
        recover_all(&root.tree).unwrap();
        return;
    }
    if std::env::var_os(ACT).is_some_and(|act| act == "recover") {
        recover(&root.tree, &fs::read(intent).unwrap()).unwrap();
        return;
    }
    if let Some(what) = std::env::var_os(ACT).filter(|act| act == "file" || act == "directory") {
        fault::fail("exchange", 0);
        root.commit_plainly(lone(&root, what == "directory"));
        return;
    }
    let tx = rich(&root);
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    fs::write(&intent, commit.intent().unwrap()).unwrap();
    commit.apply(&root.tree, &mut Effects::new(false)).unwrap();
}

/// Whether the process was killed at `fault`; it ended well if not.
fn killed(outside: &Path, act: &str, fault: &str) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::transaction::crash::the_process_that_is_killed", "--nocapture"])
        .env(PLACE, outside)
        .env(ACT, act)
        .env("ONEWRITER_FAULT", fault)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    let killed = done.status.signal() == Some(9);
    assert!(killed || (done.status.success() && said.contains("1 passed")), "{said}");
    killed
}

/// Kills a commit; the root, what was on record, and whether it was killed at all.
fn crash(outside: &Path, fault: &str) -> (Root, Option<Vec<u8>>, bool) {
    let killed = killed(outside, "commit", fault);
    (open(outside), fs::read(outside.join("intent")).ok(), killed)
}

fn before() -> BTreeMap<OsString, Node> {
    let root = Root::new();
    drop(rich(&root));
    root.snapshot()
}

#[test]
fn killed_before_any_step_the_rest_is_done() {
    let expected = rich_result();
    for at in 1.. {
        let (outside, _) = place();
        let (root, intent, killed) = crash(outside.path(), &format!("commit.step:{at}"));
        let recovered = recover(&root.tree, &intent.unwrap()).unwrap();
        assert_same(&root.snapshot(), &expected, &format!("killed at {at}"));
        if !killed {
            assert!(at > 20, "only {at} steps");
            assert_eq!(recovered, Recovered::Nothing);
            break;
        }
        let Recovered::Completed(changes) = recovered else { panic!("{recovered:?}") };
        let changes: Vec<_> =
            changes.iter().map(|c| format!("{} {}", c.path, c.outcome.as_str())).collect();
        for change in ["old replaced", "gone removed", "fresh created", "modes attributes"] {
            assert!(changes.iter().any(|c| c == change), "{change}: {changes:?}");
        }
        assert!(root.names(".onewriter/staging").iter().all(|name| name.starts_with("t-")));
    }
}

#[test]
fn killed_before_the_mark_it_is_done_and_after_it_left_alone() {
    let (outside, _) = place();
    let (root, intent, killed) = crash(outside.path(), "commit.steps-done:1");
    assert!(killed);
    assert!(matches!(recover(&root.tree, &intent.unwrap()), Ok(Recovered::Completed(_))));
    assert_same(&root.snapshot(), &rich_result(), "before the mark");

    let (outside, _) = place();
    let (root, intent, killed) = crash(outside.path(), "commit.done:1");
    assert!(killed);
    root.write("old", "changed later");
    let later = root.snapshot();
    assert_eq!(recover(&root.tree, &intent.unwrap()).unwrap(), Recovered::Nothing);
    assert_same(&root.snapshot(), &later, "after the mark");
}

/// A transaction that replaces one thing, `d/f` or `d` itself.
fn lone(root: &Root, directory: bool) -> Tx {
    fs::create_dir(root.path("d")).unwrap();
    root.write("d/f", "old");
    let tx = root.begin();
    if directory {
        tx.opaque("d");
    }
    tx.write("d/f", "new");
    tx
}

#[test]
fn killed_where_nothing_can_be_exchanged_a_lone_thing_is_not_lost() {
    for what in ["file", "directory"] {
        let (outside, _) = place();
        assert!(killed(outside.path(), what, "replace.between:1"), "{what}");
        let root = open(outside.path());
        assert!(what == "directory" || root.read("d/f") == "old");
        recover_all(&root.tree).unwrap();
        let left = root.tree.staging().leftovers(true).unwrap();
        left.iter().for_each(|name| root.tree.staging().delete(name).unwrap());
        root.assert_staging_empty();
        assert_eq!(root.read("d/f"), if what == "file" { "old" } else { "new" }, "{what}");
    }
}

#[test]
fn killed_before_it_was_on_record_nothing_has_happened() {
    let (outside, _) = place();
    let (root, intent, killed) = crash(outside.path(), "commit.prepared:1");
    assert!(killed && intent.is_none());
    assert_same(&root.snapshot(), &before(), "prepared");
    let left = root.tree.staging().leftovers(true).unwrap();
    assert!(left.len() == 1 && left[0].starts_with(b"x-"), "{left:?}");
    root.tree.staging().delete(&left[0]).unwrap();
    root.assert_staging_empty();
}

#[test]
fn killed_while_it_is_made_good_it_is_made_good_again() {
    let expected = rich_result();
    for first in [1, 9, 17] {
        for at in (1..).step_by(3) {
            let (outside, _) = place();
            let (root, intent, _) = crash(outside.path(), &format!("commit.step:{first}"));
            let killed = killed(outside.path(), "recover", &format!("recover.step:{at}"));
            let recovered = recover(&root.tree, &intent.unwrap()).unwrap();
            assert_same(&root.snapshot(), &expected, &format!("killed at {first} and {at}"));
            if !killed {
                assert_eq!(recovered, Recovered::Nothing);
                break;
            }
            assert!(matches!(recovered, Recovered::Completed(_)));
        }
    }
}

#[test]
fn what_cannot_be_completed_is_undone() {
    let expected = before();
    for (first, at) in [(1, 1), (1, 12), (9, 2), (9, 20), (20, 5), (20, 22)] {
        let (outside, _) = place();
        let (root, intent, killed) = crash(outside.path(), &format!("commit.step:{first}"));
        assert!(killed);
        let intent = intent.unwrap();
        // Not even all of the undoing goes well at first: then it is tried again.
        fault::fail("recover.step", at);
        fault::fail("undo.step", 4);
        recover(&root.tree, &intent).unwrap_err();
        fault::fail("recover.step", at);
        assert_eq!(recover(&root.tree, &intent).unwrap(), Recovered::Undone);
        assert!(fault::has_failed());
        assert_same(&root.snapshot(), &expected, &format!("{first} and {at}"));
        assert_eq!(recover(&root.tree, &intent).unwrap(), Recovered::Nothing);
    }
}

#[test]
fn what_others_did_before_it_is_made_good_is_left_alone() {
    let (outside, _) = place();
    let (root, intent, _) = crash(outside.path(), "commit.step:12");
    assert_eq!(root.read("was-dir/sub/f"), "was-dir/sub/f", "its step has not come");
    fs::rename(root.path("was-dir"), root.path("was-dir-of-old")).unwrap();
    root.write("was-dir", "theirs");
    assert_eq!(recover(&root.tree, &intent.unwrap()).unwrap(), Recovered::Undone);
    assert_eq!((root.read("was-dir"), root.read("old")), ("theirs".into(), "old".into()));
    assert!(root.exists("gone/sub/f") && !root.exists("fresh"));
}

#[test]
fn a_record_that_cannot_be_read_is_an_error() {
    let root = Root::new();
    assert_eq!(recover(&root.tree, b"garbage").unwrap_err().reason, Reason::Journal);
}

#[test]
fn what_is_on_record_is_made_good_at_the_start_under_its_owners_name() {
    for fault in ["commit.step:1", "commit.step:9", "commit.steps-done:1", "commit.prepared:1"] {
        let (outside, _) = place();
        let (root, _, was_killed) = crash(outside.path(), fault);
        assert!(was_killed, "{fault}");
        // Killed once more while it makes that good.
        assert!(killed(outside.path(), "start", "recover.step:4"), "{fault}");
        let recovered = recover_all(&root.tree).unwrap();
        assert_eq!(recovered.len(), 1, "{fault}");
        assert_eq!(recovered[0].author, b"whose");
        assert!(matches!(recovered[0].outcome, Recovered::Completed(_)));
        assert_same(&root.snapshot(), &rich_result(), fault);
        assert!(recover_all(&root.tree).unwrap().is_empty());
    }
}

#[test]
fn a_record_that_was_never_finished_says_that_nothing_has_happened() {
    let (outside, _) = place();
    let (root, _, was_killed) = crash(outside.path(), "commit.step:1");
    assert!(was_killed);
    let before = root.snapshot();
    let name = root.names(".onewriter/staging").pop().unwrap();
    let record = root.path(&format!(".onewriter/staging/{name}/intent"));
    let whole = fs::read(&record).unwrap();
    for length in (0..whole.len()).step_by(7) {
        fs::write(&record, &whole[..length]).unwrap();
        assert!(recover_all(&root.tree).unwrap().is_empty(), "{length} bytes");
        assert_same(&root.snapshot(), &before, "nothing has happened");
    }
}

#[test]
fn a_record_that_says_more_than_is_understood_is_not_taken_for_unfinished() {
    let (outside, _) = place();
    let (root, intent, _) = crash(outside.path(), "commit.step:9");
    let name = root.names(".onewriter/staging").pop().unwrap();
    let record = root.path(&format!(".onewriter/staging/{name}/intent"));
    let whole = fs::read(&record).unwrap();
    // A later version's.
    let mut later = whole.clone();
    later[whole.len() - intent.unwrap().len()] += 1;
    fs::write(&record, later).unwrap();
    recover_all(&root.tree).unwrap_err();
    // One that cannot be opened.
    fs::remove_file(&record).unwrap();
    symlink(&record, &record).unwrap();
    recover_all(&root.tree).unwrap_err();
    fs::remove_file(&record).unwrap();
    fs::write(&record, whole).unwrap();
    assert_eq!(recover_all(&root.tree).unwrap().len(), 1);
    assert_same(&root.snapshot(), &rich_result(), "when it can be read");
}
