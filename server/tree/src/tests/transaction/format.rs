//! What each kind of thing in an upper directory asks for.

use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn its_directory_hides_the_state_directory_and_looks_like_the_root() {
    let root = Root::new();
    chmod(&root.dir, 0o751);
    let then = backdate(&root.dir);
    let tx = root.begin();
    assert_eq!((mode(&tx.dir), mtime(&tx.dir)), (0o751, then));
    let hides = fs::symlink_metadata(tx.path(".onewriter")).unwrap();
    assert_eq!(
        (FileType::from_raw_mode(hides.mode()), hides.rdev()),
        (FileType::CharacterDevice, 0)
    );
    assert!(tx.upper.name().starts_with("x-"));
}

#[test]
fn dropped_it_is_discarded() {
    let root = Root::new();
    let tx = root.begin();
    let before = root.tree.staging().discarded();
    drop(tx);
    assert_eq!(root.tree.staging().discarded(), before + 1);
    let left = root.names(".onewriter/staging");
    assert!(left.len() == 1 && left[0].starts_with("t-"), "{left:?}");
}

#[test]
fn kept_it_lies_where_nobody_deletes_it() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("d/f", "look");
    let kept = tx.upper.keep().unwrap();
    assert!(kept.is_absolute());
    assert_eq!(fs::read_to_string(kept.join("d/f")).unwrap(), "look");
    assert!(root.exists(".onewriter/failed"));
    assert!(root.names(".onewriter/staging").iter().all(|name| name.starts_with("t-")));
}

#[test]
fn nothing_at_all_is_no_change() {
    let root = Root::new();
    root.write("f", "x");
    let before = root.snapshot();
    let tx = root.begin();
    assert_eq!(root.commit_plainly(tx), Vec::<String>::new());
    assert_same(&before, &root.snapshot(), "nothing");
}

#[test]
fn every_kind_gets_its_place() {
    let root = Root::new();
    let tx = rich(&root);
    let changes = root.commit_plainly(tx);
    for (name, content) in [
        ("old", "new"),
        ("same-mode", "same-mode"),
        ("was-file/f", "in a directory"),
        ("keep/deep/old", "newer"),
        ("keep/deep/new", "new"),
        ("redone/new", "new"),
        ("redone/g", "redone/g"),
        ("was-dir", "in a file"),
        ("fresh/a/b/c", "new"),
        ("modes/f", "modes/f"),
    ] {
        assert_eq!(root.read(name), content, "{name}");
    }
    for gone in ["removed", "gone", "redone/sub"] {
        assert!(!root.exists(gone), "{gone}");
    }
    assert_eq!(fs::read_link(root.path("link")).unwrap(), Path::new("new"));
    assert_eq!((root.mode("same-mode"), root.mode("modes")), (0o755, 0o711));
    let nodes = root.snapshot();
    assert_eq!(nodes[OsStr::new("hard")].file, "fresh/a/b/c");
    let wearing = nodes.iter().filter(|(_, node)| !node.xattrs.is_empty()).map(|(name, _)| name);
    assert_eq!(wearing.collect::<Vec<_>>(), ["", "dressed", "given", "keep"]);
    let wears = |name: &str| nodes[OsStr::new(name)].xattrs.keys().cloned().collect::<Vec<_>>();
    assert_eq!(wears("dressed"), ["user.changed", "user.kept", "user.set"]);
    assert_eq!(wears("keep"), ["user.changed", "user.kept", "user.removed"]);
    assert_eq!(nodes[OsStr::new("")].xattrs["user.root"], b"new");
    let mut changes = changes;
    changes.sort();
    let expected = [
        ". attributes",
        "dressed attributes",
        "dressed/f replaced",
        "fifo created",
        "fresh created",
        "fresh/a created",
        "fresh/a/b created",
        "fresh/a/b/c created",
        "fresh/hard created",
        "given attributes",
        "gone removed",
        "hard created",
        "keep/deep/new created",
        "keep/deep/old replaced",
        "link replaced",
        "modes attributes",
        "old replaced",
        "redone replaced",
        "redone/g unchanged",
        "redone/new created",
        "redone/sub removed",
        "removed removed",
        "same unchanged",
        "same-mode attributes",
        "was-dir replaced",
        "was-file replaced",
        "was-file/f created",
    ];
    assert_eq!(changes, expected);
}

