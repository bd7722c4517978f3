//! Owners and extended attributes of directories that stay.

use std::os::unix::fs::chown;

use super::*;
use crate::{
    fault,
    transaction::{Recovered, recover::recover},
};

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// A tree with a directory `d` of mode 0755 that wears `wears`, and a transaction in which
/// overlayfs copied it.
fn copied(wears: &[(&str, &[u8])]) -> (Root, Tx) {
    let root = Root::new();
    root.mkdir("d");
    chmod(&root.path("d"), 0o755);
    wears.iter().for_each(|(name, value)| wear(&root.path("d"), name, value));
    backdate(&root.path("d"));
    let tx = root.begin();
    tx.copy_up(&root, "d");
    (root, tx)
}

fn usual() -> (Root, Tx) {
    copied(&[("user.a", b"1"), ("user.b", b"2")])
}

#[track_caller]
fn assert_wears(root: &Root, name: &str, expected: &[(&str, &[u8])]) {
    let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
    assert_eq!(xattrs(&root.path(name)), expected.collect());
}

fn claims(commit: &mut Commit) -> Vec<(String, crate::mutation::Access)> {
    commit.claims().iter().map(|claim| (claim.path.to_string(), claim.access)).collect()
}

#[test]
fn an_attribute_that_is_set_changed_or_removed() {
    let (root, tx) = usual();
    wear(&tx.path("d"), "user.c", b"3");
    assert_eq!(root.commit_plainly(tx), ["d attributes"]);
    assert_wears(&root, "d", &[("user.a", b"1"), ("user.b", b"2"), ("user.c", b"3")]);

    let (root, tx) = usual();
    wear(&tx.path("d"), "user.b", b"other");
    assert_eq!(root.commit_plainly(tx), ["d attributes"]);
    assert_wears(&root, "d", &[("user.a", b"1"), ("user.b", b"other")]);

    let (root, tx) = usual();
    lremovexattr(tx.path("d"), "user.a").unwrap();
    let then = mtime(&root.path("d"));
    assert_eq!(root.commit_plainly(tx), ["d attributes"]);
    assert_wears(&root, "d", &[("user.b", b"2")]);
    assert_eq!(mtime(&root.path("d")), then);
}

#[test]
fn access_control_lists_that_are_set_changed_or_removed() {
    let (set, other) = (list(12, 7), list(12, 4));
    for name in [DEFAULT, ACCESS] {
        let (root, tx) = usual();
        wear(&tx.path("d"), name, &set);
        assert_eq!(root.commit_plainly(tx), ["d attributes"]);
        assert_eq!(xattrs(&root.path("d"))[name], set);
        assert_eq!(root.mode("d"), if name == ACCESS { 0o775 } else { 0o755 });

        let (root, tx) = copied(&[(name, &set)]);
        wear(&tx.path("d"), name, &other);
        assert_eq!(root.commit_plainly(tx), ["d attributes"]);
        assert_wears(&root, "d", &[(name, &other)]);

        let (root, tx) = copied(&[(name, &set)]);
        lremovexattr(tx.path("d"), name).unwrap();
        chmod(&tx.path("d"), 0o750);
        assert_eq!(root.commit_plainly(tx), ["d attributes"]);
        assert_wears(&root, "d", &[]);
        assert_eq!(root.mode("d"), 0o750);
    }
}

#[test]
fn a_mode_is_a_mode_also_where_there_is_a_list() {
    let (root, tx) = copied(&[(ACCESS, &list(12, 7))]);
    chmod(&root.path("d"), 0o555);
    chmod(&tx.path("d"), 0o555);
    let before = root.snapshot();
    assert_eq!(root.commit_plainly(tx), [""; 0], "closed, and opened to be looked through");
    assert_same(&before, &root.snapshot(), "closed");

    let (root, tx) = copied(&[(ACCESS, &list(12, 7))]);
    chmod(&tx.path("d"), 0o700);
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    assert!(commit.intent().is_none(), "one step, which is atomic");
    commit.apply(&root.tree, &mut Effects::new(false)).unwrap();
    assert_eq!(root.mode("d"), 0o700);
}

