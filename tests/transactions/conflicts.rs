//! Commands that get in each other's way, and daemons that end meanwhile.

use std::fs;

use super::{WAIT, client, go_on, is_there, pipe, runs, script, waiting};
use crate::support::{Done, Process, Root, Running, until};

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

/// Starts a shell's `line`, in which `$RUN` is a transaction that reads standard input into `out` and
/// changes `f`, and waits until it waits.
fn reading(root: &Root, line: &str) -> Running {
    root.write("f", "0\n");
    fs::write(root.outside("in"), "data\n").unwrap();
    let script = format!("[ -n \"$UNREAD\" ] || head -n 1 > out; {WAIT}; echo mine >> f");
    fs::write(root.outside("script"), script).unwrap();
    pipe(root);
    let before = runs(root);
    let client = client(root).env("RUN", "onewriter run --json -- sh ../script");
    let running = client.start_program("/bin/sh", ["-c", line]);
    until("the command runs", || runs(root) > before);
    running
}

/// Lets it go on to its end, as often as it is run.
fn to_the_end(root: &Root, running: Running) -> Done {
    let (process, before) = (Process(running.id()), runs(root));
    go_on(root);
    until("it is run again, or not", || runs(root) > before || !process.lives());
    if process.lives() {
        go_on(root);
    }
    running.done()
}

#[test]
fn what_was_read_of_a_pipe_cannot_be_read_again() {
    for line in [
        "cat ../in | exec $RUN",
        "yes | exec $RUN",
        "mkfifo ../open; exec 3<>../open; cat ../in >&3; exec $RUN <&3",
    ] {
        let root = Root::new();
        let run = reading(&root, line);
        script(&root, "", "echo other > f").ok();
        let done = to_the_end(&root, run);
        done.failed(1, "CONFLICT");
        assert!(done.stderr.contains("standard input"), "{done}");
        assert_eq!((runs(&root), is_there(root.at("out"))), (1, false));
    }
}

#[test]
fn nor_after_a_daemon_has_ended() {
    let root = Root::new();
    root.started();
    let run = reading(&root, "cat ../in | exec $RUN");
    root.daemon().kill();
    let done = to_the_end(&root, run);
    done.failed(6, "BROKEN");
    assert!(done.stderr.contains("standard input"), "{done}");
    assert!(!is_there(root.at("out")));
}

#[test]
fn a_file_is_read_again_from_where_it_stood() {
    for command in ["$RUN", "onewriter make -sf ../makefile"] {
        let root = Root::new();
        fs::write(root.outside("lines"), "first\ndata\n").unwrap();
        fs::write(root.outside("makefile"), "all: ; sh ../script\n").unwrap();
        // A shell reads no more of a file than the line.
        let run = reading(&root, &format!("exec < ../lines; read line; exec {command}"));
        script(&root, "", "echo other > f").ok();
        let done = to_the_end(&root, run);
        assert!(done.succeeded() && done.stderr.contains("(1 of 3)"), "{done}");
        assert_eq!((root.read("out"), root.read("f")), ("data\n".into(), "other\nmine\n".into()));
    }
}

#[test]
fn a_pipe_that_nobody_reads_does_not_matter() {
    let root = Root::new();
    for line in [
        "yes | exec $RUN",
        "cat ../in | exec $RUN",
        ": | exec $RUN",
        "mkfifo ../open; exec 3<>../open; exec $RUN <&3",
    ] {
        let run = reading(&root, &format!("export UNREAD=1; {line}"));
        script(&root, "", "echo other > f").ok();
        let done = to_the_end(&root, run);
        assert!(done.succeeded() && done.stderr.contains("(1 of 3)"), "{done}");
    }
}