use std::ffi::OsStr;

#[test]
fn a_new_tree_is_one_rename() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("new/a/b/f", "x");
    tx.opaque("new");
    let inode = |path: &Path| fs::symlink_metadata(path).unwrap().ino();
    let before = [inode(&tx.path("new")), inode(&tx.path("new/a/b")), inode(&tx.path("new/a/b/f"))];
    root.commit_plainly(tx);
    assert_eq!(before, [root.inode("new"), root.inode("new/a/b"), root.inode("new/a/b/f")]);
}

#[test]
fn a_directory_without_the_mark_is_merged() {
    let root = Root::new();
    root.mkdir("d/e");
    root.write("d/kept", "kept");
    let inode = root.inode("d");
    let tx = root.begin();
    tx.write("d/new", "new");
    tx.write("d/e/new", "new");
    chmod(&tx.path("d"), root.mode("d"));
    chmod(&tx.path("d/e"), root.mode("d/e"));
    assert_eq!(root.commit_plainly(tx), ["d/new created", "d/e/new created"]);
    assert_eq!((root.inode("d"), root.read("d/kept")), (inode, "kept".to_owned()));
}

#[test]
fn a_directory_that_went_meanwhile_is_made_again_and_holds_no_whiteouts() {
    let root = Root::new();
    root.mkdir("d");
    let tx = root.begin();
    tx.write("d/new", "new");
    tx.whiteout("d/old");
    let times = backdate(&tx.path("d"));
    fs::remove_dir(root.path("d")).unwrap();
    root.commit(tx, terms(), Others::changed(&["d"])).unwrap();
    assert_eq!(root.names("d"), ["new"]);
    assert_eq!(mtime(&root.path("d")), times, "to drop a whiteout changes no time");
}

#[test]
fn a_whiteout_of_nothing_is_nothing() {
    let root = Root::new();
    let tx = root.begin();
    tx.whiteout("nobody");
    assert_eq!(root.commit_plainly(tx), ["nobody absent"]);
}

#[test]
fn names_need_not_be_utf8() {
    let root = Root::new();
    root.mkdir("d");
    let name = OsStr::from_bytes(b"\xff\xfe");
    let tx = root.begin();
    tx.mkdir("d");
    fs::write(tx.path("d").join(name), "x").unwrap();
    root.commit_plainly(tx);
    assert_eq!(fs::read(root.path("d").join(name)).unwrap(), b"x");
}

#[test]
fn sockets_and_devices_move_too() {
    let root = Root::new();
    let tx = root.begin();
    let listener = UnixListener::bind(tx.path("socket")).unwrap();
    let may = mknodat(
        CWD,
        tx.path("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        makedev(1, 3),
    );
    root.commit_plainly(tx);
    std::os::unix::net::UnixStream::connect(root.path("socket")).unwrap();
    drop(listener);
    if may.is_ok() {
        assert_eq!(fs::symlink_metadata(root.path("null")).unwrap().rdev(), makedev(1, 3));
    }
}

#[test]
fn attributes_of_the_command_stay_and_those_of_overlayfs_go() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("d/e/f", "x");
    for name in ["d", "d/e", "d/e/f"] {
        mark(&tx.path(name), "origin", b"x");
        lsetxattr(tx.path(name), "user.mine", b"1", XattrFlags::empty()).unwrap();
    }
    root.commit_plainly(tx);
    for name in ["d", "d/e", "d/e/f"] {
        let found = xattrs(&root.path(name));
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["user.mine"], "{name}");
    }
}

#[test]
fn directories_have_the_times_that_the_command_left() {
    let root = Root::new();
    root.mkdir("d/e");
    root.write("d/e/f", "old");
    for name in ["d/e", "d", ""] {
        backdate(&root.path(name));
    }
    let tx = root.begin();
    tx.write("d/e/f", "new");
    tx.write("new/f", "new");
    let unchanged = backdate(&tx.path("d/e"));
    let of_new = backdate(&tx.path("new"));
    let (of_d, of_root) = (mtime(&tx.path("d")), mtime(&tx.dir));
    root.commit_plainly(tx);
    let now = ["d/e", "new", "d", ""].map(|name| mtime(&root.path(name)));
    assert_eq!(now, [unchanged, of_new, of_d, of_root]);
}

