//! Programs that a test makes and executes.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// `text` as a program at `path`, with the directories above it.
#[track_caller]
pub fn write_program(path: impl AsRef<Path>, text: &str) {
    install(Path::new("/dev/stdin"), path.as_ref(), text);
}

/// A copy of a program, for everybody to execute.
#[track_caller]
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    install(from.as_ref(), to.as_ref(), "");
}

/// Another process writes the file. If this one had it open for writing, a child that another test
/// forks in that moment would have it open as well, and until that child executes its own program
/// nobody could execute this file: "Text file busy".
#[track_caller]
fn install(from: &Path, to: &Path, input: &str) {
    let mut command = Command::new("install");
    command.args(["-D", "-m", "755", "--"]).args([from, to]).stdin(Stdio::piped());
    let mut child = command.spawn().expect("install");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("install reads");
    assert!(child.wait().expect("install").success(), "install {}", to.display());
}
