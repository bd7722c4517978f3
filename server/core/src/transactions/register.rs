//! Which transactions are under way, for people to see.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::locks::Owner;

/// All that are under way, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    underway: BTreeMap<u64, (Owner, String, Instant)>,
}

/// A transaction under way.
#[derive(Clone, Debug)]
pub struct Underway {
    /// Whose it is.
    pub owner: Owner,
    /// What runs in it.
    pub command: String,
    /// For how long.
    pub for_so_long: Duration,
}

/// Listed until it is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    register: Arc<Register>,
    number: u64,
}

impl Register {
    pub(super) fn list(self: &Arc<Self>, owner: Owner, command: String) -> Listed {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.next += 1;
        let number = entries.next;
        entries.underway.insert(number, (owner, command, Instant::now()));
        Listed { register: Arc::clone(self), number }
    }

    pub(crate) fn snapshot(&self) -> Vec<Underway> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |(owner, command, since): &(Owner, String, Instant)| Underway {
            owner: owner.clone(),
            command: command.clone(),
            for_so_long: since.elapsed(),
        };
        entries.underway.values().map(shown).collect()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut entries = self.register.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.underway.remove(&self.number);
    }
}
