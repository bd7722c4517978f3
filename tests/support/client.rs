//! Running the client so that it cannot hang the test that runs it.

use std::{
    ffi::{OsStr, OsString},
    io::{Read, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use super::{LIMIT, ONEWRITER, Root, processes::ended, programs};

/// Arguments: a text that is split at its spaces, or a list.
pub trait Args {
    fn args(self) -> Vec<OsString>;
}

impl Args for &str {
    fn args(self) -> Vec<OsString> {
        self.split_whitespace().map(OsString::from).collect()
    }
}

impl Args for &String {
    fn args(self) -> Vec<OsString> {
        self.as_str().args()
    }
}

impl<S: AsRef<OsStr>, const N: usize> Args for [S; N] {
    fn args(self) -> Vec<OsString> {
        self.iter().map(|a| a.as_ref().to_owned()).collect()
    }
}

impl Args for Vec<OsString> {
    fn args(self) -> Vec<OsString> {
        self
    }
}

/// A process that is to be started in a root.
pub struct Client<'r> {
    root: &'r Root,
    directory: std::path::PathBuf,
    environment: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    wrapper: Vec<OsString>,
}

impl<'r> Client<'r> {
    pub(super) fn new(root: &'r Root) -> Self {
        let client = Self {
            root,
            directory: root.path().to_owned(),
            environment: Vec::new(),
            input: Vec::new(),
            wrapper: Vec::new(),
        };
        // Whatever a test does wrong, no daemon outlives it for long.
        let runtime = root.outside(super::RUNTIME);
        let client = client.env("XDG_RUNTIME_DIR", runtime);
        client.env("ONEWRITER_IDLE_TIMEOUT", "90").env("ONEWRITER_TIMEOUT", "50")
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Does without a daemon.
    pub fn direct(self) -> Self {
        self.env("ONEWRITER", "off")
    }

    pub fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = bytes.as_ref().to_owned();
        self
    }

    /// Stands elsewhere.
    pub fn within(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = self.root.path().join(directory);
        self
    }

    /// Is started by this program.
    pub fn under(mut self, wrapper: impl Args) -> Self {
        self.wrapper = wrapper.args();
        self
    }

    #[track_caller]
    pub fn run(self, args: impl Args) -> Done {
        self.start(args).done()
    }

    /// Runs it with `--json`.
    #[track_caller]
    pub fn json(self, args: impl Args) -> Done {
        let mut args = args.args();
        args.insert(1, "--json".into());
        self.run(args)
    }

    #[track_caller]
    pub fn sh(self, script: &str) -> Done {
        self.start_program("/bin/sh", ["-c", script]).done()
    }

    #[track_caller]
    pub fn start(self, args: impl Args) -> Running {
        self.start_program(ONEWRITER, args)
    }

    #[track_caller]
    pub fn start_program(self, program: impl AsRef<OsStr>, args: impl Args) -> Running {
        let mut words = self.wrapper;
        words.push(program.as_ref().to_owned());
        words.extend(args.args());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.directory);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("ONEWRITER") || name.starts_with("MAKE") || name == "MFLAGS" {
                command.env_remove(&*name);
            }
        }
        let mut path = OsString::from(programs());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).envs(self.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command, self.input)
    }
}

/// A process that runs. Dropped, it is killed.
pub struct Running {
    child: Child,
    outputs: mpsc::Receiver<(bool, Vec<u8>)>,
    started: Instant,
    what: String,
}

impl Running {
    #[track_caller]
    fn new(mut command: Command, input: Vec<u8>) -> Self {
        let what = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
        let (send, outputs) = mpsc::channel();
        let mut stdin = child.stdin.take().expect("a pipe");
        thread::spawn(move || stdin.write_all(&input));
        let streams: [(bool, Box<dyn Read + Send>); 2] = [
            (true, Box::new(child.stdout.take().expect("a pipe"))),
            (false, Box::new(child.stderr.take().expect("a pipe"))),
        ];
        for (is_stdout, mut stream) in streams {
            let send = send.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes);
                let _ = send.send((is_stdout, bytes));
            });
        }
        Self { child, outputs, started: Instant::now(), what }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and for the end of its output, which nobody else may hold open.
    #[track_caller]
    pub fn done(mut self) -> Done {
        let id = Pid::from_child(&self.child);
        let handle = pidfd_open(id, PidfdFlags::empty()).expect("a handle of the child");
        assert!(ended(&handle, LIMIT), "it hangs: {}", self.what);
        let took = self.started.elapsed();
        let status = self.child.wait().expect("its status");
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            match self.outputs.recv_timeout(LIMIT) {
                Ok((true, bytes)) => stdout = bytes,
                Ok((false, bytes)) => stderr = bytes,
                Err(_) => panic!("somebody keeps its output open: {}", self.what),
            }
        }
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Done { status, stdout, stderr, took, what: std::mem::take(&mut self.what) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended.
pub struct Done {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub took: Duration,
    what: String,
}

impl Done {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// It succeeded without a complaint; what it printed.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert!(self.succeeded() && self.stderr.is_empty(), "{self}");
        self.text()
    }

    /// What it printed.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|_| panic!("no text: {self}")).trim_end()
    }

    /// The last line that it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let last = self.text().lines().next_back().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{e} in {self}"))
    }

    /// The outcomes that it tells, with their paths.
    #[track_caller]
    pub fn outcomes(&self) -> Vec<String> {
        assert!(self.succeeded(), "{self}");
        let json = self.json();
        let changes = json["changes"].as_array().unwrap_or_else(|| panic!("no changes: {self}"));
        let text = |c: &Value| {
            format!(
                "{} {}",
                c["outcome"].as_str().unwrap_or("?"),
                c["path"].as_str().unwrap_or("?")
            )
        };
        changes.iter().map(text).collect()
    }

    /// It failed with this exit code, said so on standard error, and gave this reason.
    #[track_caller]
    pub fn failed(&self, code: i32, reason: &str) {
        assert_eq!(self.code(), Some(code), "{self}");
        assert_eq!(self.json()["error"]["reason"], reason, "{self}");
        assert!(self.stderr.starts_with("onewriter "), "{self}");
    }

    /// It failed with this exit code, and said so.
    #[track_caller]
    pub fn exits(&self, code: i32) {
        assert_eq!(self.code(), Some(code), "{self}");
        assert!(!self.stderr.is_empty(), "{self}");
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n{}\n--- stdout\n{}--- stderr\n{}---",
            self.what,
            self.status,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        )
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
