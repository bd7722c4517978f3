//! Lines during which the tree changes: what was foreseen does not happen, and is told as the tools
//! tell it.

use std::fs;

use crate::support::{Done, Root, until};

/// Runs a line that waits for a lease on `path`, and changes the tree behind it meanwhile.
#[track_caller]
fn surprised(root: &Root, path: &str, change: &str, line: &str) -> Done {
    let (began, go_on) = (root.outside("began"), root.outside("go-on"));
    let script = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.01; done; {change}",
        began.display(),
        go_on.display()
    );
    let holder = root.client().start(["lock", path, "--", "/bin/sh", "-c", &script]);
    until("the lease is held", || began.exists());
    let line = root.client().env("LC_ALL", "C").start(["simple", line]);
    until("the line waits", || {
        let status = root.run("status --json").json();
        let leases = status["leases"].as_array().cloned().unwrap_or_default();
        leases.iter().any(|lease| lease["waiters"].as_array().is_some_and(|w| !w.is_empty()))
    });
    fs::write(&go_on, "").unwrap();
    holder.done().ok();
    fs::remove_file(began).unwrap();
    fs::remove_file(go_on).unwrap();
    line.done()
}

#[test]
fn a_directory_that_came_first_is_an_error_and_the_chain_ends() {
    let root = Root::new();
    let line = "echo one && mkdir x && touch never && echo no; echo two; touch after";
    let done = surprised(&root, "x", "mkdir x", line);
    assert_eq!(done.text(), "one\ntwo");
    assert_eq!(done.stderr, "mkdir: cannot create directory 'x': File exists\n");
    assert!(done.succeeded() && !root.at("never").exists() && root.at("after").exists());
}

#[test]
fn what_is_gone_is_missed_and_the_rest_is_done() {
    let root = Root::new();
    for name in ["a", "b", "c"] {
        root.write(name, "");
    }
    let done = surprised(&root, "b", "rm b", "rm a b c");
    assert_eq!(done.stderr, "rm: cannot remove 'b': No such file or directory\n");
    assert!(done.code() == Some(1) && !root.at("a").exists() && !root.at("c").exists());
}

#[test]
fn later_commands_find_the_tree_as_it_is() {
    let root = Root::new();
    root.write("f", "f");
    let done = surprised(&root, "d", "mkdir d", "mkdir d; cd d; cp ../f f; mkdir e");
    assert_eq!(done.stderr, "mkdir: cannot create directory 'd': File exists\n");
    assert!(done.succeeded() && root.read("d/f") == "f" && root.at("d/e").is_dir());
    assert!(root.staging().is_empty());
}
