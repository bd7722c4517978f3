//! Other processes, as /proc shows them.

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// A process, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// The daemons that serve `root`, or are about to.
    pub fn daemons(root: &Path) -> Vec<Self> {
        let serves = |process: &Self| {
            let arguments = process.arguments();
            let named = arguments.first().is_some_and(|program| program.ends_with(b"onewriterd"));
            let at = arguments.iter().position(|a| a == b"--root");
            named
                && !arguments.iter().any(|a| a == b"--detach")
                && at.and_then(|at| arguments.get(at + 1)).map(|a| &a[..])
                    == Some(root.as_os_str().as_bytes())
        };
        Self::all().filter(serves).collect()
    }

    fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Self)
    }

    fn arguments(self) -> Vec<Vec<u8>> {
        let line = fs::read(self.proc("cmdline")).unwrap_or_default();
        line.split(|&b| b == 0).map(<[u8]>::to_vec).collect()
    }

    /// A file of its directory in /proc.
    pub fn proc(self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.0).into()
    }

    /// What its descriptors refer to.
    pub fn descriptors(self) -> Vec<(u32, PathBuf)> {
        let entries = fs::read_dir(self.proc("fd")).expect("its descriptors").flatten();
        let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.filter_map(|e| Some((number(&e)?, fs::read_link(e.path()).ok()?))).collect()
    }

    /// The names in its environment.
    pub fn environment(self) -> Vec<String> {
        let bytes = fs::read(self.proc("environ")).expect("its environment");
        let names = bytes.split(|&b| b == 0).filter(|line| !line.is_empty());
        let name = |line: &[u8]| {
            line.split(|&b| b == b'=').next().map(OsStr::from_bytes)?.to_str().map(str::to_owned)
        };
        names.filter_map(name).collect()
    }

    /// A field of /proc/PID/stat, counted from 1 as in proc(5); at least the third.
    pub fn field(self, number: usize) -> String {
        let stat = fs::read_to_string(self.proc("stat")).unwrap_or_default();
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        rest.split(' ').nth(number - 3).unwrap_or_default().to_owned()
    }

    /// Whether it lives, and is no zombie.
    pub fn lives(self) -> bool {
        !matches!(&self.field(3)[..], "" | "Z" | "X")
    }

    pub fn signal(self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Ends it at once, and waits until it has.
    #[track_caller]
    pub fn kill(self) {
        self.signal(Signal::KILL);
        assert!(self.ends_within(super::LIMIT), "process {} survives SIGKILL", self.0);
    }

    /// Stops it, and waits until it stands still.
    #[track_caller]
    pub fn stop(self) {
        self.signal(Signal::STOP);
        super::until("the process stands still", || self.field(3) == "T");
    }

    /// Whether it ends within this time.
    pub fn ends_within(self, limit: Duration) -> bool {
        match pidfd_open(self.pid(), PidfdFlags::empty()) {
            Ok(handle) => ended(&handle, limit),
            Err(_) => true,
        }
    }

    fn pid(self) -> Pid {
        Pid::from_raw(self.0.try_into().expect("a process id")).expect("a process id")
    }
}

/// Waits for the process of a pidfd.
pub fn ended(handle: &OwnedFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).expect("a short time");
    let mut fds = [PollFd::new(handle, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit)))
        .map_err(io::Error::from)
        .expect("poll")
        > 0
}

/// The children of `parent` whose program is called `name`, also those that are zombies.
pub fn children_named(parent: u32, name: &str) -> Vec<Process> {
    let parent = parent.to_string();
    let is_one = |process: &Process| {
        process.field(4) == parent
            && fs::read_to_string(process.proc("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    Process::all().filter(is_one).collect()
}
