//! What others did meanwhile.

use super::*;

/// The paths that a commit conflicts on, and what is said of the first; nothing is changed then.
fn conflicts(root: &Root, tx: Tx, others: Others) -> Vec<String> {
    let before = root.snapshot();
    let mut commit = Commit::new(tx.upper, terms(), Box::new(others));
    let report = commit.report();
    let (done, changes) = root.attempt(&mut commit);
    let report = report.lock().unwrap().clone();
    let paths: Vec<_> = report.conflicts.iter().map(|c| c.path.to_string()).collect();
    match done {
        Ok(()) => assert!(paths.is_empty(), "{paths:?}"),
        Err(error) => {
            assert_eq!(error.reason, Reason::Conflict);
            assert_eq!(error.path, report.conflicts[0].path.as_bytes());
            assert!(error.what.contains(&report.conflicts[0].other));
            assert!(changes.is_empty());
            assert_same(&before, &root.snapshot(), "conflict");
        }
    }
    paths
}

/// What `change` does after a transaction began that `make` fills, in a tree that `before` made.
fn meanwhile(
    before: impl FnOnce(&Root),
    make: impl FnOnce(&Tx),
    change: impl FnOnce(&Root),
    others: &[&str],
) -> Vec<String> {
    let root = Root::new();
    before(&root);
    let tx = root.begin();
    make(&tx);
    wait_for_the_clock(&root);
    change(&root);
    conflicts(&root, tx, Others::changed(others))
}

fn nothing(_: &Root) {}

#[test]
fn a_file_that_others_changed() {
    let old = |root: &Root| root.write("f", "old");
    let theirs = |root: &Root| root.write("f", "theirs");
    let ours = |tx: &Tx| tx.write("f", "ours");
    assert_eq!(meanwhile(old, ours, theirs, &["f"]), ["f"]);
    assert_eq!(meanwhile(old, ours, theirs, &[]), ["f"], "nobody is known to have");
    assert_eq!(meanwhile(nothing, ours, theirs, &["f"]), ["f"], "it appeared");
    assert_eq!(meanwhile(old, ours, nothing, &[]), [""; 0]);
}

#[test]
fn a_file_that_others_removed() {
    let old = |root: &Root| root.write("f", "old");
    let gone = |root: &Root| fs::remove_file(root.path("f")).unwrap();
    assert_eq!(meanwhile(old, |tx| tx.write("f", "ours"), gone, &["f"]), ["f"]);
    assert_eq!(meanwhile(old, |tx| tx.whiteout("f"), gone, &["f"]), [""; 0], "so did we");
}

#[test]
fn a_file_in_a_directory_that_others_removed() {
    let old = |root: &Root| {
        root.mkdir("d");
        root.write("d/f", "old");
    };
    let gone = |root: &Root| fs::remove_dir_all(root.path("d")).unwrap();
    let ours = |tx: &Tx| tx.write("d/f", "ours");
    assert_eq!(meanwhile(old, ours, gone, &["d", "d/f"]), ["d/f"]);
}

#[test]
fn the_same_content_is_no_conflict() {
    let same = |root: &Root| {
        root.write("f", "same");
        root.link("same", "l");
    };
    let ours = |tx: &Tx| {
        tx.write("f", "same");
        symlink("same", tx.path("l")).unwrap();
    };
    assert_eq!(meanwhile(nothing, ours, same, &["f", "l"]), [""; 0]);
    let other = |root: &Root| root.link("other", "l");
    assert_eq!(meanwhile(nothing, ours, other, &["l"]), ["l"]);
}

#[test]
fn a_removed_file_that_others_changed() {
    let old = |root: &Root| root.write("f", "old");
    let theirs = |root: &Root| root.write("f", "theirs");
    assert_eq!(meanwhile(old, |tx| tx.whiteout("f"), theirs, &["f"]), ["f"]);
    assert_eq!(meanwhile(old, |tx| tx.whiteout("f"), theirs, &[]), ["f"]);
}

#[test]
fn a_removed_directory_in_which_others_changed_something() {
    let old = |root: &Root| {
        root.mkdir("d/e");
        root.write("d/e/f", "old");
    };
    let theirs = |root: &Root| root.write("d/e/f", "theirs");
    assert_eq!(meanwhile(old, |tx| tx.whiteout("d"), theirs, &["d/e/f"]), ["d/e/f"]);
    assert_eq!(meanwhile(old, |tx| tx.whiteout("d"), theirs, &[]), ["d/e/f"]);
    let gone = |root: &Root| fs::remove_file(root.path("d/e/f")).unwrap();
    assert_eq!(meanwhile(old, |tx| tx.whiteout("d"), gone, &["d/e/f"]), [""; 0]);
    let file = |tx: &Tx| tx.write("d", "a file now");
    assert_eq!(meanwhile(old, file, theirs, &["d/e/f"]), ["d/e/f"], "a file takes its place");
}

