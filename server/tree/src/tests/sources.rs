//! Sources that will not do.

use std::{fs, os::unix::net::UnixListener};

use super::*;
use crate::Reason;

#[test]
fn only_regular_files_will_do_and_nothing_hangs() {
    let root = Root::new();
    root.mkdir("dir");
    mkfifo(&root.path("fifo"));
    let _socket = UnixListener::bind(root.path("socket")).unwrap();
    root.link("nowhere", "dangling");
    root.link("loop", "loop");
    for (name, says) in [
        ("dir", "a directory"),
        ("fifo", "a fifo"),
        ("socket", "a socket"),
        ("missing", "does not exist"),
        ("missing/below", "does not exist"),
        ("fifo/below", "a fifo"),
    ] {
        let beside = root.outside("beside");
        let _ = fs::remove_dir_all(&beside);
        fs::create_dir(&beside).unwrap();
        symlink(root.path(name), beside.join("link")).unwrap();
        for consume in [false, true] {
            let error = root.run(Publish::new(rel("f"), in_tree(name, consume))).unwrap_err();
            assert_eq!(error.reason, Reason::Source, "{name}: {error}");
            assert!(error.what.contains(says), "{error}");
            assert_eq!(error.path, b"f");
            let local = local(&root.path(name), consume);
            let error = root.run(Publish::new(rel("f"), local)).unwrap_err();
            assert!(
                matches!(error.reason, Reason::Source | Reason::NotADirectory),
                "{name}: {error}"
            );
        }
    }
    for name in ["dangling", "loop"] {
        let error = root.run(Publish::new(rel("f"), local(&root.path(name), false))).unwrap_err();
        assert_eq!(error.reason, Reason::Source, "{error}");
        let error = root.run(Publish::new(rel("f"), in_tree(name, false))).unwrap_err();
        assert!(matches!(error.reason, Reason::Source | Reason::SymlinkLoop), "{error}");
    }
    assert!(!root.exists("f"));
    root.assert_staging_empty();
}

#[test]
fn one_that_may_not_be_read() {
    let root = Root::new();
    root.write("closed", "x");
    root.mkdir("locked");
    root.write("locked/file", "x");
    fs::write(root.outside("closed"), "x").unwrap();
    chmod(&root.path("closed"), 0);
    chmod(&root.outside("closed"), 0);
    chmod(&root.path("locked"), 0o600);
    unprivileged(root.outside.path(), || {
        for source in [
            in_tree("closed", false),
            local(&root.outside("closed"), true),
            in_tree("locked/file", false),
        ] {
            let error = root.run(Publish::new(rel("f"), source)).unwrap_err();
            assert_eq!(error.reason, Reason::Source);
            assert!(error.component.is_some() && error.what.contains("permission"), "{error}");
        }
    });
    assert!(!root.exists("f") && root.outside("closed").exists());
}

#[test]
fn a_link_to_a_file_is_read_through() {
    let root = Root::new();
    root.write("real", "x");
    fs::write(root.outside("real"), "y").unwrap();
    root.link("real", "link");
    root.link(root.outside("real"), "out");
    symlink(root.outside("real"), root.outside("link")).unwrap();
    root.run(Publish::new(rel("f"), in_tree("link", false))).unwrap();
    root.run(Publish::new(rel("g"), local(&root.outside("link"), false))).unwrap();
    assert_eq!((root.read("f"), root.read("g")), ("x".into(), "y".into()));
    // A path of the tree never leads out of it.
    let error = root.run(Publish::new(rel("h"), in_tree("out", false))).unwrap_err();
    assert_eq!(error.reason, Reason::OutsideRoot);
}

#[test]
fn content_that_the_kernel_makes_up_has_no_size() {
    let root = Root::new();
    let source = Path::new("/proc/self/status");
    root.run(Publish::new(rel("f"), local(source, false))).unwrap();
    assert!(root.read("f").contains("Pid:"));
}
