//! Starting the daemon where none answers: one client does, the others wait for it.

use std::{
    env,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use onewriter_tree::path::STATE_DIR;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};

use crate::failure::Failure;

/// The file in `.onewriter/` that a client locks while it starts the daemon. The kernel gives the
/// lock up with the client, however that ends.
const START_LOCK: &str = "start.lock";

/// How long the daemon may take to start.
const LIMIT: Duration = Duration::from_secs(30);

/// Makes sure that a daemon serves `root`. `answers` tells whether one does now: it is asked again
/// when it is this client's turn.
pub(crate) fn ensure(root: &Path, answers: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + LIMIT;
    let path = root.join(STATE_DIR).join(START_LOCK);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fail = |e: Errno| Failure::Unreachable(format!("cannot lock '{}': {e}", path.display()));
    let lock = open(&path, flags, Mode::from_raw_mode(0o600)).map_err(fail)?;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                // flock(2) knows no timeout; who holds it is about to be done.
                std::thread::sleep(Duration::from_millis(2));
                if answers() {
                    return Ok(());
                }
            }
            Err(Errno::WOULDBLOCK) => {
                let why = "another client has been starting the daemon for 30 s";
                return Err(Failure::Unreachable(format!(
                    "{why} ('{}' is locked)",
                    path.display()
                )));
            }
            Err(errno) => return Err(fail(errno)),
        }
    }
    if answers() { Ok(()) } else { launch(root) }
}

/// Runs `onewriterd --detach`, which returns when clients can connect. It is waited for, so that
/// it leaves no zombie; the daemon itself is not its child any more by then, and inherits nothing.
fn launch(root: &Path) -> Result<(), Failure> {
    let program = program();
    let mut command = Command::new(&program);
    command.arg("--detach").arg("--root").arg(root).env_remove("ONEWRITER_ROOT");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| {
        Failure::Unreachable(format!(
            "cannot start the daemon '{}': {e} (ONEWRITER_DAEMON may name it)",
            program.display()
        ))
    })?;
    let mut complaint = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(64 * 1024).read_to_string(&mut complaint);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) if !complaint.is_empty() => {
            Err(Failure::Unreachable(format!("the daemon did not start: {}", complaint.trim_end())))
        }
        Ok(status) => Err(Failure::Unreachable(format!("the daemon did not start ({status})"))),
        Err(error) => Err(Failure::Unreachable(format!("the daemon did not start: {error}"))),
    }
}

/// The daemon that belongs to this client: named by the environment, else beside it, else on PATH.
fn program() -> PathBuf {
    const NAME: &str = "onewriterd";
    if let Some(named) = env::var_os("ONEWRITER_DAEMON") {
        return named.into();
    }
    let beside = env::current_exe().ok().map(|client| client.with_file_name(NAME));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| NAME.into())
}
