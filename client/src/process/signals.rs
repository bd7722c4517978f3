//! A command that runs, and the signals that come meanwhile.
//!
//! They are blocked and taken one by one, without a handler. What a process sends to this one was
//! meant for the command, and is passed on. What the terminal sends goes to all of the foreground
//! process group, so that the command has it already. When the command stops, so does this process,
//! and whoever watches it (a shell) sees what it would have seen without it.

use std::time::{Duration, Instant};

use rustix::{
    io::{Errno, retry_on_intr},
    process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait, waitpid},
};

use super::{
    ending::{Ended, Ending},
    sys::{self, Arrived, SignalSet},
};

/// What is to be done at intervals while a command runs.
pub struct Tick<'a> {
    /// How often.
    pub every: Duration,
    /// Does it, and decides.
    pub call: &'a mut dyn FnMut() -> Next,
}

/// What a [`Tick`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The command goes on.
    Continue,
    /// The command is told to end (SIGTERM).
    Terminate,
    /// The command is ended (SIGKILL).
    Kill,
}

impl std::fmt::Debug for Tick<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tick").field("every", &self.every).finish_non_exhaustive()
    }
}

/// A command that was started. Dropped without being waited for, it runs on.
pub struct Running {
    child: Pid,
    taken: SignalSet,
    blocked_before: SignalSet,
    ignored_children: bool,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("child", &self.child).finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn new(
        child: Pid,
        taken: SignalSet,
        blocked_before: SignalSet,
        ignored_children: bool,
    ) -> Self {
        Self { child, taken, blocked_before, ignored_children }
    }

    /// The command's process.
    #[must_use]
    pub fn id(&self) -> Pid {
        self.child
    }

    /// Waits until the command ends. From then on signals do to this process what they did before.
    #[must_use]
    pub fn wait(self, mut tick: Option<Tick<'_>>) -> Ended {
        let mut next = tick.as_ref().map(|tick| Instant::now() + tick.every);
        loop {
            let left = next.map(|next| next.saturating_duration_since(Instant::now()));
            match (self.taken.wait(left), &mut tick) {
                (Some(arrived), _) if arrived.number == libc::SIGCHLD => {
                    if let Some(ending) = self.look_at_children() {
                        let background = reap_orphans();
                        self.give_signals_back();
                        return Ended { ending, background };
                    }
                }
                (Some(arrived), _) => self.pass_on(arrived),
                (None, Some(tick)) => {
                    next = Some(Instant::now() + tick.every);
                    match (tick.call)() {
                        Next::Continue => {}
                        Next::Terminate => self.send(Signal::TERM),
                        Next::Kill => self.send(Signal::KILL),
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Of one SIGCHLD: several children may have changed by now.
    fn look_at_children(&self) -> Option<Ending> {
        loop {
            // Orphans are reaped as they come, so that they do not pile up.
            let changed = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED);
            let (child, status) = changed.ok().flatten()?;
            if child != self.child {
                continue;
            }
            if let Some(signal) = status.stopping_signal() {
                self.stop_as_well(signal);
            }
            if let Some(ending) = Ending::of(status) {
                return Some(ending);
            }
        }
    }

    /// Stops until somebody continues this process. The command gets the signal that does, too:
    /// directly, if all of the process group got it, or from here.
    fn stop_as_well(&self, signal: i32) {
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        let one = SignalSet::of(signal.as_raw());
        // Sent while it is blocked, it is one with that of the terminal, which may be waiting already.
        let _ = kill_process(getpid(), signal);
        one.unblock();
        one.block();
    }

    fn pass_on(&self, arrived: Arrived) {
        // Timers of this process's own were set by who became it: they survive execve(2), but a
        // child does not get them.
        let is_timer = matches!(arrived.number, libc::SIGALRM | libc::SIGVTALRM | libc::SIGPROF);
        let by_process = arrived.code <= 0 && arrived.sender != getpid().as_raw_nonzero().get();
        if is_timer || by_process {
            // Real-time signals, too, which have no names.
            sys::send(self.child, arrived.number);
        }
    }

    fn send(&self, signal: Signal) {
        let _ = kill_process(self.child, signal);
    }

    fn give_signals_back(&self) {
        // A daemon that is started later is no orphan of the command's.
        let _ = set_child_subreaper(None);
        sys::set_ignored(libc::SIGCHLD, self.ignored_children);
        self.blocked_before.restore();
    }
}

/// Reaps what has ended already; whether others live on.
fn reap_orphans() -> bool {
    loop {
        match retry_on_intr(|| wait(WaitOptions::NOHANG)) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Reaps a child that has failed to become another program.
pub(super) fn reap(child: Pid) {
    let _: Result<_, Errno> = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
}
