//! What the log tells of strangers: they decide how often there is something to tell, and not how large
//! the log becomes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most often that something is told.
const EVERY: Duration = Duration::from_secs(1);

/// When something was told last.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether it may be told again; it counts as told then.
    pub(crate) fn may_tell(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            *told = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_at_once_is_not_told_again() {
        let seldom = Seldom::default();
        assert!(seldom.may_tell());
        // However slow this test is: told a moment from now.
        *seldom.0.lock().unwrap() = Some(Instant::now() + EVERY);
        assert!(!seldom.may_tell());
        *seldom.0.lock().unwrap() = Instant::now().checked_sub(EVERY);
        assert!(seldom.may_tell());
    }
}
