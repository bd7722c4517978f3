//! A mutation on its way, and the books in which it ends.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use onewriter_tree::{
    Error,
    mutation::{Change, Effects, Mutation},
};

use super::{Caller, refusal::Refusal};
use crate::{
    admission::Admitted,
    journal::{Entry, Journal},
    locks::{LockGuard, Owner},
    tally::{REFUSED, Tally},
};

/// How a mutation ended.
pub(super) type Answer = Result<Vec<Change>, Refusal>;

/// A mutation on its way, with all that it holds. Wherever it is dropped, what it had done by then
/// is recorded.
pub(super) struct Work {
    pub(super) mutation: Box<dyn Mutation>,
    pub(super) effects: Effects,
    pub(super) locks: Option<LockGuard>,
    books: Arc<Books>,
    directory: String,
    owner: Arc<Owner>,
    arrived: Instant,
    _admitted: Admitted,
}

impl Work {
    pub(super) fn new(
        books: &Arc<Books>,
        caller: Caller,
        mutation: Box<dyn Mutation>,
        admitted: Admitted,
    ) -> Box<Self> {
        Box::new(Self {
            effects: Effects::new(books.durable),
            locks: None,
            books: Arc::clone(books),
            directory: caller.directory,
            owner: Arc::new(Owner { method: mutation.method(), ..caller.owner }),
            arrived: Instant::now(),
            mutation,
            _admitted: admitted,
        })
    }

    pub(super) fn owner(&self) -> Arc<Owner> {
        Arc::clone(&self.owner)
    }

    /// Records what was done, gives the locks back, and answers.
    pub(super) fn close(mut self: Box<Self>, done: Result<(), Refusal>) -> Answer {
        let changes = std::mem::take(&mut self.effects.changes);
        self.record(&changes, done.as_ref().err().map(|refusal| &refusal.error));
        done.map(|()| changes)
    }

    fn record(&self, changes: &[Change], error: Option<&Error>) {
        self.books.tally.count(self.owner.method, changes, error.is_some());
        let (at, took) = (SystemTime::now(), self.arrived.elapsed());
        let entry = |path: &[u8], outcome| Entry {
            at,
            took,
            build: self.owner.build.clone(),
            target: self.owner.target.clone(),
            directory: self.directory.clone(),
            pid: self.owner.pid,
            uid: self.owner.uid,
            method: self.owner.method,
            path: path.to_vec(),
            other: None,
            outcome,
            bytes: 0,
            error: None,
        };
        let journal = &self.books.journal;
        for change in changes {
            journal.append(Entry {
                other: change.other.as_ref().map(|other| other.as_bytes().to_vec()),
                bytes: change.bytes,
                ..entry(change.path.as_bytes(), change.outcome.as_str())
            });
        }
        if let Some(error) = error {
            let reason = Some(error.reason.as_str().to_owned());
            journal.append(Entry { error: reason, ..entry(&error.path, REFUSED) });
        }
    }
}

impl Drop for Work {
    /// Closed, it has nothing left. Else its caller went away while it was to be tried anew.
    fn drop(&mut self) {
        if !self.effects.changes.is_empty() {
            let changes = std::mem::take(&mut self.effects.changes);
            self.record(&changes, None);
        }
    }
}

/// Where what was done is written down.
pub(super) struct Books {
    pub(super) journal: Journal,
    pub(super) tally: Tally,
    /// Whether mutations answer for the disk.
    pub(super) durable: bool,
}
