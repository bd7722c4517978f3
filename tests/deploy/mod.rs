//! What runs a daemon for a team: figures, service managers, upgrades, packages.

mod example;
mod exposition;
mod generated;
mod handover;
mod manager;
mod metrics;
mod package;
mod settings;
mod spans;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::{LIMIT, ONEWRITERD, Process, Root};

/// A file below `deploy/`.
fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A daemon that is this process's own child, as it would be a service manager's. Dropped, it is
/// killed.
struct Foreground(Child);

impl Foreground {
    /// Starts one of `root`, by a command that `adjust` may change. What it logs goes to a file.
    fn start(root: &Root, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(ONEWRITERD);
        command.arg("--root").arg(root.path());
        Self::spawn(root, command, adjust)
    }

    fn spawn(root: &Root, mut command: Command, adjust: impl FnOnce(&mut Command)) -> Self {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ONEWRITER") {
                command.env_remove(name);
            }
        }
        let log = fs::File::options().create(true).append(true).open(Self::log(root)).unwrap();
        command.env("ONEWRITER_IDLE_TIMEOUT", "90").stdin(Stdio::null()).stderr(log);
        adjust(&mut command);
        Self(command.spawn().expect("a daemon"))
    }

    fn log(root: &Root) -> std::path::PathBuf {
        root.outside("foreground.log")
    }

    fn process(&self) -> Process {
        Process(self.0.id())
    }

    /// Waits for its end, and whether that was a good one.
    fn ended(mut self) -> bool {
        assert!(self.process().ends_within(LIMIT), "it does not end");
        self.0.wait().expect("its status").success()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
