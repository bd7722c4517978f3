//! Commands that get in each other's way, and daemons that end meanwhile.

use super::{go_on, runs, script, waiting};
use crate::support::{Root, until};

#[test]
fn a_command_whose_files_others_changed_is_run_again() {
    let root = Root::new();
    root.write("f", "0\n");
    let run = waiting(&root, "", "cat f > $BESIDE/seen; echo mine >> f");
    script(&root, "", "echo other > f").ok();
    go_on(&root);
    until("it is run again", || runs(&root) == 2);
    go_on(&root);
    let done = run.done();
    assert!(done.succeeded() && done.stderr.contains("'f' was changed meanwhile by"), "{done}");
    assert!(done.stderr.contains("(1 of 3)"), "{done}");
    assert_eq!(root.read("f"), "other\nmine\n");
    super::nothing_is_left(&root);
}

#[test]
fn a_conflict_may_be_final() {
    let root = Root::new();
    for (options, content) in [("--on-conflict fail", "other\n"), ("--retries 0", "other\n")] {
        root.write("f", "0\n");
        let run = waiting(&root, &format!("--json {options}"), "echo mine > f");
        script(&root, "", "echo other > f").ok();
        go_on(&root);
        let done = run.done();
        done.failed(1, "CONFLICT");
        assert!(done.stderr.contains("'f'"), "{done}");
        assert_eq!(root.read("f"), content);
    }
}

#[test]
fn the_last_one_may_overwrite() {
    let root = Root::new();
    root.write("f", "0\n");
    let run = waiting(&root, "--on-conflict last", "echo mine > f");
    script(&root, "", "echo other > f").ok();
    go_on(&root);
    let done = run.done();
    assert!(done.succeeded() && done.stderr.contains("overwritten"), "{done}");
    assert_eq!(root.read("f"), "mine\n");
}

#[test]
fn a_command_outlives_its_daemon_and_is_run_again() {
    let root = Root::new();
    root.started();
    let run = waiting(&root, "", "echo $ONEWRITER_TRANSACTION >> names");
    root.daemon().kill();
    go_on(&root);
    until("it is run again", || runs(&root) == 2);
    go_on(&root);
    let done = run.done();
    assert!(done.succeeded() && done.stderr.contains("the daemon ended"), "{done}");
    assert_eq!(root.read("names").lines().count(), 1);
    super::nothing_is_left(&root);
}

#[test]
fn daemons_that_keep_ending_are_given_up() {
    let root = Root::new();
    root.started();
    let run = waiting(&root, "--json --retries 0", "echo 1 > f");
    root.daemon().kill();
    go_on(&root);
    let done = run.done();
    done.failed(6, "BROKEN");
    assert!(!super::is_there(root.at("f")));
}
