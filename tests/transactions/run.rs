//! A command whose changes happen together, or not at all.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
};

use rustix::process::Signal;

use super::{client, go_on, is_there, nothing_is_left, processes, script, waiting, words};
use crate::support::{Process, Root, picture, until};

#[test]
fn what_a_command_did_happens_when_it_has_succeeded() {
    let root = Root::new();
    root.write("old", "1");
    root.write("gone/x", "1");
    let run = waiting(&root, "", "true");
    go_on(&root);
    run.done().ok();
    let before = picture(root.path());
    let rest =
        "echo 2 > old; rm -r gone; mkdir -p d/e; echo 3 > d/e/f; ln -s f d/e/l; chmod 600 old";
    let run = client(&root).start(words("", &format!("{rest}; {}", super::WAIT)));
    until("the command has done all", || super::runs(&root) == 2);
    assert_eq!(picture(root.path()), before);
    go_on(&root);
    run.done().ok();
    assert_eq!((root.read("old"), root.read("d/e/f")), ("2\n".into(), "3\n".into()));
    assert!(!is_there(root.at("gone")));
    assert_eq!(fs::read_link(root.at("d/e/l")).unwrap().to_str(), Some("f"));
    nothing_is_left(&root);
}

#[test]
fn of_a_command_that_fails_nothing_has_happened() {
    let root = Root::new();
    root.write("old", "1");
    let before = picture(root.path());
    let done = script(&root, "", "echo 2 > old; echo 3 > new; exit 7");
    assert_eq!((done.code(), &done.stderr[..]), (Some(7), ""));
    assert_eq!(picture(root.path()), before);
    nothing_is_left(&root);
}

#[test]
fn what_a_failed_command_had_written_can_be_kept() {
    let root = Root::new();
    let done = script(&root, "--keep-failed", "echo 3 > new; exit 7");
    assert_eq!(done.code(), Some(7));
    let kept = done.stderr.split('\'').nth(1).unwrap_or_else(|| panic!("{done}"));
    assert_eq!(fs::read_to_string(format!("{kept}/new")).unwrap(), "3\n");
    assert!(!is_there(root.at("new")));
}

#[test]
fn what_cannot_be_executed_has_a_shells_exit_codes() {
    let root = Root::new();
    root.write("data", "");
    root.run(["run", "no-such-program"]).exits(127);
    root.run(["run", "./data"]).exits(126);
    root.run(["run", "./no-such"]).exits(127);
    nothing_is_left(&root);
}