#[test]
fn another_owner_or_group() {
    if !rustix::process::geteuid().is_root() {
        untested("it takes root to give something to somebody else");
        return;
    }
    for (user, group) in [(Some(12), Some(34)), (Some(12), None), (None, Some(34))] {
        let (root, tx) = usual();
        chmod(&root.path("d"), 0o2755);
        chown(tx.path("d"), user, group).unwrap();
        chmod(&tx.path("d"), 0o2755);
        assert_eq!(root.commit_plainly(tx), ["d attributes"]);
        let found = fs::metadata(root.path("d")).unwrap();
        assert_eq!((found.uid(), found.gid()), (user.unwrap_or(0), group.unwrap_or(0)));
        assert_eq!(root.mode("d"), 0o2755);
        assert_wears(&root, "d", &[("user.a", b"1"), ("user.b", b"2")]);
    }
}

#[test]
fn the_root_itself() {
    let root = Root::new();
    wear(&root.dir, "user.a", b"1");
    wear(&root.dir, DEFAULT, &list(12, 7));
    let untouched = root.begin();
    assert!(
        xattrs(&untouched.dir)["user.a"] == b"1" && xattrs(&untouched.dir).contains_key(DEFAULT)
    );
    assert_eq!(root.commit_plainly(untouched), [""; 0]);
    let tx = root.begin();
    lremovexattr(&tx.dir, DEFAULT).unwrap();
    wear(&tx.dir, "user.a", b"2");
    assert_eq!(root.commit_plainly(tx), [". attributes"]);
    assert_wears(&root, "", &[("user.a", b"2")]);
}

#[test]
fn a_root_of_somebody_else_stays_his() {
    if !rustix::process::geteuid().is_root() {
        untested("it takes root to give something to somebody else");
        return;
    }
    let root = Root::new();
    chown(&root.dir, Some(12), Some(34)).unwrap();
    let tx = root.begin();
    tx.write("f", "x");
    assert_eq!(root.commit_plainly(tx), ["f created"]);
    assert_eq!(root.snapshot()[&OsString::new()].owner, (12, 34));

    // Whoever cannot give his own directory away says nothing about the root's owner.
    give_away(&root.path(".onewriter"), 65_534);
    chmod(&root.dir, 0o777);
    unprivileged(&root.path(".onewriter"), || {
        let tx = root.begin();
        tx.write("g", "x");
        assert_eq!(root.commit_plainly(tx), ["g created"]);
    });
    assert_eq!(root.snapshot()[&OsString::new()].owner, (12, 34));
}

#[test]
fn what_is_untouched_takes_no_step_and_no_lock() {
    use crate::mutation::Access::{Exclusive, Shared};
    let (root, tx) = copied(&[("user.a", b"1"), (DEFAULT, &list(12, 7)), (ACCESS, &list(12, 5))]);
    mark(&tx.path("d"), "impure", b"y");
    mark(&root.path("d"), "origin", b"of a tree that was an upper one itself");
    tx.write("d/f", "x");
    let before = xattrs(&root.path("d"));
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    let expected = [(".".into(), Shared), ("d".into(), Shared), ("d/f".into(), Exclusive)];
    assert_eq!(claims(&mut commit), expected);
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    assert!(commit.intent().is_none(), "one step");
    let mut effects = Effects::new(false);
    commit.apply(&root.tree, &mut effects).unwrap();
    assert_eq!(effects.changes.len(), 1);
    assert_eq!(xattrs(&root.path("d")), before);
}

#[test]
fn what_is_dressed_anew_is_locked_and_on_record() {
    use crate::mutation::Access::{Exclusive, Shared};
    let (root, tx) = usual();
    wear(&tx.path("d"), "user.c", b"3");
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    assert_eq!(claims(&mut commit), [(".".into(), Shared), ("d".into(), Exclusive)]);
    let mut effects = Effects::new(true);
    commit.prepare(&root.tree, &mut effects).unwrap();
    assert!(commit.intent().is_some() && commit.is_stepwise(), "half of it can be done");
    commit.apply(&root.tree, &mut effects).unwrap();
}

