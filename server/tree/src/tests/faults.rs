//! Full disks, read-only roots, roots on other mounts, and roots that go away.

use std::{fs, process::Command};

use super::*;
use crate::{
    Last, Reason,
    mutation::{HardLink, ModeChange, Moment, Remove, Rename, SetAttributes, Symlink, Touch},
    stat,
};

const INSIDE: &str = "ONEWRITER_TEST_NAMESPACE";

/// Whether this is the run in a user and mount namespace of its own, where mounting is allowed to
/// anybody. If not, runs the test called `name` of this program again in such a one.
fn in_own_namespace(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = ["--user", "--map-root-user", "--mount"];
    let may = Command::new("unshare").args(unshare).arg("true").output();
    if !may.is_ok_and(|done| done.status.success()) {
        untested("no user and mount namespace is to be had here");
        return false;
    }
    let test = format!("tests::faults::{name}");
    let done = Command::new("unshare")
        .args(unshare)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn mount(args: &[&str], at: &Path) {
    let done = Command::new("mount").args(args).arg(at).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

impl Root {
    /// On a filesystem of its own.
    fn on_tmpfs(options: &str) -> Self {
        let outside = TempDir::new().unwrap();
        let dir = outside.path().join("root");
        fs::create_dir(&dir).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "none"], &dir);
        Self::at(outside, dir)
    }
}

/// One of each kind of change, of things that exist (`d/f`, `d/e/`) and of new ones.
fn every_kind(root: &Root) -> Vec<Box<dyn Mutation>> {
    let (replace, parents, umask) = (true, true, 0o022);
    let (no_create, must_create, keep_unchanged) = (false, false, false);
    let (at, now) = (rel, Moment::Now);
    let mut publish = Publish::new(at("p/q/new"), local(&root.outside("source"), false));
    publish.parents = true;
    vec![
        Box::new(make("p/q/r")),
        Box::new(publish),
        Box::new(Publish::new(at("d/f"), local(&root.outside("source"), false))),
        Box::new(Publish::new(at("d/new"), local(&root.outside("source"), true))),
        Box::new(Symlink { path: at("p/l"), target: b"x".into(), replace, parents, umask }),
        Box::new(Symlink { path: at("d/f"), target: b"x".into(), replace, parents, umask }),
        Box::new(HardLink { source: at("d/f"), path: at("p/h"), replace, parents, umask }),
        Box::new(Touch { path: at("d/new"), no_create, atime: now, mtime: now, umask }),
        Box::new(Rename {
            from: at("d/f"),
            to: at("p/f"),
            must_create,
            parents,
            keep_unchanged,
            umask,
        }),
    ]
}

/// As [`every_kind`], of changes that need no room.
fn in_place() -> Vec<Box<dyn Mutation>> {
    let remove = |path, recursive| Remove {
        path: rel(path),
        recursive,
        allow_missing: false,
        directory: false,
    };
    let mode = Some(ModeChange { keep: 0, set: 0 });
    let path = rel("d/f");
    vec![
        Box::new(remove("d/f", false)),
        Box::new(remove("d", true)),
        Box::new(SetAttributes { path, mode, uid: None, gid: None, atime: None, mtime: None }),
    ]
}

#[test]
fn a_full_disk() {
    if !in_own_namespace("a_full_disk") {
        return;
    }
    let root = Root::on_tmpfs("size=64k");
    root.mkdir("d");
    root.write("d/f", "old");
    let big = "x".repeat(100_000);
    for name in ["d/f", "d/new", "p/q/new"] {
        let error = root.publish(name, &big, |p| p.parents = true).unwrap_err();
        assert_eq!(error.reason, Reason::NoSpace, "{name}: {error}");
        root.assert_staging_empty();
    }
    assert_eq!((root.names("d"), root.read("d/f")), (vec!["f".into()], "old".into()));
    assert!(!root.exists("p"), "no directory for what could not be written");
    // There is room again.
    assert_eq!(root.publish("d/f", "new", |_| {}).unwrap(), Outcome::Replaced);
}

#[test]
fn no_more_inodes() {
    if !in_own_namespace("no_more_inodes") {
        return;
    }
    let root = Root::on_tmpfs("nr_inodes=9");
    root.mkdir("d/e");
    root.write("d/f", "old");
    for n in 0.. {
        if fs::write(root.path(&format!("filler{n}")), "").is_err() {
            break;
        }
    }
    let before = root.names(".");
    fs::write(root.outside("source"), "new").unwrap();
    for mut change in every_kind(&root) {
        let (done, changes) = root.attempt(&mut *change);
        let error = done.unwrap_err();
        assert_eq!((error.reason, changes.len()), (Reason::NoSpace, 0), "{error}");
        assert_eq!(
            (root.names("."), root.names("d")),
            (before.clone(), vec!["e".into(), "f".into()])
        );
        root.assert_staging_empty();
    }
    assert!(root.read("d/f") == "old" && root.outside("source").exists());
}

