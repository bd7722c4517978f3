use std::{fs, os::fd::AsFd as _};

use rustix::io::Errno;

use super::*;
use crate::{
    Reason,
    mutation::Rename,
    tree::{rename_new, rename_new_by_link},
};

fn rename(from: &str, to: &str) -> Rename {
    Rename {
        from: rel(from),
        to: rel(to),
        must_create: false,
        parents: false,
        keep_unchanged: false,
        umask: 0o022,
    }
}

#[test]
fn files_directories_and_links() {
    let root = Root::new();
    root.write("f", "x");
    root.mkdir("d/sub");
    root.link("nowhere", "link");
    assert_eq!(root.run(rename("f", "g")).unwrap(), ["f removed", "g created"]);
    assert_eq!(root.run(rename("d", "e")).unwrap(), ["d removed", "e created"]);
    assert_eq!(root.run(rename("link", "e/link")).unwrap(), ["link removed", "e/link created"]);
    assert!(root.exists("e/sub") && root.exists("e/link") && !root.exists("f"));
    root.write("h", "y");
    assert_eq!(root.run(rename("h", "g")).unwrap(), ["h removed", "g replaced"]);
    assert_eq!(root.read("g"), "y");
    assert_eq!(root.run(rename("g", "g")).unwrap(), ["g unchanged"]);
    assert!(root.exists("g"));
}

#[test]
fn parents_are_made_only_for_what_can_be_renamed() {
    let root = Root::new();
    root.write("f", "x");
    root.mkdir("d");
    let parents = |from, to| Rename { parents: true, umask: 0o077, ..rename(from, to) };
    assert_eq!(root.run(rename("f", "a/b/f")).unwrap_err().reason, Reason::NotFound);
    assert_eq!(root.run(parents("missing", "a/f")).unwrap_err().reason, Reason::NotFound);
    assert_eq!(root.run(parents("d", "d/sub/d")).unwrap_err().reason, Reason::BadRequest);
    assert!(!root.exists("a") && !root.exists("d/sub"));
    let done = root.run(parents("f", "a/b/f")).unwrap();
    assert_eq!(done, ["a created", "a/b created", "f removed", "a/b/f created"]);
    assert_eq!(root.mode("a/b"), 0o700);
}

#[test]
fn what_does_not_fit() {
    let root = Root::new();
    root.mkdir("full/sub");
    root.mkdir("empty");
    root.mkdir("d");
    root.write("f", "");
    for (from, to, reason) in [
        ("d", "full", Reason::NotEmpty),
        ("f", "empty", Reason::IsADirectory),
        ("d", "f", Reason::NotADirectory),
        ("d", "d/inside", Reason::BadRequest),
        ("full/sub", "full", Reason::NotEmpty),
        ("d", "f/x", Reason::NotADirectory),
        ("missing", "x", Reason::NotFound),
        ("missing/y", "x", Reason::NotFound),
        (".", "x", Reason::BadRequest),
        ("d", ".", Reason::BadRequest),
    ] {
        let error = root.run(rename(from, to)).unwrap_err();
        assert_eq!(error.reason, reason, "{from} to {to}: {error}");
    }
    assert_eq!(root.run(rename("d", "empty")).unwrap(), ["d removed", "empty replaced"]);
}

#[test]
fn must_create() {
    let root = Root::new();
    root.write("f", "x");
    root.mkdir("empty");
    root.mkdir("d");
    root.link("nowhere", "dangling");
    let must = |from, to| Rename { must_create: true, ..rename(from, to) };
    for (from, to) in [("d", "empty"), ("f", "dangling"), ("f", "f"), ("f", "d")] {
        assert_eq!(root.run(must(from, to)).unwrap_err().reason, Reason::Exists);
    }
    assert_eq!(root.run(must("f", "g")).unwrap(), ["f removed", "g created"]);
}

/// The way without RENAME_NOREPLACE, which NFS has not.
#[test]
fn a_new_name_without_help_from_the_filesystem() {
    let root = Root::new();
    root.write("f", "x");
    root.mkdir("d/sub");
    root.mkdir("empty");
    let dir = root.tree.dir(b"").unwrap();
    let at = |name: &'static str| (dir.as_fd(), name.as_bytes());
    for rename in [rename_new, rename_new_by_link] {
        for (from, to) in [("f", "d"), ("d", "f"), ("d", "empty"), ("f", "f")] {
            assert_eq!(rename(at(from), at(to)), Err(Errno::EXIST), "{from} {to}");
        }
        assert_eq!(rename(at("missing"), at("g")), Err(Errno::NOENT));
        for (from, to) in [("f", "g"), ("d", "e"), ("g", "f"), ("e", "d")] {
            assert_eq!(rename(at(from), at(to)), Ok(()), "{from} {to}");
            assert!(!root.exists(from));
        }
        rename(at("d"), at("d/inside")).unwrap_err();
        assert_eq!(root.names("d"), ["sub"]);
    }
    assert_eq!(root.read("f"), "x");
}

#[test]
fn an_unchanged_target_may_be_kept() {
    let root = Root::new();
    let keep = |from, to| Rename { keep_unchanged: true, ..rename(from, to) };
    root.write("old", "x");
    let before = (root.inode("old"), backdate(&root.path("old")));
    root.write("new", "x");
    assert_eq!(root.run(keep("new", "old")).unwrap(), ["new removed", "old unchanged"]);
    assert_eq!((root.inode("old"), mtime(&root.path("old"))), before);
    for (content, mode) in [("y", 0o644), ("y", 0o600)] {
        root.write("new", content);
        chmod(&root.path("new"), mode);
        assert_eq!(root.run(keep("new", "old")).unwrap(), ["new removed", "old replaced"]);
        assert_eq!((root.read("old"), root.mode("old")), (content.into(), mode));
    }
}

/// rename(2) does nothing at all between two names of one file.
#[test]
fn between_two_names_of_one_file_one_remains() {
    let root = Root::new();
    root.write("a", "x");
    fs::hard_link(root.path("a"), root.path("b")).unwrap();
    assert_eq!(root.run(rename("a", "b")).unwrap(), ["a removed", "b unchanged"]);
    assert_eq!(root.names("."), [".onewriter", "b"]);
}

#[test]
fn across_linked_parents() {
    let root = Root::new();
    root.mkdir("real/x");
    root.mkdir("other");
    root.link("real", "link");
    root.link(root.path("other"), "there");
    root.write("real/f", "x");
    assert_eq!(
        root.run(rename("link/f", "there/g")).unwrap(),
        ["real/f removed", "other/g created"]
    );
    // The same place by another name, and into itself by another name.
    assert_eq!(root.run(rename("link/x", "real/x")).unwrap(), ["real/x unchanged"]);
    let error = root.run(Rename { parents: true, ..rename("real/x", "link/x/y/z") }).unwrap_err();
    assert_eq!(error.reason, Reason::BadRequest);
    assert_eq!(root.names("real/x"), Vec::<String>::new());
    fs::create_dir_all(root.outside("elsewhere/sub")).unwrap();
    root.link(root.outside("elsewhere"), "out");
    for (from, to) in [("out/sub", "x"), ("other/g", "out/x")] {
        assert_eq!(root.run(rename(from, to)).unwrap_err().reason, Reason::OutsideRoot);
    }
}
