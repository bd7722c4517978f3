use std::fs;

use proptest::prelude::*;

use super::*;
use crate::{Last, Reason};

/// Names that collide often, so that links meet directories and each other.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(String::from)
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..5).prop_map(|names| names.join("/"))
}

/// What a link says: relative with `..` and `.`, or absolute below the root.
fn target() -> impl Strategy<Value = (bool, String)> {
    let step = prop_oneof![
        4 => name(),
        2 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
    ];
    (any::<bool>(), prop::collection::vec(step, 1..5).prop_map(said))
}

/// Never absolute, and never nothing at all.
fn said(steps: Vec<String>) -> String {
    let says = steps.join("/");
    let relative = says.trim_start_matches('/');
    if relative.is_empty() { ".".into() } else { relative.into() }
}

#[derive(Clone, Debug)]
enum Entry {
    Directory(String),
    File(String),
    Link(String, (bool, String)),
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        3 => path().prop_map(Entry::Directory),
        1 => path().prop_map(Entry::File),
        4 => (path(), target()).prop_map(|(at, says)| Entry::Link(at, says)),
    ]
}

fn plant(root: &Root, entries: &[Entry]) {
    let inside =
        |at: &Path| fs::canonicalize(at).is_ok_and(|real| real.starts_with(root.tree.path()));
    for entry in entries {
        let (Entry::Directory(at) | Entry::File(at) | Entry::Link(at, _)) = entry;
        let at = root.path(at);
        // Through links as it happens, but never out of the root: each step is looked at before.
        let mut above: Vec<_> = at.ancestors().skip(1).collect();
        above.reverse();
        for step in above {
            if step.starts_with(&root.dir) && step != root.dir && inside(step.parent().unwrap()) {
                let _ = fs::create_dir(step);
            }
        }
        if !inside(at.parent().unwrap()) {
            continue;
        }
        let _ = match entry {
            Entry::Directory(_) => fs::create_dir(at),
            Entry::File(_) => fs::File::create_new(at).map(drop),
            Entry::Link(_, (true, says)) => symlink(root.path(says), at),
            Entry::Link(_, (false, says)) => symlink(says, at),
        };
    }
}

/// Whether a walk of `path` by the kernel steps out of the root on its way.
fn leaves_the_root(root: &Root, path: &str) -> bool {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    let dir = rustix::fs::open(&root.dir, OFlags::PATH, Mode::empty()).unwrap();
    let found = openat2(dir, path, OFlags::PATH, Mode::empty(), ResolveFlags::BENEATH);
    found.is_err()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where the kernel finds something inside, so do we, and at the same place; and we never find
    /// a place where the standard library finds one outside.
    #[test]
    fn agrees_with_the_standard_library(
        entries in prop::collection::vec(entry(), 0..12),
        asked in prop::collection::vec(path(), 1..8),
    ) {
        let root = Root::new();
        plant(&root, &entries);
        for path in asked {
            let ours = root.tree.canonicalize(&rel(&path), Last::Follow);
            match fs::canonicalize(root.path(&path)) {
                Ok(real) => match real.strip_prefix(root.tree.path()) {
                    Ok(inside) => match ours {
                        Ok(ours) => {
                            let bytes = std::os::unix::ffi::OsStrExt::as_bytes(inside.as_os_str());
                            prop_assert_eq!(ours.as_bytes(), bytes, "{}", path);
                        }
                        // Out of the root and back in again is refused.
                        Err(error) => {
                            prop_assert_eq!(error.reason, Reason::OutsideRoot);
                            prop_assert!(leaves_the_root(&root, &path));
                        }
                    },
                    Err(_) => prop_assert_eq!(ours.unwrap_err().reason, Reason::OutsideRoot),
                },
                // Nothing is there: then neither do we find anything.
                Err(_) => if let Ok(ours) = ours {
                    let there = fs::symlink_metadata(root.path(&ours.to_string()));
                    prop_assert!(there.is_err(), "{} is {}", path, ours);
                },
            }
        }
    }
}

#[test]
fn what_does_not_exist_stays_as_spelled() {
    let root = Root::new();
    root.mkdir("real");
    root.link("real", "link");
    root.link("real/new", "dangling");
    for (given, real) in [
        ("missing/a/b", "missing/a/b"),
        ("link/a/b", "real/a/b"),
        ("dangling", "real/new"),
        ("dangling/x", "real/new/x"),
        (".", "."),
    ] {
        let found = root.tree.canonicalize(&rel(given), Last::Follow).unwrap();
        assert_eq!(found, rel(real), "{given}");
    }
    for (given, real) in [("link", "link"), ("link/link", "real/link")] {
        assert_eq!(root.tree.canonicalize(&rel(given), Last::Keep).unwrap(), rel(real));
    }
}

#[test]
fn what_must_be_a_directory_is_one() {
    let root = Root::new();
    root.write("file", "");
    root.mkdir("dir");
    for (name, says) in [("dot", "file/."), ("slash", "file/"), ("up", "file/.."), ("none", "no/.")]
    {
        root.link(says, name);
        let error = root.tree.canonicalize(&rel(name), Last::Follow).unwrap_err();
        assert_eq!((error.reason, error.component), (Reason::NotFound, Some(name.into())));
    }
    for (name, says) in [("round", "dir/../file/."), ("round-again", "dir/../file/")] {
        root.link(root.path(says), name);
        let error = root.tree.canonicalize(&rel(name), Last::Follow).unwrap_err();
        assert_eq!(error.reason, Reason::NotFound, "{name}");
    }
    root.link("./dir/././", "dotted");
    assert_eq!(root.tree.canonicalize(&rel("dotted/x"), Last::Follow).unwrap(), rel("dir/x"));
}

#[test]
fn forty_links_and_no_more() {
    let root = Root::new();
    root.mkdir("l0");
    for n in 1..=41 {
        root.link(format!("l{}", n - 1), &format!("l{n}"));
    }
    assert_eq!(root.tree.canonicalize(&rel("l40"), Last::Follow).unwrap(), rel("l0"));
    let error = root.tree.canonicalize(&rel("l41"), Last::Follow).unwrap_err();
    assert_eq!(error.reason, Reason::SymlinkLoop);
}

#[test]
fn absolute_links_by_another_name_of_the_root() {
    let root = Root::new();
    root.mkdir("real");
    symlink(&root.dir, root.outside("alias")).unwrap();
    root.link(root.outside("alias/real"), "link");
    root.link(root.outside("alias/new"), "dangling");
    root.link(root.outside("alias"), "self");
    root.link(root.outside("alias/real/../../x"), "up");
    for (given, real) in [("link/x", "real/x"), ("dangling", "new"), ("self/real", "real")] {
        assert_eq!(root.tree.canonicalize(&rel(given), Last::Follow).unwrap(), rel(real));
    }
    let error = root.tree.canonicalize(&rel("up"), Last::Follow).unwrap_err();
    assert_eq!(error.reason, Reason::OutsideRoot);
    // A sibling whose name begins like the root's is not inside.
    fs::create_dir(root.outside("root-too")).unwrap();
    root.link(root.outside("root-too"), "sibling");
    let error = root.tree.canonicalize(&rel("sibling"), Last::Follow).unwrap_err();
    assert_eq!(error.reason, Reason::OutsideRoot);
}
