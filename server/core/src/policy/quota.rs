//! What one identity has used of its quota.
//!
//! It is counted when it is done, and looked at before: the mutation that goes beyond the quota is
//! the last one. Content that comes in a stream counts while it comes, so that no stream gets beyond.
//! Windows are of fixed length and begin with the first use; a daemon that starts begins anew.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use onewriter_tree::mutation::{Change, Outcome};

use super::rights::{Denial, Refused, Rights};

/// What was used in the window, and what is about to be.
#[derive(Debug, Default)]
pub(super) struct Account(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    since: Option<Instant>,
    bytes: u64,
    files: u64,
    /// Of streams under way.
    coming: u64,
}

/// Content of a stream under way; counted until it is dropped.
#[derive(Debug)]
pub struct Usage {
    rights: Arc<Rights>,
    bytes: u64,
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// Begins a new window where the last one is over.
    fn turn(&mut self, window: Option<u64>) {
        let length = Duration::from_secs(window.unwrap_or(u64::MAX));
        if self.since.is_none_or(|since| since.elapsed() >= length) {
            (self.since, self.bytes, self.files) = (Some(Instant::now()), 0, 0);
        }
    }
}

impl Rights {
    /// Refuses whoever has used up its quota.
    pub(crate) fn check_quota(&self) -> Result<(), Refused> {
        let limits = self.limits();
        if limits.bytes.is_none() && limits.files.is_none() {
            return Ok(());
        }
        self.check(&mut self.account.lock(), 0)
    }

    fn check(&self, spent: &mut Spent, more: u64) -> Result<(), Refused> {
        let limits = self.limits();
        spent.turn(limits.window);
        let bytes = spent.bytes.saturating_add(spent.coming).saturating_add(more);
        if let Some(most) = limits.bytes.filter(|most| bytes > *most || spent.bytes >= *most) {
            return Err(self.used_up("bytes", most, spent));
        }
        match limits.files {
            Some(most) if spent.files >= most => Err(self.used_up("files", most, spent)),
            _ => Ok(()),
        }
    }

    /// Counts what was done.
    pub(crate) fn charge(&self, changes: &[Change]) {
        let limits = self.limits();
        if limits.bytes.is_none() && limits.files.is_none() {
            return;
        }
        let mut spent = self.account.lock();
        spent.turn(limits.window);
        spent.bytes += changes.iter().map(|change| change.bytes).sum::<u64>();
        let created = changes.iter().filter(|change| change.outcome == Outcome::Created);
        spent.files += created.count() as u64;
    }

    /// Begins to count a stream.
    pub fn usage(self: &Arc<Self>) -> Usage {
        Usage { rights: Arc::clone(self), bytes: 0 }
    }

    fn used_up(&self, what: &str, most: u64, spent: &Spent) -> Refused {
        let window = Duration::from_secs(self.limits().window.unwrap_or(u64::MAX));
        let left = window.saturating_sub(spent.since.map_or(window, |since| since.elapsed()));
        let who = self.who();
        let cure = format!(
            "wait for {} s, or have whoever runs the daemon raise `{what}` in its configuration \
             ([[limits]])",
            left.as_secs()
        );
        let text = format!("{who} has used up its quota of {most} {what}");
        let rule = format!("{what} = {most}");
        Refused { denial: Denial { identity: Arc::clone(who), rule, cure }, what: text }
    }
}

impl Usage {
    /// Counts so many bytes more, unless that is too much.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<(), Refused> {
        let mut spent = self.rights.account.lock();
        self.rights.check(&mut spent, bytes)?;
        spent.coming += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.rights.account.lock().coming -= self.bytes;
    }
}
