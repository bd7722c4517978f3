use std::{fs, os::fd::AsFd as _};

use super::*;
use crate::{Fault, Reason};

#[test]
fn parents_are_made_and_reported_in_order() {
    let root = Root::new();
    assert_eq!(root.run(make("a/b/c")).unwrap(), ["a created", "a/b created", "a/b/c created"]);
    assert_eq!(root.run(make("a/b/c")).unwrap(), ["a/b/c existed"]);
    assert_eq!(root.run(make("a/b/d")).unwrap(), ["a/b/d created"]);
    assert_eq!(root.run(make(".")).unwrap(), [". existed"]);
}

#[test]
fn the_shortcut_sees_only_directories() {
    let root = Root::new();
    root.mkdir("d");
    root.write("f", "");
    let short = |path: &str, must_create| {
        let mut effects = Effects::new(false);
        let done = MakeDirectory { must_create, ..make(path) }.shortcut(&root.tree, &mut effects);
        assert_eq!(done, !effects.changes.is_empty());
        done
    };
    assert!(short("d", false));
    assert!(!short("d", true));
    assert!(!short("f", false));
    assert!(!short("missing", false));
}

#[test]
fn what_is_in_the_way_is_named() {
    let root = Root::new();
    root.mkdir("a");
    root.write("a/file", "");
    mkfifo(&root.path("a/fifo"));
    for (path, part, kind) in [
        ("a/file", "a/file", "a regular file"),
        ("a/file/x", "a/file", "a regular file"),
        ("a/file/x/y", "a/file", "a regular file"),
        ("a/fifo/x", "a/fifo", "a fifo"),
    ] {
        let error = root.run(make(path)).unwrap_err();
        assert_eq!(error.reason, Reason::NotADirectory, "{path}");
        assert_eq!(error.component.as_deref(), Some(part.as_bytes()), "{path}");
        assert_eq!(error.path, path.as_bytes());
        assert!(error.what.contains(kind), "{error}");
    }
    assert_eq!(root.names("a"), ["fifo", "file"]);
}

#[test]
fn must_create_refuses_what_is_there() {
    let root = Root::new();
    root.mkdir("a");
    root.link("a", "link");
    for path in ["a", ".", "link"] {
        let error = root.run(MakeDirectory { must_create: true, ..make(path) }).unwrap_err();
        assert_eq!(error.reason, Reason::Exists);
    }
    let made = root.run(MakeDirectory { must_create: true, ..make("a/b") }).unwrap();
    assert_eq!(made, ["a/b created"]);
}

#[test]
fn without_parents_the_missing_one_is_named() {
    let root = Root::new();
    root.mkdir("a");
    let error = root.run(MakeDirectory { parents: false, ..make("a/b/c/d") }).unwrap_err();
    assert_eq!((error.reason, error.component), (Reason::NotFound, Some(b"a/b".to_vec())));
    assert!(!root.exists("a/b"));
}

#[test]
fn modes_come_from_the_request() {
    let root = Root::new();
    root.run(MakeDirectory { umask: 0o027, ..make("p/d") }).unwrap();
    assert_eq!((root.mode("p"), root.mode("p/d")), (0o750, 0o750));
    root.run(MakeDirectory { umask: 0o777, ..make("q/d") }).unwrap();
    assert_eq!((root.mode("q"), root.mode("q/d")), (0o300, 0o000));
    for exact in [0o000, 0o700, 0o777, 0o1777, 0o2755, 0o4711, 0o7777] {
        let name = format!("m/{exact:o}");
        let made = MakeDirectory { mode: Some(exact), umask: 0o077, ..make(&name) };
        root.run(made).unwrap();
        assert_eq!(root.mode(&name), exact);
    }
    assert_eq!(root.mode("m"), 0o700);
    // An existing one keeps its mode.
    root.run(MakeDirectory { mode: Some(0o711), ..make("m/777") }).unwrap();
    assert_eq!(root.mode("m/777"), 0o777);
}

#[test]
fn set_gid_directories_hand_it_down() {
    let root = Root::new();
    root.mkdir("shared");
    chmod(&root.path("shared"), 0o2775);
    root.run(make("shared/a/b")).unwrap();
    assert_eq!((root.mode("shared/a"), root.mode("shared/a/b")), (0o2755, 0o2755));
    root.run(MakeDirectory { mode: Some(0o700), ..make("shared/c") }).unwrap();
    assert_eq!(root.mode("shared/c"), 0o2700);
}

#[test]
fn a_link_to_a_directory_inside_counts_as_one() {
    let root = Root::new();
    root.mkdir("real/sub");
    root.link("real", "relative");
    root.link(root.path("real"), "absolute");
    root.link("absolute", "chain");
    root.link("../real/../chain", "real/back");
    for link in ["relative", "absolute", "chain", "real/back"] {
        assert_eq!(root.run(make(link)).unwrap(), ["real existed"], "{link}");
        assert_eq!(root.run(make(&format!("{link}/sub"))).unwrap(), ["real/sub existed"]);
        let made = root.run(make(&format!("{link}/{link}.d"))).unwrap();
        assert_eq!(made.last().unwrap(), &format!("real/{link}.d created"));
    }
}

