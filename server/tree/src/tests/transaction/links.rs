//! Files of several names, and copies.

use std::io::Write as _;

use rustix::fs::{OFlags, openat};

use super::*;

fn linked(root: &Root, names: &[&str]) {
    let files: Vec<_> = names.iter().map(|name| root.inode(name)).collect();
    assert!(files.iter().all(|file| *file == files[0]), "{names:?} are {files:?}");
}

#[test]
fn names_of_one_file_stay_so() {
    let root = Root::new();
    root.write("b", "old");
    let tx = root.begin();
    tx.write("a", "new");
    tx.write("new/d/c", "");
    fs::remove_file(tx.path("new/d/c")).unwrap();
    for name in ["b", "new/d/c", "new/e"] {
        fs::hard_link(tx.path("a"), tx.path(name)).unwrap();
    }
    let file = fs::metadata(tx.path("a")).unwrap().ino();
    root.commit_plainly(tx);
    linked(&root, &["a", "b", "new/d/c", "new/e"]);
    assert_eq!((root.inode("a"), root.read("b")), (file, "new".into()));
}

#[test]
fn a_new_name_of_a_file_that_stays_is_a_name_of_that() {
    let root = Root::new();
    root.write("a", "same");
    root.write("c", "same");
    let then = backdate(&root.path("a"));
    let inode = root.inode("a");
    let tx = root.begin();
    tx.write("a", "same");
    chmod(&tx.path("a"), root.mode("a"));
    tx.mkdir("new");
    let of_new = backdate(&tx.path("new"));
    for name in ["b", "c", "new/d"] {
        fs::hard_link(tx.path("a"), tx.path(name)).unwrap();
    }
    set_mtime(&tx.path("new"), 1_000_000_000);
    let of_new = of_new - 123_456_789 + 5;
    root.commit_plainly(tx);
    linked(&root, &["a", "b", "c", "new/d"]);
    assert_eq!((root.inode("a"), mtime(&root.path("a"))), (inode, then));
    assert_eq!(mtime(&root.path("new")), of_new);
}

#[test]
fn copied_it_is_out_of_reach_of_who_still_writes() {
    let root = Root::new();
    root.write("old", "old");
    let tx = root.begin();
    tx.write("old", "new");
    tx.write("d/f", &"large ".repeat(50_000));
    fs::hard_link(tx.path("d/f"), tx.path("d/g")).unwrap();
    fs::hard_link(tx.path("d/f"), tx.path("h")).unwrap();
    lsetxattr(tx.path("d/f"), "user.mine", b"1", XattrFlags::empty()).unwrap();
    mark(&tx.path("d/f"), "origin", b"x");
    for name in ["d/f", "old", "d"] {
        chmod(&tx.path(name), 0o750);
        set_mtime(&tx.path(name), 1_100_000_000);
    }
    let open = |name| fs::OpenOptions::new().append(true).open(tx.path(name)).unwrap();
    let mut writers = [open("old"), open("d/f")];
    let copy = CommitTerms { copy: true, ..terms() };
    root.commit(tx, copy, Others::default()).unwrap();
    writers.iter_mut().for_each(|writer| writer.write_all(b"late").unwrap());
    assert_eq!((root.read("old"), root.read("d/f").len()), ("new".into(), 300_000));
    linked(&root, &["d/f", "d/g", "h"]);
    for name in ["old", "d/f", "d"] {
        assert_eq!(mtime(&root.path(name)), 1_100_000_000_000_000_005, "{name}");
        assert_eq!(root.mode(name), 0o750, "{name}");
    }
    assert_eq!(xattrs(&root.path("d/f")).into_keys().collect::<Vec<_>>(), ["user.mine"]);
}

#[test]
fn copied_its_directories_are_out_of_reach_as_well() {
    let root = Root::new();
    fs::create_dir(root.path("old")).unwrap();
    root.write("old/f", "old");
    let tx = root.begin();
    tx.write("d/e/f", "new");
    tx.whiteout("d/e/gone");
    tx.opaque("old");
    tx.write("old/g", "new");
    lsetxattr(tx.path("d/e"), "user.mine", b"1", XattrFlags::empty()).unwrap();
    for name in ["d/e", "d"] {
        chmod(&tx.path(name), 0o2750);
        set_mtime(&tx.path(name), 1_100_000_000);
    }
    let open = |name: &&str| fs::File::open(tx.path(name)).unwrap();
    let stands = ["d", "d/e", "old"].each_ref().map(open);
    let copy = CommitTerms { copy: true, ..terms() };
    root.commit(tx, copy, Others::default()).unwrap();
    for stand in &stands {
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let _ = openat(stand, "late", flags, Mode::from_raw_mode(0o600));
    }
    assert_eq!(root.names("d"), ["e"]);
    assert_eq!((root.names("d/e"), root.names("old")), (vec!["f".into()], vec!["g".into()]));
    for name in ["d/e", "d"] {
        assert_eq!(mtime(&root.path(name)), 1_100_000_000_000_000_005, "{name}");
        assert_eq!(root.mode(name), 0o2750, "{name}");
    }
    assert_eq!(xattrs(&root.path("d/e")).into_keys().collect::<Vec<_>>(), ["user.mine"]);
}

#[test]
fn without_a_copy_it_is_the_commands_own_file() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("f", "new");
    let mut writer = fs::OpenOptions::new().append(true).open(tx.path("f")).unwrap();
    root.commit_plainly(tx);
    writer.write_all(b"er").unwrap();
    assert_eq!(root.read("f"), "newer");
}
