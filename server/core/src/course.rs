//! The course of one request through the core, for whoever wants to know.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use onewriter_tree::{Error, mutation::Change};

use crate::locks::Owner;

/// What is written down of a request while it is served. Where nobody wants to know there is none,
/// and it costs nothing.
#[derive(Debug, Default)]
pub struct Course(Mutex<Stations>);

/// What a request was, and what became of it, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stations {
    /// The mutation's name; empty if the request did not come to any.
    pub method: &'static str,
    /// The build that it was made for.
    pub build: String,
    /// The target that make was making.
    pub target: String,
    /// Paths that it acted on, or found as they were to be.
    pub paths: usize,
    /// What it did to the last of them.
    pub outcome: &'static str,
    /// Why it was refused, if it was.
    pub reason: Option<&'static str>,
    /// How long it waited for locks and leases of others.
    pub waited: Duration,
    /// How long it acted under its locks, and waited for the disk.
    pub acted: Duration,
}

impl Course {
    /// All that is known by now.
    pub fn stations(&self) -> Stations {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Stations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a part of what a request takes, and writes down how long that was, where somebody wants to
    /// know.
    pub(crate) async fn time<T>(
        course: Option<&Self>,
        part: fn(&Self, Duration),
        work: impl Future<Output = T>,
    ) -> T {
        let Some(course) = course else { return work.await };
        let began = Instant::now();
        let done = work.await;
        part(course, began.elapsed());
        done
    }

    pub(crate) fn waited(&self, long: Duration) {
        self.lock().waited += long;
    }

    pub(crate) fn acted(&self, long: Duration) {
        self.lock().acted += long;
    }

    /// A request may do more than one thing: all of its paths count.
    pub(crate) fn ended(&self, owner: &Owner, changes: &[Change], error: Option<&Error>) {
        let mut stations = self.lock();
        stations.method = owner.method;
        stations.build.clone_from(&owner.build);
        stations.target.clone_from(&owner.target);
        stations.paths += changes.len();
        if let Some(last) = changes.last() {
            stations.outcome = last.outcome.as_str();
        }
        if let Some(error) = error {
            stations.reason = Some(error.reason.as_str());
            stations.outcome = crate::tally::REFUSED;
        }
    }
}
