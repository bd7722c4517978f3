//! Daemons that are killed in the middle of a commit: the next one serves all of it or nothing.

use std::collections::BTreeMap;

use super::{nothing_is_left, words};
use crate::support::{Root, shape, untested};

/// A bit of everything that a commit can do.
const SCRIPT: &str = "echo new > replaced; rm removed; rm -r old; mkdir -p fresh/deep;
    echo f > fresh/deep/f; chmod 700 closed; ln -s fresh link; mkdir old; echo 2 > old/two;
    mv moved/from moved/to; echo more >> kept/appended; ln kept/one kept/other";

fn prepared() -> Root {
    let root = Root::new();
    for file in ["replaced", "removed", "old/one", "moved/from", "kept/appended", "kept/one"] {
        root.write(file, format!("{file}, as it was\n"));
    }
    std::fs::create_dir(root.at("closed")).unwrap();
    root
}

type Shape = BTreeMap<std::path::PathBuf, crate::support::Entry>;

/// Both ends that a transaction may have.
fn ends() -> [Shape; 2] {
    let before = prepared();
    let after = prepared();
    after.client().run(words("", SCRIPT)).ok();
    [shape(before.path()), shape(after.path())]
}

#[test]
fn killed_at_any_point_it_is_all_there_or_nothing_when_the_next_daemon_serves() {
    let [before, after] = ends();
    let mut killed = 0;
    for point in ["record", "prepared", "step", "steps-done", "done"] {
        for passage in 1.. {
            let root = prepared();
            let fault = format!("commit.{point}:{passage}");
            let client = root.client().env("ONEWRITER_FAULT", &fault);
            let done = client.run(words("--json", SCRIPT));
            if done.succeeded() {
                assert_eq!(shape(root.path()), after, "{fault}");
                assert!(passage > 1, "'{point}' is never passed");
                break;
            }
            killed += 1;
            done.failed(6, "BROKEN");
            assert!(done.stderr.contains("not known"), "{done}");
            assert!(root.daemons().is_empty(), "{fault}: it was to be killed");
            // Whatever is asked first: it comes after the repair.
            let _ = root.run("stat replaced");
            let now = shape(root.path());
            let is_whole = now == before || now == after;
            assert!(is_whole, "{fault}: neither before nor after:\n{now:#?}");
            if point == "done" {
                assert_eq!(now, after);
            }
            nothing_is_left(&root);
        }
    }
    assert!(killed > 10, "killed only {killed} times");
}

#[test]
fn what_the_next_daemon_completes_is_journalled_for_whom_it_was_done() {
    let root = prepared();
    let client =
        root.client().env("ONEWRITER_FAULT", "commit.step:3").env("ONEWRITER_TARGET", "all");
    assert_eq!(client.run(words("", SCRIPT)).code(), Some(6));
    let log = root.run("log --target all");
    assert!(log.ok().contains("run        removed    'removed'"), "{log}");
    assert!(root.at("fresh/deep/f").exists());
}

#[test]
fn a_daemon_that_cannot_repair_says_why_and_serves_nobody() {
    let root = prepared();
    let client = root.client().env("ONEWRITER_FAULT", "commit.step:3");
    assert_eq!(client.run(words("", SCRIPT)).code(), Some(6));
    // Neither on nor back: what is to be replaced may not be touched.
    let chattr = |how: &str| root.sh(&format!("chattr {how} * .")).succeeded();
    if !chattr("+i") {
        untested("this filesystem, or this user, cannot make a file immutable");
        return;
    }
    let refused = root.run("stat replaced");
    assert!(chattr("-i"));
    assert_eq!(refused.code(), Some(4), "{refused}");
    assert!(refused.stderr.contains("half done"), "{refused}");
    root.run("stat replaced").ok();
    nothing_is_left(&root);
    assert!(root.at("fresh/deep/f").exists());
}

#[test]
fn a_step_that_fails_takes_all_of_them_back() {
    let [before, _] = ends();
    for passage in 1.. {
        let root = prepared();
        let fault = format!("fail:commit.step:{passage}");
        let done = root.client().env("ONEWRITER_FAULT", &fault).run(words("--json", SCRIPT));
        if done.succeeded() {
            assert!(passage > 5, "only {passage} steps");
            break;
        }
        done.failed(1, "IO");
        assert_eq!(shape(root.path()), before, "{fault}");
        nothing_is_left(&root);
    }
}
