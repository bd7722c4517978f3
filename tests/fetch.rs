//! Files and trees that are brought to another directory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::support::{Root, stamp};

/// A tree of a few files, and a directory for what is fetched.
fn root() -> (Root, tempfile::TempDir) {
    let root = Root::new();
    fs::create_dir_all(root.at("src/deep/empty")).unwrap();
    fs::write(root.at("src/a"), "a").unwrap();
    fs::write(root.at("src/deep/b"), "b".repeat(700_000)).unwrap();
    fs::write(root.at("src/nothing"), "").unwrap();
    fs::set_permissions(root.at("src/a"), fs::Permissions::from_mode(0o751)).unwrap();
    std::os::unix::fs::symlink("../a", root.at("src/deep/link")).unwrap();
    fs::write(root.at("other"), "other").unwrap();
    (root, tempfile::tempdir().unwrap())
}

fn fetch(root: &Root, to: &Path, paths: &str) -> (u64, u64, u64) {
    let done = root.client().json(format!("fetch --to {} {paths}", to.display()).as_str());
    let said = done.json();
    let number = |key: &str| said[key].as_u64().unwrap();
    (number("fetched"), number("bytes"), number("kept"))
}

/// All names below a directory.
fn names(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(self::names(&entry.path()).iter().map(|below| format!("{name}/{below}")));
        }
        names.push(name);
    }
    names.sort();
    names
}

#[test]
fn a_tree_comes_with_its_modes_times_and_links_and_leaves_nothing_beside_it() {
    let (root, to) = root();
    assert_eq!(fetch(&root, to.path(), "src"), (3, 700_001, 0));
    let all = [
        "src",
        "src/a",
        "src/deep",
        "src/deep/b",
        "src/deep/empty",
        "src/deep/link",
        "src/nothing",
    ];
    assert_eq!(names(to.path()), all);
    for file in ["src/a", "src/deep/b", "src/nothing"] {
        let (ours, theirs) = (to.path().join(file), root.at(file));
        assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap());
        let [ours, theirs] = [ours, theirs].map(|path| fs::metadata(path).unwrap());
        assert_eq!(ours.permissions(), theirs.permissions());
        assert_eq!(ours.modified().unwrap(), theirs.modified().unwrap());
    }
    assert_eq!(fs::read_link(to.path().join("src/deep/link")).unwrap(), Path::new("../a"));
}

#[test]
fn only_what_is_not_there_is_sent_and_the_rest_is_untouched() {
    let (root, to) = root();
    fetch(&root, to.path(), "src");
    let before = stamp(to.path().join("src/deep/b"));
    fs::write(root.at("src/a"), "A").unwrap();
    fs::set_permissions(root.at("src/nothing"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fetch(&root, to.path(), "src other"), (2, 6, 2));
    assert_eq!(fs::read(to.path().join("src/a")).unwrap(), b"A");
    assert_eq!(stamp(to.path().join("src/deep/b")), before);
    let nothing = fs::metadata(to.path().join("src/nothing")).unwrap();
    assert_eq!(nothing.permissions().mode() & 0o777, 0o600);
    assert_eq!(fetch(&root, to.path(), "src/deep/b"), (0, 0, 1));
}

#[test]
fn nothing_is_written_outside_of_the_directory_whatever_stands_in_it() {
    let (root, to) = root();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), to.path().join("src")).unwrap();
    let done = root.run(&format!("fetch --to {} src/a", to.path().display()));
    assert_ne!(done.code(), Some(0));
    assert_eq!(names(outside.path()), [""; 0]);
}

#[test]
fn another_root_has_its_own_staging() {
    let (root, _) = root();
    let worker = Root::new();
    assert_eq!(fetch(&root, &worker.at(""), "."), (4, 700_006, 0));
    assert_eq!(fs::read(worker.at("other")).unwrap(), b"other");
    assert!(!worker.at("src/.onewriter").exists());
    worker.run("publish src/a copy").ok();
}

#[test]
fn what_is_not_there_is_named() {
    let (root, to) = root();
    let to = to.path().display();
    root.refuses(&format!("fetch --to {to} missing"), 1, "NOT_FOUND");
    root.refuses(&format!("fetch --to {to}/missing other"), 1, "NOT_FOUND");
    let refused = root.client().env("ONEWRITER", "off").run(&format!("fetch --to {to} other"));
    assert_eq!(refused.code(), Some(2));
}
