//! The table's figures while they are counted: relaxed atomics, so that nobody waits to count. Only
//! who had to wait, and has lost more time than that, takes a mutex for a moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Counters;
use crate::histogram::Histogram;

/// Behind [`Counters`], field by field; the time is in nanoseconds.
#[derive(Default)]
pub(super) struct Meters {
    acquisitions: AtomicU64,
    waited: AtomicU64,
    total_wait: AtomicU64,
    holders: AtomicU64,
    waiters: AtomicU64,
    waits: Mutex<BTreeMap<&'static str, Histogram>>,
}

impl Meters {
    pub(super) fn begin_hold(&self) {
        self.acquisitions.fetch_add(1, Relaxed);
        self.holders.fetch_add(1, Relaxed);
    }

    pub(super) fn end_hold(&self) {
        self.holders.fetch_sub(1, Relaxed);
    }

    /// Counts a wait of `method` that began at `start`, until what it returns is dropped.
    pub(super) fn begin_wait(&self, method: &'static str, start: Instant) -> Wait<'_> {
        self.waited.fetch_add(1, Relaxed);
        self.waiters.fetch_add(1, Relaxed);
        Wait { meters: self, method, start }
    }

    /// The waits that are over, by method.
    pub(super) fn waits(&self) -> BTreeMap<&'static str, Histogram> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    method: &'static str,
    start: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let waited = self.start.elapsed();
        // 2^64 nanoseconds are 584 years.
        self.meters.total_wait.fetch_add(waited.as_nanos() as u64, Relaxed);
        self.meters.waiters.fetch_sub(1, Relaxed);
        let mut waits = self.meters.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.entry(self.method).or_default().observe(waited);
    }
}
