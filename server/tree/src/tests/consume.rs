//! Sources that are used up.

use std::fs;

use super::*;
use crate::{Reason, mutation::Unchanged};

#[test]
fn the_source_itself_moves() {
    let root = Root::new();
    fs::write(root.outside("s"), "one").unwrap();
    chmod(&root.outside("s"), 0o4750);
    let inode = fs::metadata(root.outside("s")).unwrap().ino();
    let before = backdate(&root.outside("s"));
    let done = root.run(Publish::new(rel("f"), local(&root.outside("s"), true))).unwrap();
    assert_eq!(done, ["f created"]);
    assert_eq!((root.inode("f"), root.mode("f"), mtime(&root.path("f"))), (inode, 0o4750, before));
    assert!(!root.outside("s").exists());
    root.write("g", "two");
    let inode = root.inode("g");
    let done = root.run(Publish::new(rel("f"), in_tree("g", true))).unwrap();
    assert_eq!(done, ["g removed", "f replaced"]);
    // What is replaced keeps its mode, but for set-id bits.
    assert_eq!((root.inode("f"), root.mode("f")), (inode, 0o750));
}

#[test]
fn one_with_other_names_is_copied() {
    let root = Root::new();
    root.write("a", "x");
    fs::hard_link(root.path("a"), root.path("b")).unwrap();
    let done = root.run(Publish::new(rel("f"), in_tree("a", true))).unwrap();
    assert_eq!(done, ["f created", "a removed"]);
    assert_ne!(root.inode("f"), root.inode("b"));
    assert!(!root.exists("a"));
}

#[test]
fn an_unchanged_target_still_uses_it_up() {
    let root = Root::new();
    root.write("f", "x");
    root.write("s", "x");
    let inode = root.inode("f");
    let done = root.run(Publish::new(rel("f"), in_tree("s", true))).unwrap();
    assert_eq!(done, ["f unchanged", "s removed"]);
    assert_eq!((root.inode("f"), root.exists("s")), (inode, false));
    // Another name of the target itself is only a name.
    fs::hard_link(root.path("f"), root.path("s")).unwrap();
    for unchanged in [Unchanged::Keep, Unchanged::Replace] {
        let mut publish = Publish::new(rel("f"), in_tree("s", true));
        publish.unchanged = unchanged;
        root.run(publish).unwrap();
        assert!(!root.exists("s") && root.read("f") == "x");
        fs::hard_link(root.path("f"), root.path("s")).unwrap();
    }
}

#[test]
fn a_source_that_is_the_target_stays() {
    let root = Root::new();
    root.mkdir("d");
    root.write("d/f", "x");
    root.link("d", "link");
    symlink(root.path("d"), root.outside("alias")).unwrap();
    let inode = root.inode("d/f");
    for unchanged in [Unchanged::Keep, Unchanged::Touch, Unchanged::Replace] {
        for source in [
            in_tree("d/f", true),
            in_tree("link/f", true),
            // Spelled as if it lay elsewhere.
            local(&root.outside("alias/f"), true),
            local(&root.path("d/f"), true),
            local(&root.path("link/../d/f"), true),
        ] {
            let case = format!("{unchanged:?} {source:?}");
            let mut publish = Publish::new(rel("d/f"), source);
            publish.unchanged = unchanged;
            let changes = root.run(publish).unwrap();
            assert_eq!(changes.len(), 1, "{case}: {changes:?}");
            assert_eq!((root.inode("d/f"), &*root.read("d/f")), (inode, "x"), "{case}");
        }
    }
}

#[test]
fn a_tree_file_is_recognised_by_whatever_name() {
    let root = Root::new();
    root.write("s", "x");
    symlink(&root.dir, root.outside("alias")).unwrap();
    let mut publish = Publish::new(rel("f"), local(&root.outside("alias/s"), true));
    // Its lock is needed: it is found again as what it is.
    assert!(matches!(
        publish.prepare(&root.tree, &mut Effects::new(false)),
        Err(crate::Fault::Moved)
    ));
    assert_eq!(publish.claims().len(), 2);
    assert_eq!(root.run(publish).unwrap(), ["s removed", "f created"]);
    fs::write(root.path(".onewriter/lock"), "").unwrap();
    for consume in [false, true] {
        let lock = local(&root.outside("alias/.onewriter/lock"), consume);
        let error = root.run(Publish::new(rel("g"), lock)).unwrap_err();
        assert_eq!(error.reason, Reason::PathReserved);
    }
    assert!(root.exists(".onewriter/lock") && !root.exists("g"));
}

