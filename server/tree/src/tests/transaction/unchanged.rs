//! Files whose content is the same as before.

use super::*;

/// A file `f` of mode 0644 that a command wrote again: what is of it then.
fn rewritten(unchanged: Unchanged, mode: u32) -> (bool, i64, u32, Done) {
    let root = Root::new();
    root.write("f", "same");
    chmod(&root.path("f"), 0o644);
    let old = backdate(&root.path("f"));
    let inode = root.inode("f");
    let tx = root.begin();
    tx.write("f", "same");
    chmod(&tx.path("f"), mode);
    set_mtime(&tx.path("f"), 1_100_000_000);
    let done = root.commit(tx, CommitTerms { unchanged, ..terms() }, Others::default()).unwrap();
    assert_eq!(root.read("f"), "same");
    (root.inode("f") == inode, mtime(&root.path("f")) - old, root.mode("f"), done)
}

const LATER: i64 = 100_000_000_000_000_005 - 123_456_789;

#[test]
fn kept_it_is_not_touched() {
    let (stays, later, mode, done) = rewritten(Unchanged::Keep, 0o644);
    assert_eq!((stays, later, mode), (true, 0, 0o644));
    assert_eq!((done.changes, done.report.unchanged), (vec!["f unchanged".into()], 1));
}

#[test]
fn kept_it_gets_its_new_mode() {
    let (stays, later, mode, done) = rewritten(Unchanged::Keep, 0o755);
    assert_eq!((stays, later, mode), (true, 0, 0o755));
    assert_eq!((done.changes, done.report.unchanged), (vec!["f attributes".into()], 0));
}

#[test]
fn touched_it_has_the_commands_time() {
    let (stays, later, mode, done) = rewritten(Unchanged::Touch, 0o600);
    assert_eq!((stays, later, mode), (true, LATER, 0o600));
    assert_eq!(done.changes, ["f attributes"]);
}

#[test]
fn replaced_it_is_the_commands() {
    let (stays, later, mode, done) = rewritten(Unchanged::Replace, 0o644);
    assert_eq!((stays, later, mode), (false, LATER, 0o644));
    assert_eq!(done.changes, ["f replaced"]);
}

#[test]
fn other_attributes_are_a_difference() {
    let root = Root::new();
    for (name, own, value) in [("a", "user.x", b"1"), ("b", "user.overlay.origin", b"1")] {
        root.write(name, "same");
        let tx = root.begin();
        tx.write(name, "same");
        chmod(&tx.path(name), root.mode(name));
        lsetxattr(tx.path(name), own, value, XattrFlags::empty()).unwrap();
        let outcome = if name == "a" { "replaced" } else { "unchanged" };
        assert_eq!(root.commit_plainly(tx), [format!("{name} {outcome}")]);
    }
    assert_eq!(xattrs(&root.path("a"))["user.x"], b"1");
}

#[test]
fn another_kind_is_a_difference() {
    let root = Root::new();
    root.link("x", "l");
    root.write("f", "x");
    mkfifo(&root.path("p"));
    let inode = root.inode("p");
    let tx = root.begin();
    tx.write("l", "x");
    symlink("x", tx.path("f")).unwrap();
    mkfifo(&tx.path("p"));
    chmod(&tx.path("p"), root.mode("p"));
    assert_eq!(root.commit_plainly(tx), ["f replaced", "l replaced", "p unchanged"]);
    assert_eq!((root.read("l"), root.inode("p")), ("x".into(), inode));
}

#[test]
fn in_a_directory_that_was_made_anew_it_is_the_same_file_too() {
    let root = Root::new();
    root.mkdir("out");
    root.write("out/same", "same");
    root.write("out/other", "old");
    root.write("out/gone", "old");
    let (then, inode) = (backdate(&root.path("out/same")), root.inode("out/same"));
    let tx = root.begin();
    tx.opaque("out");
    tx.write("out/same", "same");
    tx.write("out/other", "new");
    chmod(&tx.path("out/same"), root.mode("out/same"));
    let done = root.commit(tx, terms(), Others::default()).unwrap();
    assert_eq!(
        done.changes,
        ["out replaced", "out/other replaced", "out/same unchanged", "out/gone removed"]
    );
    assert_eq!((mtime(&root.path("out/same")), root.inode("out/same")), (then, inode));
    assert_eq!(done.report.unchanged, 1);
    assert_eq!(root.names("out"), ["other", "same"]);
}

#[test]
fn a_touched_symbolic_link_is_touched_itself() {
    let root = Root::new();
    root.write("f", "x");
    root.link("f", "l");
    let then = [backdate(&root.path("f")), backdate(&root.path("l"))];
    let tx = root.begin();
    symlink("f", tx.path("l")).unwrap();
    set_mtime(&tx.path("l"), 1_100_000_000);
    let touch = CommitTerms { unchanged: Unchanged::Touch, ..terms() };
    let done = root.commit(tx, touch, Others::default()).unwrap();
    assert_eq!(done.changes, ["l attributes"]);
    assert_eq!([mtime(&root.path("f")), mtime(&root.path("l")) - LATER], then);
}

#[test]
fn what_a_pattern_names_is_kept_and_the_rest_is_touched() {
    let root = Root::new();
    let paths = ["a.h", "b.c"];
    let then = paths.map(|path| {
        root.write(path, "same");
        backdate(&root.path(path))
    });
    let tx = root.begin();
    for path in paths {
        tx.write(path, "same");
        chmod(&tx.path(path), root.mode(path));
        set_mtime(&tx.path(path), 1_100_000_000);
    }
    let keep = vec![Pattern::new("%.h")];
    let terms = CommitTerms { unchanged: Unchanged::Touch, keep, ..terms() };
    let done = root.commit(tx, terms, Others::default()).unwrap();
    assert_eq!(done.changes, ["a.h unchanged", "b.c attributes"]);
    assert_eq!(mtime(&root.path("a.h")), then[0]);
    assert_eq!(mtime(&root.path("b.c")) - LATER, then[1]);
}
