//! Where the daemon's settings come from, and what is said of bad ones before it serves with them.

use std::{
    fs,
    process::{Command, Output},
};

use crate::support::{ONEWRITERD, Root};

/// What the daemon says to these arguments, with `variable` for an environment.
fn daemon(arguments: &[&str], variable: Option<(&str, &str)>) -> Output {
    let mut command = Command::new(ONEWRITERD);
    command.args(arguments).env_clear().envs(variable);
    command.output().expect("it can be run")
}

/// What holds for `root`, with more arguments; or what is wrong with it.
fn checked(
    root: &Root,
    arguments: &[&str],
    variable: Option<(&str, &str)>,
) -> Result<String, String> {
    let place = root.path().to_str().expect("a name");
    let asked = [&["--check-config", "--root", place], arguments].concat();
    let told = daemon(&asked, variable);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if told.status.success() { Ok(text(told.stdout)) } else { Err(text(told.stderr)) }
}

#[test]
fn flags_come_before_the_environment_that_before_the_file_and_that_before_the_defaults() {
    let root = Root::new();
    let holds = |variable, arguments: &[&str], expected| {
        let told = checked(&root, arguments, variable).expect("all is well");
        let line = told.lines().find(|line| line.starts_with("idle-timeout"));
        assert_eq!(line, Some(expected), "{told}");
    };
    let variable = Some(("ONEWRITER_IDLE_TIMEOUT", "8"));
    holds(None, &[], "idle-timeout = 600");
    root.write(".onewriter/daemon.toml", "idle-timeout = 7");
    holds(None, &[], "idle-timeout = 7");
    holds(variable, &[], "idle-timeout = 8");
    holds(variable, &["--idle-timeout", "9"], "idle-timeout = 9");
}

#[test]
fn files_that_are_of_no_use_are_named_before_the_daemon_serves() {
    let root = Root::new();
    let directory = root.outside("tls");
    let place = directory.to_str().expect("a name");
    let made = daemon(&["certs", place, "--client", "a", "--token", "t"], None);
    let printed = String::from_utf8(made.stdout).expect("settings");
    let settings = format!("listen = [\"127.0.0.1:0\"]\nallow = [\"*\"]\n{printed}");
    root.write(".onewriter/daemon.toml", settings);
    checked(&root, &[], None).expect("all is well");
    for name in ["server.pem", "server.key", "ca.pem", "tokens.toml"] {
        let file = directory.join(name);
        let good = fs::read(&file).expect("it was made");
        fs::write(&file, "nonsense").expect("it can be written");
        let refused = checked(&root, &[], None).expect_err(name);
        assert!(refused.contains(name), "{refused}");
        fs::write(&file, good).expect("it can be written");
    }
    checked(&root, &[], None).expect("all is well");
    fs::rename(root.at(".onewriter"), root.outside("taken")).expect("it can be moved");
    let refused = checked(&root, &[], None).expect_err("there is no root");
    assert!(refused.contains("is no build root"), "{refused}");
}