#[test]
fn a_replaced_directory_in_which_others_changed_something() {
    let old = |root: &Root| {
        root.mkdir("d");
        root.write("d/f", "old");
    };
    let ours = |tx: &Tx| {
        tx.opaque("d");
        tx.write("d/f", "ours");
    };
    let theirs = |root: &Root| root.write("d/f", "theirs");
    assert_eq!(meanwhile(old, ours, theirs, &["d/f"]), ["d/f"]);
    let same = |root: &Root| root.write("d/f", "ours");
    assert_eq!(meanwhile(old, ours, same, &["d/f"]), [""; 0]);
    let more = |root: &Root| root.write("d/more", "theirs");
    assert_eq!(meanwhile(old, ours, more, &["d/more"]), ["d/more"]);
}

#[test]
fn a_directory_that_both_made_is_merged() {
    let ours = |tx: &Tx| {
        tx.opaque("d");
        tx.opaque("d/e");
        tx.write("d/e/ours", "ours");
    };
    let theirs = |root: &Root| {
        root.mkdir("d/e");
        root.write("d/e/theirs", "theirs");
    };
    assert_eq!(meanwhile(nothing, ours, theirs, &["d", "d/e", "d/e/theirs"]), [""; 0]);
    let root = Root::new();
    let tx = root.begin();
    ours(&tx);
    wait_for_the_clock(&root);
    theirs(&root);
    root.commit_plainly(tx);
    assert_eq!(root.names("d/e"), ["ours", "theirs"], "nobody is known to have made it");
}

#[test]
fn a_directory_that_two_transactions_made_is_merged() {
    let root = Root::new();
    let first = root.begin();
    first.opaque("d");
    first.write("d/first", "1");
    wait_for_the_clock(&root);
    let second = root.begin();
    second.opaque("d");
    second.write("d/second", "2");
    let done = root.commit_all_but(first, &second);
    let paths: Vec<_> = done.iter().map(|c| c.split(' ').next().unwrap()).collect();
    root.commit(second, terms(), Others::changed(&paths)).unwrap();
    assert_eq!(root.names("d"), ["first", "second"]);
}

impl Root {
    /// Commits one of two transactions.
    fn commit_all_but(&self, tx: Tx, other: &Tx) -> Vec<String> {
        let changes = self.run(Commit::new(tx.upper, terms(), Box::new(Others::default())));
        assert!(self.exists(&format!(".onewriter/staging/{}", other.upper.name())));
        changes.unwrap()
    }
}

#[test]
fn a_file_against_a_directory_that_appeared() {
    let ours_file = |tx: &Tx| tx.write("x", "ours");
    let ours_dir = |tx: &Tx| tx.write("x/f", "ours");
    let dir = |root: &Root| {
        root.mkdir("x");
        root.write("x/f", "theirs");
    };
    let file = |root: &Root| root.write("x", "theirs");
    assert_eq!(meanwhile(nothing, ours_file, dir, &["x", "x/f"]), ["x", "x/f"]);
    assert_eq!(meanwhile(nothing, ours_file, dir, &[]), ["x/f"]);
    assert_eq!(meanwhile(nothing, ours_dir, file, &["x"]), ["x"]);
    assert_eq!(meanwhile(nothing, ours_dir, file, &[]), ["x"]);
}

#[test]
fn committed_over_all_the_same_it_is_reported() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("a", "ours");
    tx.write("b", "ours");
    root.write("a", "theirs");
    let over = CommitTerms { over_conflicts: true, ..terms() };
    let done = root.commit(tx, over, Others::changed(&["a", "b"])).unwrap();
    let paths: Vec<_> = done.report.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["a", "b"]);
    assert_eq!(done.report.conflicts[0].other, "pid 7 (publish)");
    assert_eq!((root.read("a"), root.read("b")), ("ours".into(), "ours".into()));
}

#[test]
fn a_mode_that_others_changed_stays() {
    let root = Root::new();
    root.mkdir("d");
    chmod(&root.path("d"), 0o755);
    let tx = root.begin();
    tx.write("d/f", "x");
    chmod(&tx.path("d"), 0o755);
    chmod(&root.path("d"), 0o700);
    root.commit(tx, terms(), Others::changed(&["d"])).unwrap();
    assert_eq!(root.mode("d"), 0o700);
}

#[test]
fn whatever_came_to_stand_there_can_be_committed_over() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("file/f", "ours");
    tx.write("dir", "ours");
    tx.whiteout("gone");
    root.write("file", "theirs");
    root.mkdir("dir/sub");
    root.write("gone", "theirs");
    let over = CommitTerms { over_conflicts: true, ..terms() };
    let done = root.commit(tx, over, Others::changed(&["file", "dir", "gone"])).unwrap();
    assert_eq!(done.report.conflicts.len(), 3);
    assert_eq!((root.read("file/f"), root.read("dir")), ("ours".into(), "ours".into()));
    assert!(!root.exists("gone"));
}
