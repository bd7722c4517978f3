//! A mutation on its way.

use std::{sync::Arc, time::Instant};

use onewriter_tree::{
    Error,
    mutation::{Change, Effects, Mutation},
};

use super::{
    Caller,
    books::{Books, Heading},
    leasing::Pass,
    refusal::Refusal,
};
use crate::{
    admission::Admitted,
    course::Course,
    keys::Turn,
    leases::Token,
    locks::{LockGuard, Owner},
    policy::{Rights, Slot},
};

/// How a mutation ended.
pub(super) type Answer = Result<Vec<Change>, Refusal>;

/// A mutation on its way, with all that it holds. Wherever it is dropped, what it had done by then
/// is recorded.
pub(super) struct Work {
    pub(super) mutation: Box<dyn Mutation>,
    pub(super) effects: Effects,
    pub(super) locks: Option<LockGuard>,
    /// Given up after the locks.
    pub(super) pass: Option<Pass>,
    /// The tokens that its caller brings.
    pub(super) leases: Vec<Token>,
    /// What its caller may do; `None`: everything.
    pub(super) rights: Option<Arc<Rights>>,
    /// Its caller's turn, kept for as long as it acts, whoever still waits for the answer.
    pub(super) slot: Option<Slot>,
    /// Where its course is written down.
    pub(super) course: Option<Arc<Course>>,
    /// Its right to happen, where it came with a key.
    pub(super) turn: Option<Turn>,
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
            pass: None,
            leases: caller.leases,
            rights: caller.rights,
            slot: None,
            course: caller.course,
            turn: None,
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
        // A look that found nothing to do is followed by the deed.
        if let Some(turn) = self.turn.take_if(|_| done.is_ok() && !changes.is_empty()) {
            turn.done(&changes);
        }
        done.map(|()| changes)
    }

    fn record(&self, changes: &[Change], error: Option<&Error>) {
        if let Some(rights) = &self.rights {
            rights.charge(changes);
        }
        let (owner, directory) = (&*self.owner, &*self.directory);
        if let Some(course) = &self.course {
            course.ended(owner, changes, error);
        }
        self.books.history.note(&self.owner, changes);
        let heading = Heading { owner, directory, took: self.arrived.elapsed() };
        self.books.record(&heading, changes, error);
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
