//! Being told to end, or to stop for a while, without ending on the spot: for who has a terminal to
//! put in order before.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::sys::SignalSet;

/// What is taken. All of them would end or stop the process.
const TAKEN: [i32; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP];

/// What somebody wants of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That it ends, by this signal.
    End(i32),
    /// That it stops until it is continued.
    Stop,
}

/// Signals that are kept back until they are asked for. Dropped, they do again what they did.
pub struct Interruptions {
    before: SignalSet,
}

impl Interruptions {
    /// From now on.
    #[must_use]
    pub fn new() -> Self {
        let [first, rest @ ..] = TAKEN.map(SignalSet::of);
        let before = first.block();
        for signal in rest {
            signal.block();
        }
        Self { before }
    }

    /// What has come meanwhile.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted> {
        let come = TAKEN
            .into_iter()
            .find(|&signal| SignalSet::of(signal).wait(Some(Duration::ZERO)).is_some())?;
        Some(if come == libc::SIGTSTP { Wanted::Stop } else { Wanted::End(come) })
    }

    /// Stops, and returns when somebody continues this process.
    pub fn stop(&self) {
        let stop = SignalSet::of(libc::SIGTSTP);
        let _ = kill_process(getpid(), Signal::TSTP);
        stop.unblock();
        stop.block();
    }
}

impl Default for Interruptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Interruptions {
    fn drop(&mut self) {
        self.before.restore();
    }
}

impl std::fmt::Debug for Interruptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interruptions").finish_non_exhaustive()
    }
}
