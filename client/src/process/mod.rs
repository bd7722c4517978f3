//! Running a command in the way of a wrapper that is not there: signals, job control, exit codes and
//! descriptors are what they would be without it. The command may get a view of the build root of its
//! own, a [`Sandbox`].
//!
//! ```text
//! Command::new(words).variable(..).start(Some(&sandbox))?   the command runs
//!     .wait(None)                                            until it ends: `Ended`
//!     .ending.imitate()                                      ends this process in the same way
//! ```
//!
//! A process that starts a command becomes the one to which the command's orphans go, and may have
//! no other children meanwhile.

mod ending;
mod input;
mod interruption;
mod mounts;
mod program;
mod sandbox;
mod signals;
mod sys;

use std::{ffi::OsString, os::fd::OwnedFd, path::Path};

use rustix::{
    io::Errno,
    process::{Pid, Signal, getpid, getppid, set_child_subreaper, set_parent_process_death_signal},
};

pub use self::{
    ending::{Ended, Ending},
    interruption::{Interruptions, Wanted},
    sandbox::Sandbox,
    signals::{Next, Running, Tick},
};
pub(crate) use self::{
    input::Input,
    sys::{is_pipe, occupy_standard_numbers},
};
use self::{program::Program, sys::SignalSet};

/// While it lives, nobody is killed by SIGPIPE: for system calls that cannot be told not to raise it.
#[derive(Debug)]
pub(crate) struct Unpiped {
    was_ignored: bool,
}

impl Unpiped {
    pub(crate) fn new() -> Self {
        Self { was_ignored: sys::set_ignored(libc::SIGPIPE, true) }
    }
}

/// As a program without Rust's runtime has it: the tests' ignores it.
#[cfg(test)]
pub(crate) fn heed_sigpipe() {
    sys::set_ignored(libc::SIGPIPE, false);
}

impl Drop for Unpiped {
    fn drop(&mut self) {
        sys::set_ignored(libc::SIGPIPE, self.was_ignored);
    }
}

/// A command that is to be started.
#[derive(Debug)]
pub struct Command<'a> {
    words: &'a [OsString],
    program: Option<&'a Path>,
    variables: Vec<(&'static str, OsString)>,
}

/// Why a command did not start. Nothing has been executed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// The sandbox cannot be made.
    Sandbox {
        /// What was tried, for people: as in "mount an overlay".
        step: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// There is no such program, or it cannot be executed.
    Execute(Errno),
    /// There can be no child.
    Process(Errno),
}

impl<'a> Command<'a> {
    /// `words`: the program, looked for as a shell does, and its arguments.
    #[must_use]
    pub fn new(words: &'a [OsString]) -> Self {
        Self { words, program: None, variables: Vec::new() }
    }

    /// Executes this program, which is then only called by the first word.
    #[must_use]
    pub fn executing(mut self, program: &'a Path) -> Self {
        self.program = Some(program);
        self
    }

    /// Sets a variable in addition to this process's own.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Sets these variables, too.
    #[must_use]
    pub fn variables(self, variables: impl IntoIterator<Item = (&'static str, OsString)>) -> Self {
        variables.into_iter().fold(self, |command, (name, value)| command.variable(name, value))
    }

    /// Starts it, and from then on takes this process's signals to pass them on.
    ///
    /// # Errors
    /// Whichever step was refused; this process is as before then.
    pub fn start(&self, sandbox: Option<&Sandbox>) -> Result<Running, StartError> {
        let program =
            Program::new(self.words, self.program, &self.variables).map_err(StartError::Execute)?;
        set_child_subreaper(Some(getpid())).map_err(StartError::Process)?;
        let taken = SignalSet::sent_by_others();
        let blocked_before = taken.block();
        // Of a child whose end is ignored nobody would be told anything.
        let ignores_children = sys::set_ignored(libc::SIGCHLD, false);
        let restore = || {
            sys::set_ignored(libc::SIGCHLD, ignores_children);
            blocked_before.restore();
        };
        let started = start(&program, sandbox, &restore);
        if started.is_err() {
            restore();
        }
        started.map(|child| Running::new(child, taken, blocked_before, ignores_children))
    }

    /// Becomes it: this process executes the program in its own place.
    ///
    /// # Errors
    /// Returns only if it cannot be executed, with the reason.
    pub fn replace_this_process(&self) -> StartError {
        match Program::new(self.words, self.program, &self.variables) {
            Ok(program) => StartError::Execute(program.ready().become_it()),
            Err(errno) => StartError::Execute(errno),
        }
    }
}

/// `restore`: gives the child the signals as they were.
fn start(
    program: &Program,
    sandbox: Option<&Sandbox>,
    restore: &dyn Fn(),
) -> Result<Pid, StartError> {
    let mut ready = program.ready();
    let mut held: Vec<Option<OwnedFd>> = sandbox.map(Sandbox::room_for_mounts).unwrap_or_default();
    let mut failed = None;
    let parent = getpid();
    let mut life = || {
        let entered = live_with(parent).and_then(|()| match sandbox {
            Some(sandbox) => sandbox.enter(&mut held),
            None => Ok(()),
        });
        failed = Some(match entered {
            Err((step, errno)) => StartError::Sandbox { step, errno },
            Ok(()) => {
                restore();
                StartError::Execute(ready.become_it())
            }
        });
    };
    let namespaces = sandbox.map_or(0, Sandbox::namespaces);
    #[expect(unsafe_code, reason = "the child runs on this process's memory")]
    // SAFETY: `life` makes system calls, with strings that were made before, and writes to `held`
    // and `failed`. It neither allocates nor panics.
    let child = unsafe { sys::spawn(namespaces, &mut life) };
    // They were the child's descriptors; the same numbers may be others here.
    held.into_iter().for_each(std::mem::forget);
    match (child, failed) {
        (Ok(child), None) => Ok(child),
        (Ok(child), Some(error)) => {
            signals::reap(child);
            Err(error)
        }
        (Err(errno), _) if namespaces != 0 => {
            Err(StartError::Sandbox { step: "make a namespace", errno })
        }
        (Err(errno), _) => Err(StartError::Process(errno)),
    }
}

/// Lets the child end with `parent`, however that ends.
fn live_with(parent: Pid) -> Result<(), sandbox::Refused> {
    let set = set_parent_process_death_signal(Some(Signal::KILL));
    set.map_err(|errno| ("tie it to its parent", errno))?;
    // It may have ended before that.
    if getppid() == Some(parent) { Ok(()) } else { Err(("find its parent", Errno::SRCH)) }
}