#[test]
fn a_directory_that_was_made_by_hand_says_nothing() {
    let (root, _) = usual();
    let tx = root.begin();
    tx.write("d/f", "x");
    chmod(&tx.path("d"), 0o755);
    wear(&tx.path("d"), DEFAULT, &list(12, 7));
    assert_eq!(root.commit_plainly(tx), ["d/f created"]);
    assert_wears(&root, "d", &[("user.a", b"1"), ("user.b", b"2")]);
}

#[test]
fn one_that_others_changed_or_made_keeps_what_it_wears() {
    let (root, tx) = usual();
    wear(&tx.path("d"), "user.a", b"ours");
    wear(&root.path("d"), "user.a", b"theirs");
    let done = root.commit(tx, terms(), Others::changed(&["d"])).unwrap();
    assert_eq!(done.changes, [""; 0]);
    assert_wears(&root, "d", &[("user.a", b"theirs"), ("user.b", b"2")]);

    let (root, tx) = usual();
    wear(&tx.path("d"), "user.a", b"ours");
    wait_for_the_clock(&root);
    fs::remove_dir(root.path("d")).unwrap();
    root.mkdir("d");
    chmod(&root.path("d"), 0o755);
    assert_eq!(root.commit_plainly(tx), [""; 0]);
    assert_wears(&root, "d", &[]);
}

/// What a commit of `user.a` changed, `user.b` removed and `user.c` set comes to.
const AFTER: [(&str, &[u8]); 2] = [("user.a", b"ours"), ("user.c", b"3")];

fn all_three() -> (Root, Tx) {
    let (root, tx) = usual();
    wear(&tx.path("d"), "user.a", b"ours");
    wear(&tx.path("d"), "user.c", b"3");
    lremovexattr(tx.path("d"), "user.b").unwrap();
    wear(&tx.path("d"), ACCESS, &list(12, 7));
    lremovexattr(tx.path("d"), ACCESS).unwrap();
    chmod(&tx.path("d"), 0o500);
    (root, tx)
}

#[test]
fn where_it_fails_half_way_all_is_as_it_was() {
    for point in ["commit.dress", "commit.step", "commit.steps-done"] {
        let (root, tx) = all_three();
        let before = root.snapshot();
        fault::fail(point, 1);
        root.commit(tx, terms(), Others::default()).unwrap_err();
        assert!(fault::has_failed());
        assert_same(&before, &root.snapshot(), point);
    }
}

#[test]
fn done_in_part_it_is_done_again_or_undone() {
    for completes in [true, false] {
        let (root, tx) = all_three();
        let before = root.snapshot();
        let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
        commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
        let intent = commit.intent().unwrap();
        fault::fail("commit.steps-done", 1);
        fault::fail("undo.step", 0);
        assert!(commit.apply(&root.tree, &mut Effects::new(false)).is_err());
        fault::has_failed();
        drop(commit);
        // What it may look like where a process was killed.
        wear(&root.path("d"), "user.b", b"2");
        lremovexattr(root.path("d"), "user.c").unwrap();
        if !completes {
            fault::fail("recover.step", 2);
        }
        let recovered = recover(&root.tree, &intent).unwrap();
        fault::has_failed();
        if completes {
            let Recovered::Completed(changes) = recovered else { panic!("{recovered:?}") };
            assert_eq!(changes.len(), 1);
            assert_eq!(changes[0].outcome, Outcome::Attributes);
            assert_wears(&root, "d", &AFTER);
            assert_eq!(root.mode("d"), 0o500);
        } else {
            assert_eq!(recovered, Recovered::Undone);
            assert_same(&before, &root.snapshot(), "undone");
        }
    }
}

#[test]
fn its_owner_opens_a_closed_one_for_the_while() {
    let root = Root::new();
    unprivileged(root.outside.path(), || {
        root.mkdir("d");
        wear(&root.path("d"), "user.b", b"2");
        chmod(&root.path("d"), 0o555);
        let change = || {
            let tx = root.begin();
            chmod(&root.path("d"), 0o755);
            tx.copy_up(&root, "d");
            chmod(&root.path("d"), 0o555);
            wear(&tx.path("d"), "user.a", b"1");
            lremovexattr(tx.path("d"), "user.b").unwrap();
            chmod(&tx.path("d"), 0o555);
            tx
        };
        let before = root.snapshot();
        for at in 1..=3 {
            fault::fail("commit.step", at);
            root.commit(change(), terms(), Others::default()).unwrap_err();
            assert!(fault::has_failed());
            assert_same(&before, &root.snapshot(), &format!("step {at}"));
        }
        assert_eq!(root.commit_plainly(change()), ["d attributes"]);
        assert_wears(&root, "d", &[("user.a", b"1")]);
        assert_eq!(root.mode("d"), 0o555);
        chmod(&root.path("d"), 0o755);
    });
}

