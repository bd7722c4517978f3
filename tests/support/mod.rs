//! What all tests stand on: a build root that cleans up after itself, clients that cannot hang a
//! test, and pictures of a tree.

mod client;
mod link;
mod processes;
mod program;
mod raw;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use self::{
    client::{Args, Client, Done, Running},
    link::Link,
    processes::{Process, children_named},
    program::{copy_program, write_program},
    raw::{Raw, accept_from, reason_of},
    tree::{Entry, picture, shape, stamp},
};

/// The client.
pub const ONEWRITER: &str = env!("CARGO_BIN_EXE_onewriter");

/// The daemon, in the same directory.
pub const ONEWRITERD: &str = env!("CARGO_BIN_EXE_onewriterd");

/// The user's own directory for what runs, beside a root.
const RUNTIME: &str = "runtime";

/// What no step of a test may take, however busy the machine is.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What the daemon at this URL says of its health.
#[track_caller]
pub fn health(url: &str) -> String {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.expect("a runtime").block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(url.to_owned()).expect("a URL");
        let channel = endpoint.connect().await.expect("a connection");
        HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await
    });
    asked.expect("an answer").into_inner().status().as_str_name().to_owned()
}

/// Says that a test is not run, since something refuses what it takes. Where `CI` is `true`, as it is
/// in `.ci/run`, that is a failure: nothing is to seem tested that is not.
#[track_caller]
pub fn untested(why: impl std::fmt::Display) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "not tested: {why}");
    eprintln!("not tested: {why}");
}

/// The directory of both programs.
pub fn programs() -> &'static Path {
    Path::new(ONEWRITER).parent().expect("programs lie in a directory")
}

/// Waits for an event, looking again and again.
#[track_caller]
pub fn until(event: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !happened() {
        assert!(Instant::now() < deadline, "in vain for {LIMIT:?}: {event}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A build root. Dropped, it ends its daemons and is removed; if the test failed, it prints what
/// they logged.
pub struct Root {
    path: PathBuf,
    _dir: TempDir,
}

impl Root {
    /// A new build root in a temporary directory.
    #[track_caller]
    pub fn new() -> Self {
        let root = Self::uninitialised("root");
        root.run("init").ok();
        root
    }

    /// A directory at `below` a temporary one, which is no build root yet.
    #[track_caller]
    pub fn uninitialised(below: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("onewriter-").tempdir().expect("a directory");
        let path = fs::canonicalize(dir.path()).expect("it is there").join(below);
        fs::create_dir_all(&path).expect("a directory below");
        // Where `onewriter make` has its tools.
        fs::create_dir(dir.path().join(RUNTIME)).expect("a directory beside it");
        Self { path, _dir: dir }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `below`.
    pub fn at(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    /// A path beside the root, outside of it.
    pub fn outside(&self, name: &str) -> PathBuf {
        self._dir.path().canonicalize().expect("it is there").join(name)
    }

    /// Writes a file behind the daemon's back.
    #[track_caller]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
        path
    }

    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// A client that stands in the root.
    pub fn client(&self) -> Client<'_> {
        Client::new(self)
    }

    /// Runs `onewriter` with these arguments; a text is split at its spaces.
    #[track_caller]
    pub fn run(&self, args: impl Args) -> Done {
        self.client().run(args)
    }

    /// Runs a shell script, in which `onewriter` is the client.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Done {
        self.client().sh(script)
    }

    /// Runs a command that must fail with this exit code and reason, and change nothing.
    #[track_caller]
    pub fn refuses(&self, args: impl Args, code: i32, reason: &str) -> Done {
        let before = picture(&self.path);
        let done = self.client().json(args);
        done.failed(code, reason);
        assert_eq!(picture(&self.path), before, "a refused command changed the tree");
        done
    }

    /// The daemons of this root.
    pub fn daemons(&self) -> Vec<Process> {
        Process::daemons(&self.path)
    }

    /// The one daemon of this root.
    #[track_caller]
    pub fn daemon(&self) -> Process {
        match &self.daemons()[..] {
            [one] => *one,
            others => panic!("not one daemon but {others:?}"),
        }
    }

    /// Starts the daemon and returns it.
    #[track_caller]
    pub fn started(&self) -> Process {
        self.run("mkdir .").ok();
        self.daemon()
    }

    /// The names that wait in staging, and in the daemon's own directories there.
    pub fn staging(&self) -> Vec<String> {
        let names = |dir: &Path| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
        };
        let top = self.at(".onewriter/staging");
        let (bays, others): (Vec<_>, Vec<_>) =
            names(&top).into_iter().partition(|name| name.starts_with("b-"));
        others.into_iter().chain(bays.iter().flat_map(|bay| names(&top.join(bay)))).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at(".onewriter/daemon.log")).unwrap_or_default()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            eprintln!("--- {}/.onewriter/daemon.log\n{}---", self.path.display(), self.log());
        }
        for daemon in self.daemons() {
            daemon.signal(rustix::process::Signal::CONT);
            daemon.signal(rustix::process::Signal::TERM);
            if !daemon.ends_within(Duration::from_secs(20)) {
                daemon.signal(rustix::process::Signal::KILL);
                assert!(failed, "a daemon did not end when it was told to");
            }
        }
    }
}
