//! Starting the daemon where none answers: one client does, the others wait for it.

use std::{
    env,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use onewriter_tree::{Error, path::STATE_DIR};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};

use crate::failure::Failure;

/// The file in `.onewriter/` that a client locks while it starts the daemon. The kernel gives the
/// lock up with the client, however that ends.
const START_LOCK: &str = "start.lock";

/// How long the daemon may take to start, however long the client may wait for other things.
const LIMIT: Duration = Duration::from_secs(30);

/// How much it may say when it does not start, in bytes.
const COMPLAINT_MAX: usize = 64 * 1024;

/// Makes sure that a daemon serves `root`. `answers` tells whether one does now: it is asked again
/// when it is this client's turn.
pub(crate) fn ensure(
    root: &Path,
    deadline: Instant,
    answers: impl Fn() -> bool,
) -> Result<(), Failure> {
    let deadline = deadline.min(Instant::now() + LIMIT);
    let path = root.join(STATE_DIR).join(START_LOCK);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fail = |e: Errno| Failure::Unreachable(format!("cannot lock '{}': {e}", path.display()));
    let lock = open(&path, flags, Mode::from_raw_mode(0o600)).map_err(|errno| match errno {
        // No daemon could serve it either.
        Errno::ROFS | Errno::NOSPC | Errno::DQUOT => {
            let path = Path::new(STATE_DIR).join(START_LOCK);
            Error::io(path.as_os_str().as_bytes(), "cannot start the daemon", errno).into()
        }
        errno => fail(errno),
    })?;
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
                return Err(Failure::TimedOut(format!(
                    "another client is still starting the daemon ('{}' is locked)",
                    path.display()
                )));
            }
            Err(errno) => return Err(fail(errno)),
        }
    }
    if answers() { Ok(()) } else { launch(root, deadline) }
}

/// Runs `onewriterd --detach`, which returns when clients can connect. It is waited for, so that
/// it leaves no zombie; the daemon itself is not its child any more by then, and inherits nothing.
fn launch(root: &Path, deadline: Instant) -> Result<(), Failure> {
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
    let fail = |why: String| Failure::Unreachable(format!("the daemon did not start: {why}"));
    let complaint = match child.stderr.take() {
        Some(mut stderr) => complaint(&mut stderr, deadline)?,
        None => String::new(),
    };
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) if !complaint.is_empty() => Err(fail(complaint)),
        Ok(status) => Err(fail(status.to_string())),
        // A client whose starter ignores SIGCHLD has no children to ask: who says nothing is well.
        Err(error) if error.raw_os_error() == Some(Errno::CHILD.raw_os_error()) => {
            if complaint.is_empty() { Ok(()) } else { Err(fail(complaint)) }
        }
        Err(error) => Err(fail(error.to_string())),
    }
}

/// What the starting daemon says until it closes its standard error, which it does at its end.
fn complaint(stderr: &mut ChildStderr, deadline: Instant) -> Result<String, Failure> {
    let fail = |e: Errno| Failure::Unreachable(format!("the daemon cannot be heard: {e}"));
    let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
    while text.len() < COMPLAINT_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::new(&*stderr, PollFlags::IN)];
        match poll(&mut fds, Some(&left)) {
            Ok(0) => {
                let why = "the daemon has not started in time (is another one stopped, or the disk stuck?)";
                return Err(Failure::TimedOut(why.into()));
            }
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(fail(errno)),
            Ok(_) => {}
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(&*stderr, &mut chunk)).map_err(fail)? {
            0 => break,
            n => text.extend_from_slice(&chunk[..n]),
        }
    }
    let text = String::from_utf8_lossy(&text);
    // Who says it is known.
    Ok(text.trim_end().trim_start_matches("onewriterd: ").to_owned())
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