#[test]
fn what_a_step_that_is_prepared_twice_left_does_no_harm() {
    let (root, tx) = all_three();
    let gone = tx.dir.with_file_name("gone");
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    let carrier = gone.join(&names(&gone)[0]);
    wear(&carrier, "user.old", b"x");
    let before = root.snapshot();
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    fault::fail("commit.steps-done", 1);
    assert!(commit.apply(&root.tree, &mut Effects::new(false)).is_err());
    assert!(fault::has_failed());
    assert_same(&before, &root.snapshot(), "prepared twice");
}

/// A measure, and not a test: what a thousand directories cost of which each gets a file.
#[test]
fn a_thousand_merged_directories() {
    let rounds = std::env::var("ONEWRITER_TEST_ROUNDS").ok().and_then(|n| n.parse().ok());
    let root = Root::new();
    (0..1000).for_each(|n| root.mkdir(&format!("d/{n}")));
    let mut took = Vec::new();
    for round in 0..rounds.unwrap_or(1) {
        let tx = root.begin();
        tx.copy_up(&root, "d");
        for n in 0..1000 {
            tx.copy_up(&root, &format!("d/{n}"));
            tx.write(&format!("d/{n}/{round}"), "x");
        }
        let began = std::time::Instant::now();
        let done = root.commit_plainly(tx);
        took.push(began.elapsed());
        assert_eq!(done.len(), 1000);
    }
    took.sort();
    eprintln!("1,000 merged directories: {:?}, at best {:?}", took[took.len() / 2], took[0]);
}

/// Commits up to the mark, which fails, as does undoing; then makes that good.
fn made_good(root: &Root, tx: Tx) -> Recovered {
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
    commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    let intent = commit.intent().unwrap();
    fault::fail("commit.steps-done", 1);
    fault::fail("undo.step", 0);
    assert!(commit.apply(&root.tree, &mut Effects::new(false)).is_err());
    fault::has_failed();
    drop(commit);
    recover(&root.tree, &intent).unwrap()
}

#[test]
fn completed_at_the_next_start_it_is_told() {
    let (root, tx) = usual();
    wear(&tx.path("d"), "user.c", b"3");
    let Recovered::Completed(changes) = made_good(&root, tx) else { panic!() };
    let told: Vec<_> = changes.iter().map(|change| (change.path.clone(), change.outcome)).collect();
    assert_eq!(told, [(rel("d"), Outcome::Attributes)]);
}

#[test]
fn one_that_its_owner_closes_at_last_can_be_done_again() {
    let root = Root::new();
    unprivileged(root.outside.path(), || {
        root.mkdir("d");
        chmod(&root.path("d"), 0o755);
        let tx = root.begin();
        tx.copy_up(&root, "d");
        wear(&tx.path("d"), "user.a", b"1");
        chmod(&tx.path("d"), 0o555);
        assert!(matches!(made_good(&root, tx), Recovered::Completed(_)));
        assert_wears(&root, "d", &[("user.a", b"1")]);
        assert_eq!(root.mode("d"), 0o555);
        chmod(&root.path("d"), 0o755);
    });
}

#[test]
fn a_list_opens_no_closed_directory() {
    let (root, tx) = usual();
    chmod(&root.path("d"), 0o555);
    wear(&tx.path("d"), ACCESS, &list(12, 4));
    chmod(&tx.path("d"), 0o555);
    assert_eq!(root.commit_plainly(tx), ["d attributes"]);
    assert_eq!(root.mode("d"), 0o555);
    assert!(xattrs(&root.path("d")).contains_key(ACCESS));
}
