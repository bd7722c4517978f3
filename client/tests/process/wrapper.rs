//! This program as a wrapper: `program WORD...` with `WRAPPER_REPORT` in the environment.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use onewriter_client::process::{Command, Next, Sandbox, Tick};

/// The file that tells how the command ended, or why it did not start.
pub(crate) const REPORT: &str = "WRAPPER_REPORT";

/// The root to lay an overlay over, with the transaction [`TRANSACTION`].
pub(crate) const ROOT: &str = "WRAPPER_ROOT";

/// A file at whose appearance the command is to be terminated.
pub(crate) const TERMINATE: &str = "WRAPPER_TERMINATE";

/// The name of the transaction.
pub(crate) const TRANSACTION: &str = "t";

/// The exit code of a wrapper whose command did not start.
pub(crate) const NOT_STARTED: i32 = 99;

/// Runs the command, if this process is a wrapper; the exit code.
pub(crate) fn run() -> Option<i32> {
    let report = PathBuf::from(env::var_os(REPORT)?);
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let sandbox = env::var_os(ROOT).map(|root| {
        let stand = env::current_dir().expect("a working directory");
        Sandbox::new(Path::new(&root), TRANSACTION, &stand)
    });
    let sandbox = sandbox.transpose().expect("a root to look at");
    let command = Command::new(&words).variable("WRAPPED", "yes");
    let running = match command.start(sandbox.as_ref()) {
        Ok(running) => running,
        Err(error) => {
            fs::write(report, format!("{error:?}")).expect("a report");
            return Some(NOT_STARTED);
        }
    };
    let file = env::var_os(TERMINATE);
    let mut look = || match &file {
        Some(file) if Path::new(file).exists() => Next::Terminate,
        _ => Next::Continue,
    };
    let tick = file.is_some().then_some(Tick { every: Duration::from_millis(5), call: &mut look });
    let ended = running.wait(tick);
    fs::write(report, format!("{ended:?}")).expect("a report");
    Some(ended.ending.imitate())
}
