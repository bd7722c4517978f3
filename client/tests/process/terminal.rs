//! With a terminal, whose keys send signals to all of the foreground process group.

use std::{fs::File, io::Write as _, os::unix::ffi::OsStrExt as _, path::Path};

use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::{Tree, User, Wrapper, noted_process, state, until};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("an_interrupt_from_the_terminal_comes_once", an_interrupt_comes_once),
    ("a_shell_stops_and_continues_it", a_shell_stops_and_continues_it),
];

/// Starts a wrapper of `script` under a shell with job control, which runs `around` with it as `$@`.
fn on_terminal<'t>(tree: &'t Tree, around: &str, script: &str) -> (File, Wrapper<'t>) {
    let keyboard =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("to be used");
    let name = ptsname(&keyboard, Vec::new()).expect("its name");
    let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let terminal = || File::options().read(true).write(true).open(path).expect("its other end");
    let mut command = tree.wrapper(&["setsid", "--ctty", "bash", "-m", "-c", around, "bash"]);
    command.args(["sh", "-c", script]);
    command.stdin(terminal()).stdout(terminal()).stderr(terminal());
    (File::from(keyboard), tree.start(command))
}

fn an_interrupt_comes_once() {
    let tree = Tree::new(User::Own);
    let script =
        "sleep 1000 & trap 'echo int >> $BESIDE/note' INT; trap 'kill $!; wait; exit 7' TERM
        echo $PPID > $BESIDE/ready; while :; do wait; done";
    let (mut keyboard, shell) = on_terminal(&tree, "\"$@\"; exit $?", script);
    let wrapper = noted_process(&tree, "ready");
    keyboard.write_all(b"\x03").unwrap();
    until("the command has it", || !tree.noted("note").is_empty());
    rustix::process::kill_process(wrapper, Signal::TERM).unwrap();
    let (status, report) = shell.done();
    assert_eq!(report, "Ended { ending: Exit(7), background: false }");
    assert_eq!((status.code(), tree.noted("note").as_str()), (Some(7), "int\n"));
}

fn a_shell_stops_and_continues_it() {
    let tree = Tree::new(User::Own);
    let around = "\"$@\"; echo $? > $BESIDE/stopped; fg; exit $?";
    let script = "echo $PPID > $BESIDE/ready; read line; exit 5";
    let (mut keyboard, shell) = on_terminal(&tree, around, script);
    let wrapper = noted_process(&tree, "ready");
    keyboard.write_all(b"\x1a").unwrap();
    until("the shell sees it stopped", || tree.noted("stopped") == "148\n");
    until("it goes on", || state(wrapper) == "S");
    keyboard.write_all(b"x\n").unwrap();
    let (status, report) = shell.done();
    assert_eq!(report, "Ended { ending: Exit(5), background: false }");
    assert_eq!(status.code(), Some(5));
}
