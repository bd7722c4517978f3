//! `onewriter run`, end to end.

mod batch;
mod conflicts;
mod crash;
mod isolation;
mod run;
mod size;
mod tools;

use std::{fs, path::Path};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Client, Done, Root, Running, until};

/// A client whose commands find what lies beside the root in `$BESIDE`.
fn client(root: &Root) -> Client<'_> {
    root.client().env("BESIDE", root.outside(""))
}

/// The arguments that run a shell script in a transaction.
pub(crate) fn words(options: &str, script: &str) -> Vec<std::ffi::OsString> {
    let options = options.split_whitespace();
    let words = ["run"].into_iter().chain(options).chain(["--", "sh", "-c", script]);
    words.map(Into::into).collect()
}

/// Runs a shell script in a transaction.
#[track_caller]
fn script(root: &Root, options: &str, script: &str) -> Done {
    client(root).run(words(options, script))
}

/// What a script does to tell that it has come so far, and to wait for [`go_on`].
pub(crate) const WAIT: &str = "echo $$ >> $BESIDE/ready; read go < $BESIDE/go";

/// Starts a script that begins with [`WAIT`], and waits until it waits.
#[track_caller]
pub(crate) fn waiting(root: &Root, options: &str, rest: &str) -> Running {
    waiting_in(root, options, &format!("{WAIT}; {rest}"))
}

/// Starts a script with [`WAIT`] somewhere in it, and waits until it waits.
#[track_caller]
pub(crate) fn waiting_in(root: &Root, options: &str, script: &str) -> Running {
    pipe(root);
    let before = runs(root);
    let running = client(root).start(words(options, script));
    until("the command runs", || runs(root) > before);
    running
}

/// What [`WAIT`] waits at.
fn pipe(root: &Root) {
    let go = root.outside("go");
    if !go.exists() {
        mknodat(CWD, &go, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    }
}

/// How often such scripts have begun.
fn runs(root: &Root) -> usize {
    fs::read_to_string(root.outside("ready")).unwrap_or_default().lines().count()
}

/// Lets the script that waits go on.
pub(crate) fn go_on(root: &Root) {
    fs::write(root.outside("go"), "\n").expect("it waits");
}

/// The processes of the scripts that have begun.
fn processes(root: &Root) -> Vec<u32> {
    let noted = fs::read_to_string(root.outside("ready")).unwrap_or_default();
    noted.lines().map(|line| line.parse().expect("a process")).collect()
}

/// Nothing is left of any transaction.
#[track_caller]
fn nothing_is_left(root: &Root) {
    until("staging is empty", || root.staging().is_empty());
}

fn is_there(path: impl AsRef<Path>) -> bool {
    path.as_ref().symlink_metadata().is_ok()
}
