//! Directories that their owner closed, for owners without privileges.

use super::*;

/// A tree of closed directories, as its owner has it.
fn closed(root: &Root) {
    for dir in ["ro/sub", "goes/sub", "redone/sub"] {
        root.mkdir(dir);
    }
    for file in ["ro/old", "ro/removed", "goes/sub/f", "redone/sub/f"] {
        root.write(file, "old");
    }
    for dir in ["ro/sub", "ro", "goes/sub", "goes", "redone/sub", "redone"] {
        backdate(&root.path(dir));
        chmod(&root.path(dir), 0o555);
    }
}

/// What a command does there that opens each for itself, and closes it again.
fn change(root: &Root) -> Tx {
    let tx = root.begin();
    tx.write("ro/old", "new");
    tx.write("ro/new", "new");
    tx.whiteout("ro/removed");
    tx.whiteout("goes");
    tx.opaque("redone");
    tx.write("redone/new", "new");
    tx.write("fresh/in/f", "new");
    tx.mkdir("fresh/shut");
    for dir in ["ro", "redone", "fresh/in", "fresh"] {
        set_mtime(&tx.path(dir), 1_100_000_000);
        chmod(&tx.path(dir), 0o555);
    }
    chmod(&tx.path("fresh/shut"), 0);
    tx
}

fn copied() -> CommitTerms {
    CommitTerms { copy: true, ..terms() }
}

/// As the owner; directories are opened again for the test to clean up.
fn as_owner(act: impl FnOnce(&Root) + Send) {
    let root = Root::new();
    unprivileged(root.outside.path(), || {
        closed(&root);
        act(&root);
    });
}

#[test]
fn a_closed_directory_is_opened_for_the_while() {
    for terms in [terms(), copied()] {
        opened_for_the_while(terms);
    }
}

fn opened_for_the_while(terms: CommitTerms) {
    as_owner(|root| {
        let done = root.commit(change(root), terms, Others::default()).unwrap();
        assert!(done.changes.contains(&"ro/new created".to_owned()), "{:?}", done.changes);
        assert_eq!(
            (root.names("ro"), root.read("ro/old")),
            (["new", "old", "sub"].map(str::to_owned).to_vec(), "new".to_owned())
        );
        let modes = ["ro", "redone", "fresh", "fresh/in", "fresh/shut"].map(|dir| root.mode(dir));
        assert_eq!(modes, [0o555, 0o555, 0o555, 0o555, 0]);
        for dir in ["ro", "redone", "fresh", "fresh/in"] {
            assert_eq!(mtime(&root.path(dir)), 1_100_000_000_000_000_005, "{dir}");
        }
        assert!(!root.exists("goes") && !root.exists("redone/sub"));
    });
}

#[test]
fn whichever_step_fails_it_is_closed_as_before() {
    let attempt = |at| {
        let mut failed = false;
        as_owner(|root| {
            let tx = change(root);
            let before = snapshot(&root.dir);
            crate::fault::fail("commit.step", at);
            failed = root.commit(tx, terms(), Others::default()).is_err();
            crate::fault::has_failed();
            if failed {
                assert_same(&before, &root.snapshot(), &format!("step {at}"));
            }
        });
        failed
    };
    let failed = (1..).take_while(|at| attempt(*at)).count();
    assert!(failed > 12, "only {failed} steps");
}

#[test]
fn a_record_closes_them_too() {
    as_owner(|root| {
        let tx = change(root);
        let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
        commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
        let intent = commit.intent().unwrap();
        crate::fault::fail("commit.step", 9);
        crate::fault::fail("undo.step", 0);
        assert!(commit.apply(&root.tree, &mut Effects::new(false)).is_err());
        crate::fault::has_failed();
        drop(commit);
        crate::transaction::recover::recover(&root.tree, &intent).unwrap();
        let modes = ["ro", "redone", "fresh", "fresh/in", "fresh/shut"].map(|dir| root.mode(dir));
        assert_eq!(modes, [0o555, 0o555, 0o555, 0o555, 0]);
        assert_eq!(root.read("ro/old"), "new");
    });
}

#[test]
fn somebody_elses_directory_stays_closed_and_is_named() {
    if !rustix::process::geteuid().is_root() {
        untested("it takes root to give something to somebody else");
        return;
    }
    let root = Root::new();
    give_away(root.outside.path(), 65_534);
    root.mkdir("theirs");
    chmod(&root.path("theirs"), 0o755);
    let result = std::sync::Mutex::new(None);
    give_away(&root.path(".onewriter"), 65_534);
    unprivileged(&root.path(".onewriter"), || {
        let tx = root.begin();
        tx.write("a", "new");
        tx.write("theirs/f", "new");
        chmod(&tx.path("theirs"), 0o755);
        let refused = root.commit(tx, terms(), Others::default()).unwrap_err();
        *result.lock().unwrap() = Some(refused);
    });
    let refused = result.into_inner().unwrap().unwrap();
    assert_eq!((refused.reason, &refused.path[..]), (Reason::Permission, &b"theirs/f"[..]));
    assert!(!root.exists("a"));
}

#[test]
fn what_failed_in_a_closed_root_can_be_kept() {
    as_owner(|root| {
        let tx = root.begin();
        tx.write("ro/f", "half");
        chmod(&tx.dir, 0o555);
        let kept = tx.upper.keep().unwrap();
        assert_eq!(names(&kept), ["ro"]);
        assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o555);
    });
}
