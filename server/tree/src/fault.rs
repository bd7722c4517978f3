//! Places where tests have a process die, or a step fail. Nothing of it is in a release build.
//!
//! `ONEWRITER_FAULT=NAME:N` kills the process at the N-th passage of the point NAME, counted from
//! 1; `ONEWRITER_FAULT=fail:NAME:N` makes the step there fail with `EIO`, and `stop:NAME:N` stops the
//! process there until somebody continues it.

use rustix::io::Errno;

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use rustix::{
        io::Errno,
        process::{Signal, getpid, kill_process},
    };

    /// What the environment asks for.
    struct Fault {
        name: String,
        how: How,
        /// Passages that are left until it happens.
        left: AtomicU64,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum How {
        Kills,
        Fails,
        Stops,
    }

    fn parse(spec: &str) -> Option<Fault> {
        let (how, spec) = match (spec.strip_prefix("fail:"), spec.strip_prefix("stop:")) {
            (Some(rest), _) => (How::Fails, rest),
            (_, Some(rest)) => (How::Stops, rest),
            _ => (How::Kills, spec),
        };
        let (name, at) = spec.rsplit_once(':')?;
        Some(Fault { name: name.to_owned(), how, left: AtomicU64::new(at.parse().ok()?) })
    }

    pub(super) fn passage(name: &str) -> Result<(), Errno> {
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        let fault = FAULT.get_or_init(|| parse(&std::env::var("ONEWRITER_FAULT").ok()?));
        let Some(fault) = fault.as_ref().filter(|fault| fault.name == name) else { return Ok(()) };
        if fault.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return Ok(());
        }
        let signal = match fault.how {
            How::Fails => return Err(Errno::IO),
            How::Kills => Signal::KILL,
            How::Stops => Signal::STOP,
        };
        let _ = kill_process(getpid(), signal);
        Ok(())
    }
}

#[cfg(test)]
thread_local! {
    /// What a test asks for in its own thread: which passages of which points fail.
    static FAILING: std::cell::RefCell<Vec<(&'static str, u64)>> =
        const { std::cell::RefCell::new(Vec::new()) };
}

/// Has the `at`-th passage of `name` in this thread fail, counted from 1; 0 means all of them.
#[cfg(test)]
pub(crate) fn fail(name: &'static str, at: u64) {
    FAILING.with_borrow_mut(|failing| failing.push((name, at)));
}

/// Nothing fails any more; whether all that [`fail`] asked for has happened.
#[cfg(test)]
pub(crate) fn has_failed() -> bool {
    FAILING.with_borrow_mut(std::mem::take).iter().all(|(_, left)| *left == 0)
}

#[cfg(test)]
fn passage(name: &str) -> Result<(), Errno> {
    FAILING.with_borrow_mut(|failing| {
        let Some(at) = failing.iter().position(|(failing, _)| *failing == name) else {
            return Ok(());
        };
        match &mut failing[at].1 {
            0 => return Err(Errno::IO),
            1 => {}
            left => {
                *left -= 1;
                return Ok(());
            }
        }
        failing.remove(at);
        Err(Errno::IO)
    })
}

/// Passes the point `name`.
///
/// # Errors
/// `EIO` where a test asked for that.
pub fn point(name: &str) -> Result<(), Errno> {
    #[cfg(test)]
    passage(name)?;
    #[cfg(debug_assertions)]
    armed::passage(name)?;
    let _ = name;
    Ok(())
}
