//! Several mutations under one set of locks.

use super::{Claim, Effects, Mutation};
use crate::{
    error::Error,
    tree::{Fault, Tree},
};

/// Each handle that waits to be synchronised is an open descriptor.
const MOST_WAITING: usize = 64;

/// Mutations that are applied one after another, with the locks of all their paths held from the
/// first to the last.
pub struct Batch {
    method: &'static str,
    items: Vec<Box<dyn Mutation>>,
    keep_going: bool,
    /// The first that is not done yet: a batch that met a symbolic link goes on from there.
    next: usize,
    failed: Option<Error>,
}

impl Batch {
    /// Stops at the first failure and names its index; with `keep_going` attempts all and reports
    /// the first failure after the last.
    pub fn new(method: &'static str, items: Vec<Box<dyn Mutation>>, keep_going: bool) -> Self {
        Self { method, items, keep_going, next: 0, failed: None }
    }
}

impl Mutation for Batch {
    fn method(&self) -> &'static str {
        self.method
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        self.items.iter_mut().flat_map(|item| item.claims()).collect()
    }

    /// Those that are done stay as they were found. One whose turn has not come may yet lead
    /// somewhere else: what is wrong with its path now is no failure.
    fn resolve(&mut self, tree: &Tree) -> Result<(), Error> {
        for item in self.items.iter_mut().skip(self.next) {
            let _ = item.resolve(tree);
        }
        Ok(())
    }

    fn shortcut(&self, tree: &Tree, effects: &mut Effects) -> bool {
        let before = effects.changes.len();
        let done = self.items.iter().all(|item| item.shortcut(tree, effects));
        if !done {
            effects.changes.truncate(before);
        }
        done
    }

    fn makes_name_in(&self) -> Option<&[u8]> {
        let (first, others) = self.items.split_first()?;
        let directory = first.makes_name_in()?;
        others.iter().all(|item| item.makes_name_in() == Some(directory)).then_some(directory)
    }

    /// Each is prepared only when those before it are done, since it may build on them.
    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        while let Some(item) = self.items.get_mut(self.next) {
            let waiting = effects.waiting();
            let done = item.prepare(tree, effects).and_then(|()| {
                // New content, before it gets its name. What names it can wait for all the others.
                effects.sync_after(waiting)?;
                item.apply(tree, effects)
            });
            if effects.waiting() > MOST_WAITING {
                effects.sync_now()?;
            }
            // A path that cannot be resolved is a failure of this one, not of all.
            let done = match done {
                Err(Fault::Moved) => {
                    Err(item.resolve(tree).map_or_else(Fault::Failed, |()| Fault::Moved))
                }
                done => done,
            };
            match done {
                Err(Fault::Failed(error)) => {
                    let error = Error { index: Some(self.next), ..error };
                    if !self.keep_going {
                        return Err(error.into());
                    }
                    self.failed.get_or_insert(error);
                }
                done => done?,
            }
            self.next += 1;
        }
        self.failed.take().map_or(Ok(()), |error| Err(error.into()))
    }
}
