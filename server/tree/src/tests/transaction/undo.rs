//! Steps that fail while the daemon lives: all that was done is undone.

use super::*;
use crate::{
    fault,
    transaction::{Recovered, recover::recover},
};

/// Commits what [`rich`] made, with the `at`-th passage of `point` failing: `false` if there is no
/// such passage.
fn fails_at(root: &Root, point: &'static str, at: u64) -> bool {
    let tx = rich(root);
    let before = root.snapshot();
    fault::fail(point, at);
    let done = root.commit(tx, terms(), Others::default());
    fault::has_failed();
    if done.is_ok() {
        assert_same(&root.snapshot(), &rich_result(), "committed after all");
        return false;
    }
    assert_eq!(done.unwrap_err().errno, Some(rustix::io::Errno::IO));
    assert_same(&before, &root.snapshot(), &format!("{point} {at}"));
    true
}

#[test]
fn whichever_step_fails_all_is_as_it_was() {
    let failed = (1..).take_while(|at| fails_at(&Root::new(), "commit.step", *at)).count();
    assert!(failed > 20, "only {failed} steps");
    assert!(fails_at(&Root::new(), "commit.steps-done", 1));
    assert!(fails_at(&Root::new(), "commit.prepared", 1));
}

#[test]
fn where_nothing_can_be_exchanged_it_is_the_same() {
    let attempt = |at| {
        fault::fail("exchange", 0);
        fails_at(&Root::new(), "commit.step", at)
    };
    let failed = (1..).take_while(|at| attempt(*at)).count();
    assert!(failed > 20, "only {failed} steps");
}

#[test]
fn what_really_stands_in_the_way_is_named() {
    let root = Root::new();
    root.write("a", "old");
    root.write("z", "old");
    let tx = root.begin();
    tx.write("a", "new");
    tx.write("b", "new");
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    let mut effects = Effects::new(false);
    commit.prepare(&root.tree, &mut effects).unwrap();
    // Nobody asked for the lock.
    root.write("b", "theirs");
    let Err(crate::Fault::Failed(error)) = commit.apply(&root.tree, &mut effects) else { panic!() };
    assert_eq!((error.reason, &error.path[..]), (Reason::Exists, &b"b"[..]));
    assert_eq!((root.read("a"), root.read("b")), ("old".into(), "theirs".into()));
    assert!(effects.changes.is_empty());
}

#[test]
fn what_others_put_there_at_the_last_moment_is_left_alone() {
    for removed in [false, true] {
        let root = Root::new();
        root.write("a", "old");
        root.write("b", "old");
        let tx = root.begin();
        tx.write("a", "new");
        if removed {
            tx.whiteout("b")
        } else {
            tx.write("b", "new")
        }
        let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
        commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
        root.write("c", "theirs");
        fs::rename(root.path("c"), root.path("b")).unwrap();
        commit.apply(&root.tree, &mut Effects::new(false)).unwrap_err();
        assert_eq!((root.read("a"), root.read("b")), ("old".into(), "theirs".into()));
    }
}

#[test]
fn where_undoing_fails_too_the_next_start_completes_it() {
    let root = Root::new();
    let tx = rich(&root);
    let name = tx.upper.name().to_owned();
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    let intent = commit.intent().unwrap();
    fault::fail("commit.step", 15);
    fault::fail("undo.step", 3);
    assert!(commit.apply(&root.tree, &mut Effects::new(false)).is_err());
    assert!(fault::has_failed());
    drop(commit);
    assert_eq!(root.names(".onewriter/staging"), [name], "it is not discarded");
    let recovered = recover(&root.tree, &intent).unwrap();
    assert!(matches!(recovered, Recovered::Completed(_)));
    assert_same(&root.snapshot(), &rich_result(), "completed");
    assert_eq!(recover(&root.tree, &intent).unwrap(), Recovered::Nothing);
}

#[test]
fn an_immutable_file_keeps_everything_as_it_was() {
    let root = Root::new();
    drop(rich(&root));
    let chattr = |how: &str| {
        let file = root.path("was-dir/sub/f");
        let done = std::process::Command::new("chattr").arg(how).arg(file).output();
        done.is_ok_and(|done| done.status.success())
    };
    if !chattr("+i") {
        untested("files cannot be made immutable here");
        return;
    }
    let immutable = Immutable(root.path("was-dir/sub/f"));
    let before = root.snapshot();
    let tx = root.begin();
    tx.write("a", "new");
    tx.write("was-dir/sub/f", "new");
    let refused = root.commit(tx, terms(), Others::default()).unwrap_err();
    drop(immutable);
    assert_eq!((refused.reason, &refused.path[..]), (Reason::Permission, &b"was-dir/sub/f"[..]));
    assert_same(&before, &root.snapshot(), "immutable");
}

struct Immutable(PathBuf);

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = std::process::Command::new("chattr").arg("-i").arg(&self.0).output();
    }
}