#[test]
fn a_directory_that_others_changed_keeps_its_newer_time() {
    let root = Root::new();
    root.mkdir("d");
    let tx = root.begin();
    tx.write("d/new", "new");
    let before = backdate(&tx.path("d"));
    wait_for_the_clock(&root);
    root.write("d/theirs", "x");
    root.commit_plainly(tx);
    assert!(mtime(&root.path("d")) > before);
}

#[test]
fn the_roots_own_mode_is_a_merged_directorys() {
    let root = Root::new();
    chmod(&root.dir, 0o755);
    let tx = root.begin();
    chmod(&tx.dir, 0o750);
    assert_eq!(root.commit_plainly(tx), [". attributes"]);
    assert_eq!(mode(&root.dir), 0o750);
}

#[test]
fn ten_thousand_files_of_a_new_tree() {
    let root = Root::new();
    let tx = root.begin();
    for dir in 0..100 {
        tx.mkdir(&format!("new/{dir}"));
        for file in 0..100 {
            fs::write(tx.path(&format!("new/{dir}/{file}")), "x").unwrap();
        }
    }
    let began = std::time::Instant::now();
    let changes = root.commit_plainly(tx);
    eprintln!("10,000 files: {:?}", began.elapsed());
    assert_eq!(changes.len(), 10_101);
}

#[test]
fn what_no_path_can_name_is_refused() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("sub/.onewriter/lock", "x");
    let refused = root.commit(tx, terms(), Others::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::PathReserved);
    assert!(!root.exists("sub"));
}

#[test]
fn a_tree_that_changes_under_a_plan_is_planned_anew() {
    let root = Root::new();
    let tx = root.begin();
    tx.opaque("d");
    tx.write("d/ours", "x");
    let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::changed(&["d", "d/theirs"])));
    let claimed = |commit: &mut Commit| {
        let claims = commit.claims();
        claims.iter().map(|claim| (claim.path.to_string(), claim.access)).collect::<Vec<_>>()
    };
    use crate::{
        Fault,
        mutation::Access::{Exclusive, Shared},
    };
    assert_eq!(claimed(&mut commit), [(".".into(), Shared), ("d".into(), Exclusive)]);
    root.mkdir("d");
    root.write("d/theirs", "x");
    let mut effects = Effects::new(false);
    assert!(matches!(commit.prepare(&root.tree, &mut effects), Err(Fault::Moved)));
    commit.resolve(&root.tree).unwrap();
    let d_f = ("d/ours".into(), Exclusive);
    assert_eq!(claimed(&mut commit), [(".".into(), Shared), ("d".into(), Shared), d_f]);
    commit.prepare(&root.tree, &mut effects).unwrap();
    commit.apply(&root.tree, &mut effects).unwrap();
    assert_eq!(root.names("d"), ["ours", "theirs"]);
}

#[test]
fn one_step_needs_no_record() {
    let root = Root::new();
    for (files, needs) in [(1, false), (2, true)] {
        let tx = root.begin();
        (0..files).for_each(|n| tx.write(&format!("{files}-{n}"), "x"));
        let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
        assert!(commit.intent().is_none());
        commit.prepare(&root.tree, &mut Effects::new(false)).unwrap();
        assert_eq!(commit.intent().is_some(), needs);
    }
}

#[test]
fn durable_content_is_noted_with_few_handles() {
    let root = Root::new();
    root.mkdir("d");
    // Of several files, there are also the record and its directory.
    for (files, handles) in [(1, 1), (3, 3 + 2), (50, 4 + 2)] {
        let tx = root.begin();
        (0..files).for_each(|n| tx.write(&format!("d/{files}-{n}"), "x"));
        chmod(&tx.path("d"), root.mode("d"));
        let mut commit = Commit::new(tx.upper, terms(), Box::new(Others::default()));
        let mut effects = Effects::new(true);
        commit.prepare(&root.tree, &mut effects).unwrap();
        assert_eq!(effects.take_unsynced().len(), handles, "{files} files");
        commit.apply(&root.tree, &mut effects).unwrap();
        assert!((1..=4).contains(&effects.take_unsynced().len()));
    }
}
