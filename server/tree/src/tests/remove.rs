use std::fs;

use super::*;
use crate::{Reason, mutation::Remove};

fn remove(path: &str) -> Remove {
    Remove { path: rel(path), recursive: false, allow_missing: false, directory: false }
}

fn recursive(path: &str) -> Remove {
    Remove { recursive: true, ..remove(path) }
}

impl Root {
    /// Deletes what was removed, as the daemon does in the background.
    fn sweep(&self) {
        for name in self.tree.staging().leftovers(false).unwrap() {
            self.tree.staging().delete(&name).unwrap();
        }
        self.assert_staging_empty();
    }
}

#[test]
fn files_and_links_themselves() {
    let root = Root::new();
    root.mkdir("d");
    root.write("d/f", "");
    root.link("d", "link");
    mkfifo(&root.path("fifo"));
    for name in ["link", "fifo", "d/f"] {
        assert_eq!(root.run(remove(name)).unwrap(), [format!("{name} removed")]);
        assert!(!root.exists(name));
    }
    root.link("d", "link");
    root.write("d/f", "");
    assert_eq!(root.run(recursive("link")).unwrap(), ["link removed"]);
    assert_eq!(root.run(remove("d/f")).unwrap(), ["d/f removed"]);
}

#[test]
fn directories_only_when_meant() {
    let root = Root::new();
    root.mkdir("d/e");
    let empty = |path| Remove { directory: true, ..remove(path) };
    assert_eq!(root.run(remove("d/e")).unwrap_err().reason, Reason::IsADirectory);
    assert_eq!(root.run(empty("d")).unwrap_err().reason, Reason::NotEmpty);
    assert_eq!(root.run(empty("d/e")).unwrap(), ["d/e removed"]);
    assert_eq!(root.run(empty("d")).unwrap(), ["d removed"]);
    for root_refused in [remove("."), recursive("."), empty(".")] {
        assert_eq!(root.run(root_refused).unwrap_err().reason, Reason::BadRequest);
    }
}

#[test]
fn what_is_missing() {
    let root = Root::new();
    root.write("file", "");
    for name in ["x", "x/y", "x/y/z"] {
        assert_eq!(root.run(remove(name)).unwrap_err().reason, Reason::NotFound);
        let absent = root.run(Remove { allow_missing: true, ..recursive(name) }).unwrap();
        assert_eq!(absent, [format!("{name} absent")]);
    }
    let error = root.run(Remove { allow_missing: true, ..remove("file/x") }).unwrap_err();
    assert_eq!(error.reason, Reason::NotADirectory);
}

#[test]
fn a_tree_goes_in_one_step_and_is_deleted_later() {
    let root = Root::new();
    root.mkdir("t/a/b");
    root.mkdir("t/closed/deep");
    root.write("t/a/b/f", "");
    root.write("t/closed/deep/f", "");
    fs::create_dir(root.outside("keep")).unwrap();
    fs::write(root.outside("keep/file"), "").unwrap();
    root.link(root.outside("keep"), "t/out");
    root.link("..", "t/a/up");
    let inode = root.inode("t");
    chmod(&root.path("t/closed"), 0);
    unprivileged(root.outside.path(), || {
        assert_eq!(root.run(recursive("t")).unwrap(), ["t removed"]);
        assert!(!root.exists("t"));
        let [name] = &root.tree.staging().leftovers(false).unwrap()[..] else { panic!() };
        let moved = root.path(".onewriter/staging").join(str::from_utf8(name).unwrap());
        assert_eq!(fs::metadata(moved).unwrap().ino(), inode, "one rename");
        assert_eq!(root.tree.staging().discarded(), 1);
        root.sweep();
    });
    assert!(root.outside("keep/file").exists());
}

#[test]
fn closed_directories_go_as_well() {
    let root = Root::new();
    for mode in [0o000, 0o555, 0o500] {
        root.mkdir("t/sub");
        root.write("t/sub/f", "");
        chmod(&root.path("t"), mode);
        unprivileged(root.outside.path(), || {
            assert_eq!(root.run(recursive("t")).unwrap(), ["t removed"]);
            root.sweep();
        });
    }
    // Not those that lie where nothing may be removed.
    root.mkdir("locked/t");
    chmod(&root.path("locked/t"), 0o500);
    chmod(&root.path("locked"), 0o500);
    let error = unprivileged(root.outside.path(), || root.run(recursive("locked/t")).unwrap_err());
    assert_eq!(error.reason, Reason::Permission);
    assert_eq!(root.mode("locked/t"), 0o500);
}

#[test]
fn depth_costs_no_descriptors() {
    let root = Root::new();
    let deepest = "d/".repeat(2000) + "d";
    root.run(make(&deepest)).unwrap();
    root.run(recursive("d")).unwrap();
    let before = names(Path::new("/proc/self/fd")).len();
    std::thread::scope(|scope| {
        let sweep = scope.spawn(|| root.sweep());
        let mut most = 0;
        while !sweep.is_finished() {
            most = most.max(names(Path::new("/proc/self/fd")).len());
        }
        sweep.join().unwrap();
        // Other tests run beside this one.
        assert!(most < before + 500, "{most} descriptors were open");
    });
}

#[test]
fn a_failure_does_not_stop_the_rest() {
    let root = Root::new();
    root.mkdir("t/a");
    root.mkdir("t/b");
    root.write("t/a/f", "");
    root.write("t/b/f", "");
    let dir = root.tree.dir(b"").unwrap();
    crate::trash::delete(std::os::fd::AsFd::as_fd(&dir), b"t").unwrap();
    crate::trash::delete(std::os::fd::AsFd::as_fd(&dir), b"missing").unwrap();
    assert!(!root.exists("t"));
}

#[test]
fn without_staging_nothing_is_called_absent() {
    let root = Root::new();
    root.mkdir("t/a");
    fs::remove_dir_all(root.path(".onewriter")).unwrap();
    let gone = root.run(Remove { allow_missing: true, ..recursive("t") }).unwrap_err();
    assert_eq!(gone.reason, Reason::RootGone);
    assert!(root.exists("t/a"));
}
