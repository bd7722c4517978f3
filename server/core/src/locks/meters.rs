//! The table's figures while they are counted: relaxed atomics, so that nobody waits to count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::Counters;

/// Behind [`Counters`], field by field; the time is in nanoseconds.
#[derive(Default)]
pub(super) struct Meters {
    acquisitions: AtomicU64,
    waited: AtomicU64,
    total_wait: AtomicU64,
    holders: AtomicU64,
    waiters: AtomicU64,
}

impl Meters {
    pub(super) fn begin_hold(&self) {
        self.acquisitions.fetch_add(1, Relaxed);
        self.holders.fetch_add(1, Relaxed);
    }

    pub(super) fn end_hold(&self) {
        self.holders.fetch_sub(1, Relaxed);
    }

    /// Counts a wait that began at `start`, until what it returns is dropped.
    pub(super) fn begin_wait(&self, start: Instant) -> Wait<'_> {
        self.waited.fetch_add(1, Relaxed);
        self.waiters.fetch_add(1, Relaxed);
        Wait { meters: self, start }
    }

    pub(super) fn read(&self) -> Counters {
        Counters {
            acquisitions: self.acquisitions.load(Relaxed),
            waited: self.waited.load(Relaxed),
            total_wait: Duration::from_nanos(self.total_wait.load(Relaxed)),
            holders: self.holders.load(Relaxed),
            waiters: self.waiters.load(Relaxed),
        }
    }
}

/// A wait that goes on. It is counted when it ends, however it does.
pub(super) struct Wait<'a> {
    meters: &'a Meters,
    start: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // 2^64 nanoseconds are 584 years.
        let waited = self.start.elapsed().as_nanos() as u64;
        self.meters.total_wait.fetch_add(waited, Relaxed);
        self.meters.waiters.fetch_sub(1, Relaxed);
    }
}
