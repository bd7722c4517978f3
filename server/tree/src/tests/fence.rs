//! A root that is lost to another owner: what was begun here comes to nothing.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::{
    Fence, Reason, Staging,
    mutation::{HardLink, Remove, Rename, Symlink, Touch, Unchanged},
    transaction::{Commit, CommitTerms, History, Upper, recover_all},
};

/// Holds for so many questions.
#[derive(Debug)]
struct For(AtomicU32);

impl Fence for For {
    fn holds(&self) -> bool {
        self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

const EVER: u32 = u32::MAX;

/// A root whose owner is told that it is his so many times.
fn owned(questions: u32) -> Root {
    let root = Root::new();
    root.mkdir("d");
    root.write("there", "there");
    root.write("d/file", "old");
    let Root { tree, outside, dir } = root;
    let tree = tree.fenced(Arc::new(For(AtomicU32::new(questions))));
    Root { tree, outside, dir }
}

fn publish(root: &Root, path: &str) -> Publish {
    let source = root.outside("source");
    fs::write(&source, "new").unwrap();
    Publish::new(rel(path), local(&source, false))
}

/// One of each kind, all of which do something.
fn all(root: &Root) -> Vec<Box<dyn Mutation>> {
    let touch = |path: &str| Touch {
        path: rel(path),
        atime: mutation::Moment::Now,
        mtime: mutation::Moment::Now,
        no_create: false,
        umask: 0,
    };
    vec![
        Box::new(make("made")),
        Box::new(publish(root, "published")),
        Box::new(publish(root, "d/file")),
        Box::new(remove("d/file")),
        Box::new(remove("d")),
        Box::new(link("linked")),
        Box::new(symlink_at("symbolic")),
        Box::new(rename("there", "elsewhere")),
        Box::new(touch("touched")),
        Box::new(touch("there")),
        Box::new(mutation::SetAttributes {
            mode: Some(mutation::ModeChange { keep: 0, set: 0o600 }),
            ..attributes("there")
        }),
    ]
}

fn attributes(path: &str) -> mutation::SetAttributes {
    mutation::SetAttributes {
        path: rel(path),
        mode: None,
        uid: None,
        gid: None,
        atime: None,
        mtime: None,
    }
}

fn remove(path: &str) -> Remove {
    Remove { path: rel(path), recursive: true, allow_missing: false, directory: false }
}

fn rename(from: &str, to: &str) -> Rename {
    let (from, to) = (rel(from), rel(to));
    let (must_create, parents, keep_unchanged) = (true, false, false);
    Rename { from, to, must_create, parents, keep_unchanged, umask: 0 }
}

/// Leaves `there` as it is, and removes `from`, which is the same.
fn rename_of_same(from: &str) -> Rename {
    Rename { must_create: false, keep_unchanged: true, ..rename(from, "there") }
}

fn link(path: &str) -> HardLink {
    HardLink { source: rel("there"), path: rel(path), replace: false, parents: false, umask: 0 }
}

fn symlink_at(path: &str) -> Symlink {
    let (path, target) = (rel(path), b"there".to_vec());
    Symlink { path, target, replace: false, parents: false, umask: 0 }
}

/// What everybody can see of it.
fn picture(root: &Root) -> Vec<(String, u64, i64, u32)> {
    let mut found = Vec::new();
    for dir in ["", "d"].into_iter().filter(|dir| root.path(dir).exists()) {
        for name in root.names(dir).into_iter().filter(|name| name != ".onewriter") {
            let path = root.path(dir).join(&name);
            let meta = fs::symlink_metadata(&path).unwrap();
            found.push((format!("{dir}/{name}"), meta.ino(), mtime(&path), meta.mode()));
        }
    }
    found
}

#[test]
fn who_does_not_own_the_root_changes_nothing() {
    for index in 0..all(&owned(EVER)).len() {
        let root = owned(0);
        let before = picture(&root);
        let (done, changes) = root.attempt(&mut *all(&root).swap_remove(index));
        assert_eq!(done.unwrap_err().reason, Reason::NotOwner, "{index}");
        assert!(changes.is_empty() && picture(&root) == before, "{index}: {changes:?}");
        root.assert_staging_empty();
        // And who owns it does it.
        let root = owned(EVER);
        let (done, changes) = root.attempt(&mut *all(&root).swap_remove(index));
        assert!(done.is_ok() && !changes.is_empty(), "{index}: {done:?}");
        assert_ne!(picture(&root), before, "{index}");
    }
}

#[test]
fn what_fails_since_the_root_is_lost_says_so() {
    let error = || Error::new(Reason::NotFound, b"d/file", "no staging");
    assert_eq!(owned(EVER).tree.or_lost(error()).reason, Reason::NotFound);
    let lost = owned(0).tree.or_lost(error());
    assert_eq!((lost.reason, &*lost.path), (Reason::NotOwner, &b"d/file"[..]));
}

/// Makes a mutation for a root.
type Make = fn(&Root) -> Box<dyn Mutation>;

/// A process is stopped when it has asked whether it owns the root, and goes on when another one does:
/// of that it knows nothing.
#[test]
fn what_goes_through_staging_fails_when_a_successor_has_taken_that_away() {
    let through: [Make; 9] = [
        |root| Box::new(publish(root, "published")),
        |root| Box::new(publish(root, "d/file")),
        |_| Box::new(remove("d/file")),
        |_| Box::new(remove("d")),
        |_| Box::new(link("linked")),
        |_| Box::new(symlink_at("symbolic")),
        |root| {
            root.write("copy", "there");
            Box::new(rename_of_same("copy"))
        },
        |root| {
            let _ = fs::hard_link(root.path("there"), root.path("name"));
            Box::new(rename_of_same("name"))
        },
        |root| {
            root.write("copy", "there");
            Box::new(Publish::new(rel("there"), in_tree("copy", true)))
        },
    ];
    for (index, mutation) in through.into_iter().enumerate() {
        let root = owned(EVER);
        root.tree.staging().spread().unwrap_or_default();
        let mut stopped = mutation(&root);
        stopped.prepare(&root.tree, &mut Effects::new(false)).unwrap();
        let before = picture(&root);
        let successor = root.tree.renew_staging().unwrap();
        assert!(stopped.apply(&root.tree, &mut Effects::new(false)).is_err(), "{index}");
        assert_eq!(picture(&root), before, "{index}");
        drop(stopped);
        let (mut again, mut effects) = (mutation(&root), Effects::new(false));
        mutation::run(&mut *again, &successor, &mut effects).unwrap();
        assert_ne!(picture(&root), before, "{index}: the successor can");
    }
}

#[test]
fn a_source_is_removed_by_who_owns_the_root_when_its_content_is_in_its_place() {
    let all: [Make; 2] = [
        |_| Box::new(rename_of_same("copy")),
        |_| Box::new(Publish::new(rel("d/file"), in_tree("copy", true))),
    ];
    for mutation in all {
        for (questions, is_left) in [(1, true), (2, false)] {
            let root = owned(questions);
            root.write("copy", "there");
            let (done, _) = root.attempt(&mut *mutation(&root));
            assert_eq!((done.is_err(), root.exists("copy")), (is_left, is_left), "{done:?}");
        }
    }
}

#[test]
fn nothing_is_left_of_an_old_staging_nor_of_one_that_was_half_renewed() {
    let root = owned(EVER);
    root.mkdir(".onewriter/staging/x-1/upper/deep");
    root.write(".onewriter/staging/c-1", "a client's");
    root.mkdir(&format!(".onewriter/{}", Staging::fresh_name("staging-")));
    let tree = root.tree.renew_staging().unwrap();
    root.assert_staging_empty();
    assert_eq!(root.names(".onewriter"), [".gitignore", "staging"]);
    assert!(tree.is_fenced(), "it is the same root");
}

struct Nobody;

impl History for Nobody {
    fn changed(&self, _: &RelPath) -> Option<String> {
        None
    }

    fn changed_below(&self, _: &RelPath) -> Vec<(RelPath, String)> {
        Vec::new()
    }
}

fn terms() -> CommitTerms {
    CommitTerms {
        method: "run",
        unchanged: Unchanged::Keep,
        keep: Vec::new(),
        over_conflicts: false,
        outputs: Vec::new(),
        strict: false,
        author: Vec::new(),
        copy: false,
    }
}

/// A commit that replaces a file and a directory, makes one, and removes one.
fn commit(root: &Root) -> Commit {
    let upper = Upper::create(&root.tree).unwrap();
    let dir = root.path(".onewriter/staging").join(upper.name()).join("upper");
    fs::create_dir(dir.join("d")).unwrap();
    fs::write(dir.join("d/file"), "of the transaction").unwrap();
    fs::write(dir.join("fresh"), "of the transaction").unwrap();
    mknodat(CWD, dir.join("there"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    Commit::new(upper, terms(), Box::new(Nobody))
}

#[test]
fn a_commit_that_is_lost_in_the_middle_is_completed_by_the_successor_alone() {
    for questions in 0..40 {
        let root = owned(questions);
        let mut stopped = commit(&root);
        stopped.prepare(&root.tree, &mut Effects::new(false)).unwrap();
        let lost = stopped.apply(&root.tree, &mut Effects::new(false)).is_err();
        if !lost {
            assert!(questions > 2, "each step asks");
            return;
        }
        // It did not take back what is not its own any more.
        let tree = Tree::open(&root.dir).unwrap().fenced(Arc::new(For(AtomicU32::new(EVER))));
        recover_all(&tree).unwrap();
        drop(stopped);
        tree.renew_staging().unwrap();
        assert_eq!(
            (&*root.read("d/file"), &*root.read("fresh")),
            ("of the transaction", "of the transaction"),
            "{questions}"
        );
        assert!(!root.exists("there"));
    }
    panic!("it never ends");
}

/// As above, but it never learns: the question was asked before each step, and answered well.
#[test]
fn a_commit_that_goes_on_after_its_successor_has_served_others_changes_nothing() {
    let root = owned(EVER);
    let mut stopped = commit(&root);
    stopped.prepare(&root.tree, &mut Effects::new(false)).unwrap();
    recover_all(&root.tree).unwrap();
    let successor = root.tree.renew_staging().unwrap();
    let (mut later, mut effects) = (publish(&root, "d/file"), Effects::new(false));
    mutation::run(&mut later, &successor, &mut effects).unwrap();
    root.write("there", "made again");
    let before = picture(&root);
    assert!(stopped.apply(&root.tree, &mut Effects::new(false)).is_err());
    drop(stopped);
    assert_eq!(picture(&root), before);
    assert_eq!(root.read("d/file"), "new");
}