#[test]
fn it_has_the_callers_words_directory_umask_and_environment() {
    let root = Root::new();
    fs::create_dir(root.at("sub")).unwrap();
    let line = "umask 027; cd sub; exec onewriter run -- sh -c \
        'umask > u; echo \"$1|$2|$KEPT|$(pwd)\" > w; test -n \"$ONEWRITER_TRANSACTION\"' sh 'a b' --json";
    root.client().env("KEPT", "k").sh(line).ok();
    assert_eq!(root.read("sub/u"), "0027\n");
    assert_eq!(root.read("sub/w"), format!("a b|--json|k|{}\n", root.at("sub").display()));
    assert_eq!(fs::metadata(root.at("sub/w")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let root = Root::new();
    for line in [
        "run",
        "run --strict true",
        "run --isolation outputs true",
        "run --isolation none true",
        "run --on-conflict x true",
        "run --retries x true",
        "run --unchanged x true",
        "run --bogus true",
    ] {
        root.run(line).exits(2);
    }
}

#[test]
fn a_signal_to_the_client_is_the_commands() {
    let root = Root::new();
    for (signal, script) in [
        (Signal::TERM, "echo 2 > new; exec sleep 1000"),
        (Signal::INT, "echo 2 > new; exec sleep 1000"),
    ] {
        let script = format!("{script}; true");
        let run = client(&root).start(words("", &format!("echo $$ >> $BESIDE/ready; {script}")));
        until("the command runs", || super::runs(&root) > 0);
        Process(run.id()).signal(signal);
        let done = run.done();
        assert_eq!(done.status.signal(), Some(signal.as_raw()), "{done}");
        fs::remove_file(root.outside("ready")).unwrap();
    }
    assert!(!is_there(root.at("new")));
    nothing_is_left(&root);
}

#[test]
fn a_command_that_is_killed_ends_the_client_in_the_same_way() {
    let root = Root::new();
    let done = script(&root, "", "echo 2 > new; kill -9 $$");
    assert_eq!(done.status.signal(), Some(Signal::KILL.as_raw()));
    assert!(!is_there(root.at("new")));
    nothing_is_left(&root);
}

#[test]
fn a_client_that_is_killed_takes_its_command_along() {
    let root = Root::new();
    let run = waiting(&root, "", "echo 2 > new");
    let command = Process(processes(&root)[0]);
    Process(run.id()).kill();
    until("the command ends", || !command.lives());
    nothing_is_left(&root);
    assert!(!is_there(root.at("new")));
}

#[test]
fn processes_that_stay_are_told_of() {
    let root = Root::new();
    let done =
        script(&root, "", "echo 1 > f; sleep 1000 > /dev/null 2>&1 & echo $! > $BESIDE/left");
    let left = fs::read_to_string(root.outside("left")).unwrap().trim().parse().unwrap();
    Process(left).kill();
    assert!(done.succeeded() && done.stderr.contains("background"), "{done}");
    assert_eq!(root.read("f"), "1\n");
}

#[test]
fn a_daemon_that_is_started_meanwhile_is_no_process_that_stays() {
    let root = Root::new();
    let run = waiting(&root, "", "echo 2 > new");
    root.daemon().kill();
    go_on(&root);
    until("it runs again", || processes(&root).len() == 2);
    go_on(&root);
    let done = run.done();
    assert!(done.succeeded() && done.stderr.contains("again (1 of 3)"), "{done}");
    assert!(!done.stderr.contains("background"), "{done}");
    assert_eq!(root.read("new"), "2\n");
}

#[test]
fn what_processes_that_stay_write_later_is_not_in_the_tree() {
    let root = Root::new();
    let done = script(
        &root,
        "",
        "mkdir -p d/e; echo 1 > d/e/f; mkfifo $BESIDE/go
        { read go; echo 2 >> d/e/f; echo 2 > d/late; cd d/e; echo 2 > late; echo > $BESIDE/done; } \
            > /dev/null 2>&1 < $BESIDE/go &",
    );
    assert!(done.succeeded() && done.stderr.contains("background"), "{done}");
    fs::write(root.outside("go"), "go\n").unwrap();
    until("it has written", || is_there(root.outside("done")));
    assert_eq!(root.read("d/e/f"), "1\n");
    assert!(!is_there(root.at("d/late")) && !is_there(root.at("d/e/late")));
}

#[test]
fn what_is_written_outside_of_the_root_is_written_at_once() {
    let root = Root::new();
    let done = script(&root, "", "echo 1 > $BESIDE/outside; echo 2 > inside; exit 1");
    assert_eq!(done.code(), Some(1));
    assert_eq!(fs::read_to_string(root.outside("outside")).unwrap(), "1\n");
    assert!(!is_there(root.at("inside")));
}

#[test]
fn clients_in_a_command_belong_to_its_transaction() {
    let root = Root::new();
    root.write("src", "s");
    let inner = "set -e; onewriter init > /dev/null; onewriter mkdir d; onewriter publish src d/x
        onewriter mv d/x d/y; onewriter run -- sh -c 'echo z > d/z'; echo t | onewriter publish d/t
        test -e d/z; test ! -e d/x";
    let failing = script(&root, "", &format!("{inner}; exit 9"));
    assert_eq!(failing.code(), Some(9), "{failing}");
    assert!(!is_there(root.at("d")));
    script(&root, "", inner).ok();
    assert_eq!(
        (root.read("d/y"), root.read("d/z"), root.read("d/t")),
        ("s".into(), "z\n".into(), "t\n".into())
    );
    assert!(is_there(root.at(".onewriter/lock")), "the root is what it was");
    // What only a daemon can tell is told to be out of reach; no second daemon is started.
    let done = script(&root, "", "onewriter status");
    assert!(done.code() == Some(4) && done.stderr.contains("transaction"), "{done}");
    assert_eq!(root.daemons().len(), 1);
    script(&root, "", "onewriter run -- no-such-program").exits(127);
}

#[test]
fn what_was_not_declared_is_told_or_refused() {
    let root = Root::new();
    let done = script(&root, "-o a -o c", "echo 1 > a; echo 1 > b");
    assert!(done.succeeded(), "{done}");
    assert!(done.stderr.contains("'b'") && done.stderr.contains("'c'"), "{done}");
    assert_eq!(root.read("b"), "1\n");
    let strict = "--json --strict -o a";
    script(&root, strict, "echo 2 > a; echo 2 > b").failed(1, "UNDECLARED");
    assert_eq!(root.read("a"), "1\n");
    script(&root, strict, "echo 2 > a").ok();
    assert_eq!(root.read("a"), "2\n");
    for isolation in ["overlay", "outputs"] {
        let options = format!("--isolation {isolation} -o c");
        let told = script(&root, &options, "true");
        assert!(told.succeeded() && told.stderr.contains("not made: 'c'"), "{told}");
        script(&root, &format!("--json --strict {options}"), "true").failed(1, "UNDECLARED");
    }
}

#[test]
fn it_says_what_it_changed_where_it_is_asked() {
    let root = Root::new();
    let done = script(&root, "--json", "echo 1 > a");
    assert_eq!(done.outcomes(), ["created a"], "{done}");
    let done = script(&root, "-v", "echo 2 > a");
    assert!(done.stderr.contains("overlay") && done.stderr.contains("'a'"), "{done}");
}

#[test]
fn an_unchanged_file_is_left_alone_or_renewed() {
    let root = Root::new();
    root.write("f", "1\n");
    let before = crate::support::stamp(root.at("f"));
    script(&root, "", "echo 1 > f").ok();
    assert_eq!(crate::support::stamp(root.at("f")), before);
    script(&root, "--unchanged touch", "echo 1 > f").ok();
    let after = crate::support::stamp(root.at("f"));
    assert!(after.0 == before.0 && after.1 > before.1, "{before:?} {after:?}");
}

#[test]
fn who_only_says_that_it_is_in_a_transaction_is_not() {
    let root = Root::new();
    for said in ["x-gone", "x-gone:1x", "x-gone:"] {
        root.client().env("ONEWRITER_TRANSACTION", said).run("mkdir d").ok();
        assert!(root.run("log").ok().contains("'d'"), "it went past the daemon");
        root.run("rm -r d").ok();
    }
    let script = "echo $ONEWRITER_TRANSACTION > ../said";
    super::script(&root, "", script).ok();
    let said = std::fs::read_to_string(root.outside("said")).unwrap();
    root.client().env("ONEWRITER_TRANSACTION", said.trim()).run("mkdir late").ok();
    assert!(root.run("log").ok().contains("'late'"), "its transaction is over");
}
