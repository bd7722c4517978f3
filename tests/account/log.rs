//! `onewriter log` by path, target and build.

use super::objects;
use crate::support::Root;

/// What is in the journal of `root` by these options, as in "mkdir a one b1".
fn logged(root: &Root, options: &str) -> Vec<String> {
    let told = objects(&root.run(&format!("log --json {options}")));
    let text = |r: &serde_json::Value| {
        ["method", "path", "target", "build"].map(|name| r[name].as_str().unwrap()).join(" ")
    };
    told.iter().map(text).collect()
}

fn root() -> Root {
    let root = Root::new();
    root.run("mkdir a --target one --build b1").ok();
    root.run("mkdir a/sub --target two --build b1").ok();
    root.run("mkdir ab --target one --build b2").ok();
    root.client().env("ONEWRITER_BUILD", "b3").env("ONEWRITER_TARGET", "three").run("mkdir c").ok();
    root
}

#[test]
fn by_path_with_what_lies_below_and_not_what_begins_alike() {
    let root = root();
    assert_eq!(logged(&root, "--path a"), ["mkdir a one b1", "mkdir a/sub two b1"]);
    assert_eq!(logged(&root, "--path a/sub"), ["mkdir a/sub two b1"]);
    assert_eq!(logged(&root, "--path nothing"), [""; 0]);
    // A file that was renamed is found under both its names.
    root.run("mv c d").ok();
    assert!(logged(&root, "--path c").contains(&"rename d  ".to_owned()));
}

#[test]
fn by_target_and_by_build_and_by_both() {
    let root = root();
    assert_eq!(logged(&root, "--target one"), ["mkdir a one b1", "mkdir ab one b2"]);
    assert_eq!(logged(&root, "--build b1"), ["mkdir a one b1", "mkdir a/sub two b1"]);
    assert_eq!(logged(&root, "--build b1 --target one"), ["mkdir a one b1"]);
    assert_eq!(logged(&root, "--build b3"), ["mkdir c three b3"]);
    assert_eq!(logged(&root, "--build b1 --path a/sub"), ["mkdir a/sub two b1"]);
    assert_eq!(logged(&root, "--build b4"), [""; 0]);
    let of_environment = root.client().env("ONEWRITER_BUILD", "b2").run("log --json");
    assert_eq!(objects(&of_environment).len(), 1);
}

#[test]
fn in_words_for_people() {
    let root = root();
    let text = root.run("log --target two");
    assert!(text.ok().contains("mkdir      created    'a/sub' for two pid "), "{text}");
}
