use std::fs;

use super::*;
use crate::{
    Reason,
    mutation::{HardLink, Symlink},
};

fn symbolic(path: &str, target: &str) -> Symlink {
    let target = target.into();
    Symlink { path: rel(path), target, replace: false, parents: false, umask: 0o022 }
}

fn hard(source: &str, path: &str) -> HardLink {
    let (source, path) = (rel(source), rel(path));
    HardLink { source, path, replace: false, parents: false, umask: 0o022 }
}

#[test]
fn symbolic_links() {
    let root = Root::new();
    assert_eq!(root.run(symbolic("l", "/anywhere/at all")).unwrap(), ["l created"]);
    assert_eq!(fs::read_link(root.path("l")).unwrap(), Path::new("/anywhere/at all"));
    assert_eq!(root.run(symbolic("l", "x")).unwrap_err().reason, Reason::Exists);
    let replace = |path, target| Symlink { replace: true, ..symbolic(path, target) };
    let inode = root.inode("l");
    assert_eq!(root.run(replace("l", "/anywhere/at all")).unwrap(), ["l unchanged"]);
    assert_eq!(root.inode("l"), inode);
    assert_eq!(root.run(replace("l", "x")).unwrap(), ["l replaced"]);
    root.write("f", "");
    assert_eq!(root.run(replace("f", "x")).unwrap(), ["f replaced"]);
    assert_eq!(fs::read_link(root.path("f")).unwrap(), Path::new("x"));
    root.mkdir("d");
    for refused in [replace("d", "x"), symbolic("d", "x")] {
        root.run(refused).unwrap_err();
    }
    assert_eq!(root.run(replace("d", "x")).unwrap_err().reason, Reason::IsADirectory);
    assert_eq!(root.run(replace(".", "x")).unwrap_err().reason, Reason::BadRequest);
    root.assert_staging_empty();
}

#[test]
fn what_a_symbolic_link_cannot_say() {
    let root = Root::new();
    for target in ["", "a\0b"] {
        assert_eq!(root.run(symbolic("l", target)).unwrap_err().reason, Reason::BadRequest);
    }
    let long = "x".repeat(5000);
    assert_eq!(root.run(symbolic("l", &long)).unwrap_err().reason, Reason::NameTooLong);
    assert!(!root.exists("l"));
}

#[test]
fn parents() {
    let root = Root::new();
    root.write("f", "");
    assert_eq!(root.run(symbolic("a/l", "x")).unwrap_err().reason, Reason::NotFound);
    assert_eq!(root.run(hard("f", "a/l")).unwrap_err().reason, Reason::NotFound);
    let done = root.run(Symlink { parents: true, ..symbolic("a/b/l", "x") }).unwrap();
    assert_eq!(done, ["a created", "a/b created", "a/b/l created"]);
    let done = root.run(HardLink { parents: true, ..hard("f", "c/l") }).unwrap();
    assert_eq!(done, ["c created", "c/l created"]);
    let error = root.run(HardLink { parents: true, ..hard("f", "f/l") }).unwrap_err();
    assert_eq!(error.reason, Reason::NotADirectory);
    let error = root.run(HardLink { parents: true, ..hard("missing", "e/l") }).unwrap_err();
    assert_eq!((error.reason, root.exists("e")), (Reason::NotFound, false));
}

#[test]
fn hard_links() {
    let root = Root::new();
    root.write("f", "x");
    root.write("other", "y");
    root.mkdir("d");
    root.link("f", "link");
    assert_eq!(root.run(hard("f", "g")).unwrap(), ["g created"]);
    assert_eq!(root.inode("f"), root.inode("g"));
    assert_eq!(root.run(hard("f", "g")).unwrap_err().reason, Reason::Exists);
    let replace = |source, path| HardLink { replace: true, ..hard(source, path) };
    assert_eq!(root.run(replace("f", "g")).unwrap(), ["g unchanged"]);
    assert_eq!(root.run(replace("f", "f")).unwrap(), ["f unchanged"]);
    assert_eq!(root.run(replace("f", "other")).unwrap(), ["other replaced"]);
    assert_eq!(root.read("other"), "x");
    assert_eq!(root.run(replace("f", "d")).unwrap_err().reason, Reason::IsADirectory);
    assert_eq!(root.run(hard("d", "e")).unwrap_err().reason, Reason::IsADirectory);
    assert_eq!(root.run(hard("missing", "e")).unwrap_err().reason, Reason::NotFound);
    // A symbolic link gets a second name itself.
    root.run(hard("link", "link2")).unwrap();
    assert_eq!(root.inode("link"), root.inode("link2"));
    root.assert_staging_empty();
}

/// Two that replace one name by the same file at once: the second rename would do nothing, and
/// leave its temporary name behind.
#[test]
fn nothing_is_left_in_staging_by_a_link_that_is_there_already() {
    let root = Root::new();
    root.write("f", "x");
    fs::hard_link(root.path("f"), root.path("g")).unwrap();
    let dir = root.tree.dir(b"").unwrap();
    let dir = std::os::fd::AsFd::as_fd(&dir);
    let link = |staging: std::os::fd::BorrowedFd<'_>, temporary: &str| {
        rustix::fs::linkat(dir, "f", staging, temporary, rustix::fs::AtFlags::empty())
    };
    root.tree.staging().place_link((dir, b"g"), true, link).unwrap();
    root.assert_staging_empty();
}
