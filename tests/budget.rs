//! What a hot command costs, counted and not timed: noise cannot touch it.
//!
//! From where it asks where it is, the client makes the same system calls however it was built:
//! those are counted for the program under test. Page faults, and the calls before those, are those
//! of the static program that the README installs: they are counted where `ONEWRITER_INSTALLED`
//! names the directory of one, as `.ci/run` does.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Root, programs};

/// From the first to the last, when the answer comes in one piece: getcwd, stat, umask; socket,
/// connect, send, poll, receive, close; exit.
const CALLS: usize = 10;

/// Each further piece of the answer is polled for and received.
const CALLS_EACH_PIECE: usize = 2;

/// The installed program besides: exec, the C library's two, and poll, for whoever has standard input or
/// output closed.
const CALLS_BEFORE: usize = 4;

/// Of the installed program, from exec to exit. Half are the kernel's own for loading it.
const FAULTS: u64 = 44;

/// The system calls of a command, in order.
fn calls(client: &Path, root: &Root, args: &[&str]) -> Vec<String> {
    let log = root.outside("strace");
    let traced = Command::new("strace")
        .args(["-qq", "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(client)
        .args(args)
        .current_dir(root.path())
        .status()
        .expect("strace is installed (apt-get install strace)");
    assert!(traced.success(), "{args:?}");
    let text = fs::read_to_string(log).expect("a log");
    let calls = text.lines().filter_map(|line| Some(line.split_once('(')?.0.to_owned()));
    // Rust's library asks whether a descriptor is open before it closes it, if it was built to.
    calls.filter(|call| !(cfg!(debug_assertions) && call == "fcntl")).collect()
}

fn over_budget(calls: &[String], budget: usize) -> bool {
    let pieces = calls.iter().filter(|call| *call == "recvfrom").count();
    calls.len() > budget + CALLS_EACH_PIECE * (pieces - 1)
}

fn hot(root: &Root) -> [Vec<&'static str>; 3] {
    root.write("source", "content");
    root.run("mkdir there").ok();
    root.run("publish source same").ok();
    [vec!["mkdir", "there"], vec!["mkdir", "-p", "there"], vec!["publish", "source", "same"]]
}

#[test]
fn a_hot_command_keeps_to_its_system_calls() {
    let root = Root::new();
    for args in hot(&root) {
        let all = calls(&programs().join("onewriter"), &root, &args);
        let first = all.iter().position(|call| call == "getcwd").expect("it asks where it is");
        let calls = &all[first..];
        assert!(!over_budget(calls, CALLS), "{args:?} makes {} calls: {calls:?}", calls.len());
    }
}

#[test]
fn the_installed_client_keeps_to_its_budget() {
    let Some(installed) = env::var_os("ONEWRITER_INSTALLED").map(PathBuf::from) else {
        eprintln!("not counted: ONEWRITER_INSTALLED does not name an installed client");
        return;
    };
    let client = installed.join("onewriter");
    let root = Root::new();
    for args in hot(&root) {
        let calls = calls(&client, &root, &args);
        let budget = CALLS + CALLS_BEFORE;
        assert!(!over_budget(&calls, budget), "{args:?} makes {} calls: {calls:?}", calls.len());
        let faults = (0..5).map(|_| page_faults(&client, &root, &args)).min().expect("five");
        assert!(faults <= FAULTS, "{args:?} takes {faults} page faults");
    }
}

/// As the kernel accounts them to the one process.
fn page_faults(client: &Path, root: &Root, args: &[&str]) -> u64 {
    let script = "import os, sys\n\
                  pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n\
                  _, status, usage = os.wait4(pid, 0)\n\
                  print(usage.ru_minflt if status == 0 else sys.exit('it failed'))";
    let counted = Command::new("python3")
        .args(["-c", script])
        .arg(client)
        .args(args)
        .current_dir(root.path())
        .output()
        .expect("python3 is installed");
    let text = String::from_utf8(counted.stdout).expect("a number");
    text.trim().parse().expect("a number")
}
