//! Without a sandbox.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command};

use rustix::process::{Signal, kill_process};

use crate::{
    support::{Tree, User, is_gone, noted_process, until},
    wrapper::{NOT_STARTED, TERMINATE},
};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_command_gets_words_directory_and_environment", a_command_gets_what_it_was_given),
    ("an_exit_code_is_handed_on", an_exit_code_is_handed_on),
    ("who_ends_by_a_signal_ends_by_it_here_too", an_end_by_signal_is_imitated),
    ("what_cannot_be_executed_says_why", what_cannot_be_executed_says_why),
    ("a_script_without_a_first_line_is_the_shells", a_script_without_a_first_line),
    ("a_signal_is_passed_on", a_signal_is_passed_on),
    ("a_timer_that_was_set_before_ends_the_command", a_timer_ends_the_command),
    ("signals_and_descriptors_are_inherited_as_they_were", nothing_inherited_changes),
    ("what_stays_in_the_background_is_noticed", background_is_noticed),
    ("a_killed_wrapper_takes_its_command_along", a_killed_wrapper_takes_its_command_along),
    ("a_tick_may_end_the_command", a_tick_may_end_the_command),
];

fn a_command_gets_what_it_was_given() {
    let tree = Tree::new(User::Own);
    let mut command = tree.wrapper(&[]);
    let note = "printf '%s|' \"$@\" \"$WRAPPED\" \"$KEPT\" \"$PWD\" > $BESIDE/note";
    command.args(["sh", "-c", note, "sh", "", "a b", "--x"]).env("KEPT", "1").env("WRAPPED", "no");
    command.current_dir(tree.root().join("sub"));
    tree.start(command).reports("Ended { ending: Exit(0), background: false }");
    let expected = format!("|a b|--x|yes|1|{}|", tree.root().join("sub").display());
    assert_eq!(tree.noted("note"), expected);
}

fn an_exit_code_is_handed_on() {
    let tree = Tree::new(User::Own);
    for code in [0, 1, 7, 255] {
        let (status, report) = tree.script(&format!("exit {code}")).done();
        assert_eq!(status.code(), Some(code));
        assert_eq!(report, format!("Ended {{ ending: Exit({code}), background: false }}"));
    }
}

fn an_end_by_signal_is_imitated() {
    let tree = Tree::new(User::Own);
    for signal in [Signal::TERM, Signal::SEGV, Signal::KILL, Signal::INT] {
        let (status, _) = tree.script(&format!("kill -{} $$", signal.as_raw())).done();
        assert_eq!(status.signal(), Some(signal.as_raw()));
    }
    // The command wants no core; a wrapper that left one would.
    let around = "ulimit -c unlimited; exec \"$@\"";
    let mut command = tree.wrapper(&["sh", "-c", around, "sh"]);
    command.args(["sh", "-c", "ulimit -S -c 0; kill -SEGV $$"]);
    let (status, _) = tree.start(command).done();
    assert!(status.signal() == Some(Signal::SEGV.as_raw()) && !status.core_dumped(), "{status}");
}

fn what_cannot_be_executed_says_why() {
    let tree = Tree::new(User::Own);
    let start = |word: &str| {
        let mut command = tree.wrapper(&[]);
        command.arg(word);
        let (status, report) = tree.start(command).done();
        assert_eq!(status.code(), Some(NOT_STARTED));
        report
    };
    let (missing, denied) = ("NotFound", "PermissionDenied");
    for (word, kind) in [
        ("missing-program", missing),
        ("./missing", missing),
        ("./file", denied),
        ("./sub", denied),
    ] {
        let report = start(word);
        assert!(report.starts_with("Execute(") && report.contains(kind), "{word}: {report}");
    }
}

fn a_script_without_a_first_line() {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = Tree::new(User::Own);
    let script = tree.write("script", "echo $0 $1 > $BESIDE/note; exit 4\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = tree.wrapper(&[]);
    command.args(["./script", "x"]);
    tree.start(command).reports("Ended { ending: Exit(4), background: false }");
    assert_eq!(tree.noted("note"), "./script x\n");
}

/// Notes each signal, and ends by SIGTERM with 7.
const LISTENS: &str = "
    sleep 1000 &
    trap 'kill $!; wait; exit 7' TERM
    trap 'echo usr1 >> $BESIDE/note' USR1
    echo $$ > $BESIDE/ready
    while :; do wait; done";

fn a_signal_is_passed_on() {
    let tree = Tree::new(User::Own);
    let wrapper = tree.script(LISTENS);
    noted_process(&tree, "ready");
    wrapper.signal(Signal::USR1);
    until("the command has it", || tree.noted("note") == "usr1\n");
    wrapper.signal(Signal::TERM);
    let (status, report) = wrapper.done();
    assert_eq!(report, "Ended { ending: Exit(7), background: false }");
    assert_eq!(status.code(), Some(7));
}

fn a_timer_ends_the_command() {
    let tree = Tree::new(User::Own);
    let sets = "import os, signal, sys; signal.setitimer(signal.ITIMER_REAL, 0.1); os.execvp(sys.argv[1], sys.argv[1:])";
    let mut command = tree.wrapper(&["python3", "-c", sets]);
    command.args(["sleep", "1000"]);
    let (status, _) = tree.start(command).done();
    assert_eq!(status.signal(), Some(Signal::ALARM.as_raw()));
}

fn nothing_inherited_changes() {
    let tree = Tree::new(User::Own);
    let look =
        "grep ^Sig /proc/self/status | grep -v SigQ > $BESIDE/$1; ls /proc/self/fd >> $BESIDE/$1";
    let ignoring = "trap '' HUP CHLD USR2 PIPE; exec 7< /dev/null; exec \"$@\"";
    for (wrapped, name) in [(true, "with"), (false, "without")] {
        let mut command = tree.wrapper(&["sh", "-c", ignoring, "sh"]);
        if !wrapped {
            let mut plain = Command::new("sh");
            plain.args(["-c", ignoring, "sh"]).env("BESIDE", tree.beside(""));
            plain.stdin(std::process::Stdio::null());
            command = plain;
        }
        command.args(["sh", "-c", look, "sh", name]);
        let (status, _) = tree.start(command).done();
        assert!(status.success());
    }
    assert!(!tree.noted("with").is_empty());
    assert_eq!(tree.noted("with"), tree.noted("without"));
}

fn background_is_noticed() {
    let tree = Tree::new(User::Own);
    let script = "sleep 1000 & echo $! > $BESIDE/left";
    tree.script(script).reports("Ended { ending: Exit(0), background: true }");
    let left = noted_process(&tree, "left");
    kill_process(left, Signal::KILL).unwrap();
    // A daemon, which is nobody's child.
    let script = "setsid sh -c 'sleep 1000 & echo $! > $BESIDE/daemon'";
    tree.script(script).reports("Ended { ending: Exit(0), background: true }");
    kill_process(noted_process(&tree, "daemon"), Signal::KILL).unwrap();
}

fn a_killed_wrapper_takes_its_command_along() {
    let tree = Tree::new(User::Own);
    let wrapper = tree.script("echo $$ > $BESIDE/ready; exec sleep 1000");
    let command = noted_process(&tree, "ready");
    wrapper.signal(Signal::KILL);
    until("the command ends, too", || is_gone(command));
}

fn a_tick_may_end_the_command() {
    let tree = Tree::new(User::Own);
    let mut command = tree.wrapper(&[]);
    command.args(["sh", "-c", LISTENS]).env(TERMINATE, tree.beside("ready"));
    tree.start(command).reports("Ended { ending: Exit(7), background: false }");
}
