//! Temp roots, daemons, medians and rows.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// What the command line said.
pub(crate) struct Setup {
    /// The directory of the installed programs.
    pub(crate) bin: PathBuf,
    /// A tenth of the rounds: shows that it works, not how fast.
    pub(crate) quick: bool,
}

impl Setup {
    /// How often something is measured.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(10) } else { full }
    }
}

/// A build root in a temp directory, with a daemon that ends with it.
pub(crate) struct Root {
    dir: TempDir,
    client: PathBuf,
}

impl Root {
    /// Starts a daemon with this durability.
    pub(crate) fn new(setup: &Setup, durability: &str) -> Self {
        Self::with_settings(setup, durability, "")
    }

    /// The same, with `settings` in the daemon's file.
    pub(crate) fn with_settings(setup: &Setup, durability: &str, settings: &str) -> Self {
        let root = Self {
            dir: tempfile::tempdir().expect("a temp directory"),
            client: setup.bin.join("onewriter"),
        };
        root.onewriter(&["init"]);
        let file = root.path().join(".onewriter/daemon.toml");
        std::fs::write(file, settings).expect("settings");
        let daemon = Command::new(setup.bin.join("onewriterd"))
            .args(["--detach", "--idle-timeout", "600", "--durability", durability, "--root"])
            .arg(root.path())
            .status();
        assert!(daemon.expect("onewriterd can be run").success(), "the daemon starts");
        root
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join(".onewriter/daemon.sock")
    }

    /// A command of the client, in this root.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command.args(arguments).current_dir(self.path());
        command
    }

    /// Runs it; it must succeed.
    pub(crate) fn onewriter(&self, arguments: &[&str]) {
        let status = self.command(arguments).stdout(Stdio::null()).status();
        assert!(status.expect("onewriter can be run").success(), "onewriter {arguments:?}");
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]).stdout(Stdio::null()).status();
    }
}

/// How long a command takes; it must succeed.
pub(crate) fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("the command can be run");
    let took = begun.elapsed();
    assert!(status.success(), "{command:?}");
    took
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Microseconds for one of `count`.
pub(crate) fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// Rows that did not reach what they were to.
static MISSED: AtomicUsize = AtomicUsize::new(0);

/// How many rows were so far.
pub(crate) fn missed() -> usize {
    MISSED.load(Ordering::Relaxed)
}

/// The word for a row that has reached what it was to, or has not, which is counted.
pub(crate) fn verdict(is_reached: bool) -> &'static str {
    if is_reached {
        return "reached";
    }
    MISSED.fetch_add(1, Ordering::Relaxed);
    "MISSED"
}

/// A row: ours against theirs, as times of the same thing; less is better.
pub(crate) fn row(
    what: &str,
    ours: f64,
    theirs: f64,
    unit: &str,
    against: &str,
    target: Option<f64>,
) {
    let ratio = ours / theirs;
    let verdict = match target {
        None => String::new(),
        Some(most) => format!("(at most {most}: {})", verdict(ratio <= most)),
    };
    println!(
        "  {what:<44} {ours:>10.1} {unit:<3} {ratio:>6.2} of {theirs:>10.1} {against} {verdict}"
    );
}

/// A row: ours against theirs, as rates; more is better.
pub(crate) fn rate(what: &str, ours: f64, theirs: f64, against: &str, target: Option<f64>) {
    let ratio = ours / theirs;
    let verdict = match target {
        None => String::new(),
        Some(least) => format!("(at least {least}: {})", verdict(ratio >= least)),
    };
    println!("  {what:<44} {ours:>10.0} /s  {ratio:>6.2} of {theirs:>10.0} {against} {verdict}");
}