#[test]
fn a_link_is_not_used_up() {
    let root = Root::new();
    root.write("real", "x");
    chmod(&root.path("real"), 0o600);
    root.link("real", "link");
    symlink(root.path("real"), root.outside("link")).unwrap();
    for source in [in_tree("link", true), local(&root.outside("link"), true)] {
        let mut publish = Publish::new(rel("f"), source);
        publish.mode = Some(0o755);
        let error = root.run(publish).unwrap_err();
        assert_eq!(error.reason, Reason::Source);
        assert!(error.what.contains("symbolic link"), "{error}");
    }
    assert!(!root.exists("f") && root.exists("link") && root.outside("link").exists());
    assert_eq!(root.mode("real"), 0o600);
}

#[test]
fn a_failure_leaves_the_source_as_it_was() {
    let root = Root::new();
    root.mkdir("d");
    root.write("file", "");
    for (target, reason) in [("d", Reason::IsADirectory), ("file/x", Reason::NotADirectory)] {
        fs::write(root.outside("s"), "x").unwrap();
        chmod(&root.outside("s"), 0o640);
        let mut publish = Publish::new(rel(target), local(&root.outside("s"), true));
        (publish.mode, publish.parents) = (Some(0o777), true);
        assert_eq!(root.run(publish).unwrap_err().reason, reason);
        assert_eq!(mode(&root.outside("s")), 0o640);
    }
    // Also one that is noticed only when the source is about to go.
    root.mkdir("locked");
    chmod(&root.path("locked"), 0o500);
    let error = unprivileged(root.outside.path(), || {
        let mut publish = Publish::new(rel("locked/new/f"), local(&root.outside("s"), true));
        (publish.mode, publish.parents) = (Some(0o777), true);
        root.run(publish).unwrap_err()
    });
    assert_eq!((error.reason, mode(&root.outside("s"))), (Reason::Permission, 0o640));
    root.assert_staging_empty();
}

#[test]
fn staged_content_is_always_used_up() {
    use std::io::Write as _;
    let root = Root::new();
    let stage = |content: &[u8]| {
        let staged = root.tree.staging().create_own().unwrap();
        staged.file().write_all(content).unwrap();
        Source::Staged(staged)
    };
    root.write("dir-file", "");
    let mut publish = Publish::new(rel("f"), stage(b"x"));
    publish.umask = 0o026;
    assert_eq!(root.run(publish).unwrap(), ["f created"]);
    assert_eq!(root.mode("f"), 0o640);
    assert_eq!(root.run(Publish::new(rel("f"), stage(b"x"))).unwrap(), ["f unchanged"]);
    assert_eq!(root.run(Publish::new(rel("f"), stage(b"y"))).unwrap(), ["f replaced"]);
    root.run(Publish::new(rel("dir-file/x"), stage(b"y"))).unwrap_err();
    let mut publish = Publish::new(rel("f"), stage(b"z"));
    publish.must_create = true;
    assert_eq!(root.run(publish).unwrap_err().reason, Reason::Exists);
    root.assert_staging_empty();
}

#[test]
fn staged_content_can_be_used_once() {
    let root = Root::new();
    let name = root.tree.staging().create_for_others().unwrap().leave().unwrap();
    let adopt = || Source::Staged(root.tree.staging().adopt(name.as_bytes()).unwrap());
    let (first, second) = (adopt(), adopt());
    root.run(Publish::new(rel("a"), first)).unwrap();
    let mut publish = Publish::new(rel("b"), second);
    publish.mode = Some(0o600);
    assert_eq!(root.run(publish).unwrap_err().reason, Reason::Source);
    assert!(!root.exists("b"));
}
