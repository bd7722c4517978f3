//! Starting the daemon: in the foreground, or detached from whoever needed it first.
//!
//! A detached daemon inherits nothing of its starter but the root: no descriptor (make's pipes and
//! jobserver among them), no session, no working directory, no environment beyond a few names. The
//! starter waits until it can be connected to, and is not its parent afterwards.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::{fs::OpenOptionsExt as _, net::UnixListener},
    path::Path,
    pin::pin,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::CommandFactory as _;
use onewriter_core::OwnershipError;
use onewriter_tree::path::STATE_DIR;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{Command as Task, Config, Flags, LogFormat},
    daemon::{self, DaemonError},
    listener::{SOCKET, tcp, unix},
    manager, reload,
};

/// The log of a detached daemon, in `.onewriter/`.
pub const LOG_FILE: &str = "daemon.log";

/// What a detached daemon says when clients can connect.
const READY: &str = "ready";

/// How long a detached daemon waits for one that is about to end.
const WAIT_FOR_ROOT: Duration = Duration::from_secs(15);

/// How long threads that are still at work get when all else has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// A log that is larger when a daemon starts is begun anew, in bytes.
const LOG_MAX: u64 = 4 << 20;

/// What a detached daemon may know of its starter's environment, besides its settings.
const KEPT_ENVIRONMENT: [&str; 8] =
    ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUST_BACKTRACE", "ONEWRITER_LOG"];

/// Where a test has the daemon fail: see `onewriter_tree::fault`.
#[cfg(debug_assertions)]
const FAULT: &str = "ONEWRITER_FAULT";

/// Does what `flags` say; the exit code of the program.
pub fn main(flags: Flags) -> ExitCode {
    if let Some(Task::Certs(certs)) = &flags.command {
        return report(certs.make().map(|told| print!("{told}")).map_err(Box::from));
    }
    let config = match Config::load(&flags) {
        Ok(config) => config,
        Err(error) => return report(Err(error.into())),
    };
    if flags.check_config {
        return report(check(&config).map(|()| print!("{}", config.shown())));
    }
    if flags.detach {
        return report(detach(&config));
    }
    if config.detached {
        let _ = rustix::process::setsid();
        let _ = crate::inherited::unblock_signals();
        let _ = std::env::set_current_dir("/");
    }
    log_to_stderr(config.log_format);
    raise_descriptor_limit();
    // The allocator asks for huge pages. An idle daemon would hold megabytes that it never uses.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // One thread: a request that changes threads on its way is woken up more often than it works.
    let socket = match manager::socket() {
        Ok(socket) => socket,
        Err(error) => return report(Err(error.into())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let done = report(runtime.block_on(serve(config, socket)).map_err(Box::from));
            // A system call that hangs may not keep the process: what it held ends with it.
            runtime.shutdown_timeout(FAREWELL);
            done
        }
        Err(error) => report(Err(Box::from(error))),
    }
}

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Whether the files that the configuration names can be used.
fn check(config: &Config) -> Result<(), AnyError> {
    let state = config.root.join(STATE_DIR);
    std::fs::read_dir(&state).map_err(|e| {
        format!("{} is no build root: {}: {e}", config.root.display(), state.display())
    })?;
    config.network.as_ref().map(tcp::check).transpose()?;
    reload::tokens(config)?;
    Ok(())
}

async fn serve(config: Config, mut socket: Option<UnixListener>) -> Result<(), DaemonError> {
    let deadline = Instant::now() + WAIT_FOR_ROOT;
    let detached = config.detached;
    let mut terminated = pin!(terminated());
    loop {
        let ready = || {
            if detached {
                announce()
            }
        };
        let done = daemon::run(config.clone(), socket.take(), terminated.as_mut(), ready).await;
        match done {
            Err(DaemonError::Ownership { source: OwnershipError::Taken { .. }, root })
                if detached =>
            {
                if can_connect(&root) {
                    announce();
                    return Ok(());
                }
                if Instant::now() > deadline {
                    let source = OwnershipError::Taken { owner: None };
                    return Err(DaemonError::Ownership { root, source });
                }
                tokio::select! {
                    () = terminated.as_mut() => return Ok(()),
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
            done => return done,
        }
    }
}

/// Catches SIGTERM and SIGINT from this moment on, before anybody can know that there is a daemon to
/// send them to; returns at the first.
fn terminated() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Tells the starter that clients can connect, and lets go of its pipe.
fn announce() {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{READY}").and_then(|()| stdout.flush());
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

fn can_connect(root: &Path) -> bool {
    use std::os::unix::net::UnixStream;
    File::open(root.join(STATE_DIR))
        .is_ok_and(|state| UnixStream::connect(unix::at(&state, SOCKET)).is_ok())
}

/// Starts the daemon in the background and returns when clients can connect to it.
fn detach(config: &Config) -> Result<(), AnyError> {
    let root = std::fs::canonicalize(&config.root)
        .map_err(|e| format!("cannot open the build root {}: {e}", config.root.display()))?;
    let log = open_log(&root.join(STATE_DIR).join(LOG_FILE))?;
    crate::inherited::close_on_exec()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.env_clear();
    #[cfg(debug_assertions)]
    command.envs(std::env::var_os(FAULT).map(|fault| (FAULT, fault)));
    command.envs(KEPT_ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(ours().filter_map(|name| Some((name.clone(), std::env::var_os(name)?))));
    let again = |argument| if argument == "--detach" { "--detached".into() } else { argument };
    command.args(std::env::args_os().skip(1).map(again));
    let stderr = log.try_clone()?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
    let stdout = child.stdout.take().ok_or("the daemon has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.trim() == READY {
        return Ok(());
    }
    let status = child.wait()?;
    Err(format!(
        "the background process ended at once ({status}); {STATE_DIR}/{LOG_FILE} says why:\n{}",
        last_lines(&root)
    )
    .into())
}

/// The names in the environment that are settings.
fn ours() -> impl Iterator<Item = OsString> {
    let command = Flags::command();
    let names = command.get_arguments().filter_map(|argument| argument.get_env());
    names.map(ToOwned::to_owned).collect::<Vec<_>>().into_iter()
}

fn open_log(path: &Path) -> Result<File, AnyError> {
    let fresh = std::fs::metadata(path).is_ok_and(|log| log.len() > LOG_MAX);
    let mut options = OpenOptions::new();
    options.create(true).append(!fresh).write(true).truncate(fresh).mode(0o600);
    options.open(path).map_err(|e| format!("cannot open the log {}: {e}", path.display()).into())
}

fn last_lines(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join(STATE_DIR).join(LOG_FILE)).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().map(|line| format!("  {line}\n")).collect()
}

fn log_to_stderr(format: LogFormat) {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_env("ONEWRITER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// One descriptor for each connection and each level of a removed tree: take what there is.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// What happened and its causes, for the log.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// One line of what happened, then its causes.
fn report(done: Result<(), AnyError>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("onewriterd: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}