#[test]
fn a_read_only_root() {
    if !in_own_namespace("a_read_only_root") {
        return;
    }
    let root = Root::on_tmpfs("size=1m");
    root.mkdir("d/e");
    root.write("d/f", "old");
    fs::write(root.outside("source"), "new").unwrap();
    mount(&["-o", "remount,ro"], &root.dir);
    for mut change in every_kind(&root).into_iter().chain(in_place()) {
        let method = change.method();
        let (done, changes) = root.attempt(&mut *change);
        let error = done.unwrap_err();
        assert_eq!((error.reason, changes.len()), (Reason::ReadOnly, 0), "{method}: {error}");
    }
    assert_eq!(
        (root.names("."), root.names("d")),
        (vec![".onewriter".into(), "d".into()], vec!["e".into(), "f".into()])
    );
    root.assert_staging_empty();
    assert!(root.outside("source").exists());
    // What is so already needs no writing.
    assert_eq!(root.publish("d/f", "old", |_| {}).unwrap(), Outcome::Unchanged);
    assert_eq!(root.run(make("d/e")).unwrap(), ["d/e existed"]);
}

/// The same filesystem mounted twice refuses to rename from one to the other.
#[test]
fn another_mount_of_the_same_filesystem() {
    if !in_own_namespace("another_mount_of_the_same_filesystem") {
        return;
    }
    let root = Root::on_tmpfs("size=1m");
    root.mkdir("real/t/sub");
    root.mkdir("mounted");
    root.write("s", "x");
    mount(&["--bind", root.path("real").to_str().unwrap()], &root.path("mounted"));
    let done = root.run(Publish::new(rel("mounted/f"), in_tree("s", true))).unwrap();
    assert_eq!(done, ["mounted/f created", "s removed"]);
    assert_eq!(root.read("real/f"), "x");
    let remove =
        Remove { path: rel("mounted/t"), recursive: true, allow_missing: false, directory: false };
    assert_eq!(root.run(remove).unwrap(), ["mounted/t removed"]);
    // To replace needs a rename out of staging, which cannot be had.
    let error = root.publish("mounted/f", "y", |_| {}).unwrap_err();
    assert_eq!(error.reason, Reason::CrossDevice);
    assert_eq!(root.read("mounted/f"), "x");
    let mountpoint =
        Remove { path: rel("mounted"), recursive: true, allow_missing: false, directory: false };
    root.run(mountpoint).unwrap_err();
    assert_eq!(root.read("mounted/f"), "x", "a mount point is not emptied");
    root.assert_staging_empty();
}

/// A mount inside of a removed tree goes out of sight with it; what is on it is not deleted.
#[test]
fn a_mount_inside_of_a_removed_tree() {
    if !in_own_namespace("a_mount_inside_of_a_removed_tree") {
        return;
    }
    let root = Root::on_tmpfs("size=1m");
    root.mkdir("t/mounted");
    root.mkdir("t/other");
    let other = root.outside("other");
    fs::create_dir_all(other.join("sub")).unwrap();
    fs::write(other.join("sub/file"), "").unwrap();
    mount(&["--bind", other.to_str().unwrap()], &root.path("t/mounted"));
    let (recursive, allow_missing, directory) = (true, false, false);
    root.run(Remove { path: rel("t"), recursive, allow_missing, directory }).unwrap();
    let [name] = &root.tree.staging().leftovers(false).unwrap()[..] else { panic!() };
    assert_eq!(root.tree.staging().delete(name), Err(rustix::io::Errno::XDEV));
    assert!(other.join("sub/file").exists());
    let left = root.path(".onewriter/staging").join(str::from_utf8(name).unwrap());
    assert_eq!(names(&left), ["mounted"], "the rest is gone");
}

#[test]
fn a_root_that_was_removed() {
    let root = Root::new();
    fs::write(root.outside("source"), "x").unwrap();
    fs::remove_dir_all(&root.dir).unwrap();
    let top: Vec<Box<dyn Mutation>> = vec![
        Box::new(make(".")),
        Box::new(make("x")),
        Box::new(Publish::new(rel("x"), local(&root.outside("source"), true))),
        Box::new(Touch {
            path: rel("x"),
            no_create: true,
            atime: Moment::Now,
            mtime: Moment::Now,
            umask: 0,
        }),
        Box::new(Symlink {
            path: rel("x"),
            target: b"y".into(),
            replace: false,
            parents: false,
            umask: 0,
        }),
        Box::new(SetAttributes {
            path: rel("x"),
            mode: None,
            uid: None,
            gid: None,
            atime: None,
            mtime: None,
        }),
        Box::new(Remove { path: rel("x"), recursive: true, allow_missing: true, directory: false }),
    ];
    for mut change in every_kind(&root).into_iter().chain(in_place()).chain(top) {
        let (done, changes) = root.attempt(&mut *change);
        let error = done.unwrap_err();
        assert_eq!((error.reason, changes.len()), (Reason::RootGone, 0), "{}", change.method());
    }
    assert_eq!(stat(&root.tree, &rel("x"), Last::Follow).unwrap_err().reason, Reason::RootGone);
    assert!(root.outside("source").exists() && !root.dir.exists());
}