#[test]
fn a_link_that_leads_elsewhere_is_refused() {
    let root = Root::new();
    root.mkdir("real");
    root.write("file", "");
    root.link("real", "good");
    root.link("missing", "dangling");
    root.link("file", "to-file");
    root.link("missing/../real", "through-nothing");
    root.link(root.outside("elsewhere"), "out");
    root.link("../elsewhere", "up");
    root.link("loop-b", "loop-a");
    root.link("loop-a", "loop-b");
    root.link("self/x", "self");
    root.link("../dangling", "real/dangling");
    for (link, reason) in [
        ("dangling", Reason::NotADirectory),
        ("to-file", Reason::NotADirectory),
        ("through-nothing", Reason::NotFound),
        ("out", Reason::OutsideRoot),
        ("up", Reason::OutsideRoot),
        ("loop-a", Reason::SymlinkLoop),
        ("self", Reason::SymlinkLoop),
    ] {
        for path in [link.to_owned(), format!("{link}/x"), format!("{link}/x/y")] {
            let error = root.run(make(&path)).unwrap_err();
            assert_eq!(error.reason, reason, "{path}: {error}");
            assert_eq!(error.path, path.as_bytes());
            let named = error.component.expect("the link is named");
            assert!(reason == Reason::SymlinkLoop || named == link.as_bytes(), "{path}");
        }
    }
    // Nor does another link on the way change that.
    let error = root.run(make("good/dangling/x")).unwrap_err();
    assert_eq!(error.reason, Reason::NotADirectory);
    assert!(!root.exists("missing") && !root.outside("elsewhere").exists());
}

#[test]
fn the_daemons_own_is_refused_also_behind_a_link() {
    let root = Root::new();
    root.link(".onewriter", "link");
    root.link(root.path(".onewriter/staging"), "absolute");
    for path in ["link/x", "absolute/x", "link/staging/x", "link"] {
        let error = root.run(make(path)).unwrap_err();
        assert_eq!(error.reason, Reason::PathReserved, "{path}");
    }
    root.assert_staging_empty();
}

#[test]
fn long_names_and_deep_paths() {
    let root = Root::new();
    root.run(make(&"n".repeat(255))).unwrap();
    let deepest = "d/".repeat(2047) + "d";
    assert_eq!(deepest.len(), 4095);
    assert_eq!(root.run(make(&deepest)).unwrap().len(), 2048);
    assert_eq!(root.run(make(&deepest)).unwrap().len(), 1);
    // One byte more, by way of a link.
    let to = "d/".repeat(100) + "d";
    root.link(&to, "x");
    let error = root.run(make(&format!("x/{}", "d/".repeat(2000) + "dd"))).unwrap_err();
    assert_eq!(error.reason, Reason::PathTooLong);
    // What the standard library cannot delete by its path is deleted all the same.
    fs::remove_file(root.path("x")).unwrap();
    crate::trash::delete(root.tree.dir(b"").unwrap().as_fd(), b"d").unwrap();
    assert!(!root.exists("d"));
}

#[test]
fn names_need_not_be_utf_8() {
    let root = Root::new();
    let path = RelPath::parse(b"caf\xe9/\xff\xfe").unwrap();
    root.run(MakeDirectory { path: path.clone(), ..make("x") }).unwrap();
    assert!(root.tree.is_directory(&path));
}

#[test]
fn many_make_the_same_tree_at_once() {
    let root = Root::new();
    for round in 0..50 {
        let created: usize = std::thread::scope(|scope| {
            let run = || root.run(make(&format!("r{round}/a/b/c"))).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            let made = threads.into_iter().flat_map(|t| t.join().unwrap());
            made.filter(|change| change.ends_with("created")).count()
        });
        assert_eq!(created, 4, "each directory has one maker");
    }
}

#[test]
fn a_closed_directory_on_the_way_is_named() {
    let root = Root::new();
    root.mkdir("open/closed/below");
    chmod(&root.path("open/closed"), 0o600);
    let error =
        unprivileged(root.outside.path(), || root.run(make("open/closed/below/x")).unwrap_err());
    assert_eq!(error.reason, Reason::Permission);
    assert_eq!(error.component.as_deref(), Some(&b"open/closed"[..]), "{error}");
}

#[test]
fn what_was_in_the_way_and_is_gone_is_looked_at_again() {
    use rustix::io::Errno;
    let root = Root::new();
    root.mkdir("d");
    let explain = |errno| root.tree.explain(&rel("d/a/b"), b"d/a", errno);
    // Something stood at `d/a`, or on the way to it, that was no directory; now nothing does.
    assert!(matches!(explain(Errno::NOTDIR), Fault::Moved));
    let Fault::Failed(missing) = explain(Errno::NOENT) else { panic!("it is missing") };
    assert_eq!((missing.reason, missing.component), (Reason::NotFound, Some(b"d/a".to_vec())));
}
