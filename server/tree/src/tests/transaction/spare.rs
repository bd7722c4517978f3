//! Directories of transactions that are used again are as new ones.

use std::os::unix::fs::MetadataExt as _;

use super::*;

impl Root {
    /// What the daemon's sweeper does.
    fn use_again(&self) {
        for name in self.tree.staging().leftovers(false).unwrap() {
            self.tree.staging().reuse(self.tree.state(), &name).unwrap();
        }
        assert!(self.names(".onewriter/staging").is_empty());
    }

    fn spares(&self) -> usize {
        fs::read_dir(self.path(".onewriter/spare")).map_or(0, Iterator::count)
    }
}

impl Tx {
    /// The whole of its directory.
    fn top(&self) -> &Path {
        self.dir.parent().unwrap()
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// All that is in a transaction's directory, with modes and attributes.
fn look(dir: &Path) -> Vec<(String, u32, Vec<String>)> {
    let mut found = Vec::new();
    for name in ["upper", "work", "gone"] {
        let mode = fs::metadata(dir.join(name)).unwrap().mode();
        let mut names: Vec<_> = fs::read_dir(dir.join(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        found.push((name.to_owned(), mode, names));
    }
    found
}

#[test]
fn what_was_committed_leaves_a_directory_as_new() {
    let root = Root::new();
    root.write("old", "old");
    let first = root.begin();
    let (top, fresh) = (inode(first.top()), look(first.top()));
    drop(rich(&root));
    root.commit(first, terms(), Others::default()).unwrap();
    for round in 0..3 {
        root.use_again();
        assert!(root.spares() >= 1);
        chmod(&root.path(""), if round == 1 { 0o750 } else { 0o755 });
        let again = root.begin();
        assert_eq!(inode(again.top()), top, "it is the same directory");
        let expected = Root::new();
        chmod(&expected.path(""), if round == 1 { 0o750 } else { 0o755 });
        assert_eq!(look(again.top()), look(expected.begin().top()));
        assert_eq!(look(again.top())[1..], fresh[1..]);
        // Something new, something that is replaced and so stays in upper, something removed.
        again.write(&format!("new-{round}"), "new");
        again.write("old", &format!("replaced {round}"));
        fs::create_dir(again.top().join("work/work")).unwrap();
        fs::write(again.top().join("work/work/left"), "x").unwrap();
        root.commit(again, terms(), Others::default()).unwrap();
        assert_eq!(root.read("old"), format!("replaced {round}"));
    }
}

#[test]
fn what_somebody_changed_since_is_noticed_in_a_directory_that_is_older() {
    let root = Root::new();
    let first = root.begin();
    first.write("x", "x");
    root.commit(first, terms(), Others::default()).unwrap();
    root.use_again();
    let again = root.begin();
    let born = fs::metadata(again.top().join("gone")).unwrap();
    let born = (born.ctime(), born.ctime_nsec());
    while {
        root.write("f", "theirs");
        let changed = fs::metadata(root.path("f")).unwrap();
        (changed.ctime(), changed.ctime_nsec()) <= born
    } {}
    again.write("f", "ours");
    let refused = root.commit(again, terms(), Others::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
}

#[test]
fn what_others_may_still_have_open_is_not_used_again() {
    let root = Root::new();
    let shared = root.begin();
    shared.write("f", "f");
    root.commit(shared, CommitTerms { copy: true, ..terms() }, Others::default()).unwrap();
    root.use_again();
    drop(root.begin());
    root.use_again();
    assert_eq!(root.spares(), 0, "neither one that is shared nor one that was given up");
}

#[test]
fn one_that_is_not_as_it_should_be_is_deleted() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("f", "f");
    fs::remove_file(tx.dir.join(".onewriter")).unwrap();
    root.commit(tx, terms(), Others::default()).unwrap();
    root.use_again();
    assert_eq!(root.spares(), 0);
    drop(root.begin());
}
