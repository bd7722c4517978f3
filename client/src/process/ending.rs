//! How a command ended, and ending in the same way.

use rustix::process::{
    Resource, Rlimit, Signal, WaitStatus, getpid, getrlimit, kill_process, setrlimit,
};

use super::sys::{self, SignalSet};

/// What is known of a command that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub ending: Ending,
    /// Whether processes that it started are still alive.
    pub background: bool,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// Whether it says that all went well.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }

    /// The exit code that says it: as shells have it, 128 and its number for a signal.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exit(code) => code,
            Self::Signal(number) => 128 + number,
        }
    }

    /// Ends this process in the same way, so that whoever waits for it sees what it would have seen
    /// of the command; or returns the exit code to end with.
    #[must_use]
    pub fn imitate(self) -> i32 {
        let number = match self {
            Self::Exit(code) => return code,
            Self::Signal(number) => number,
        };
        // The command has left a core if one was wanted; this process's would say nothing.
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
        sys::set_ignored(number, false);
        SignalSet::of(number).unblock();
        if let Some(signal) = Signal::from_named_raw(number) {
            let _ = kill_process(getpid(), signal);
        }
        // Not reached, but for signals without a name. As shells have it:
        128 + number
    }

    /// Of a child that was waited for; `None` if it has not ended but only stopped or gone on.
    pub(super) fn of(status: WaitStatus) -> Option<Self> {
        let signal = status.terminating_signal().map(Self::Signal);
        signal.or_else(|| status.exit_status().map(Self::Exit))
    }
}
