//! One key's holders and waiters: one list, in the order in which they came.
//!
//! The holders are always the head of the list: one exclusive entry, or all the shared entries
//! before the first exclusive one. So first come, first served is not a rule to enforce but the
//! shape of the data; whoever leaves, from whatever position, is taken out of the list and the
//! head is drawn anew. Nothing here blocks or wakes anybody.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Access, Holding, Owner, Waiting, set::fit};

/// What a request is known by in every queue that it enters.
pub(super) type Ticket = u64;

/// Becomes ready when the waiter has become a holder.
pub(super) type Turn = oneshot::Receiver<()>;

/// Those who have just become holders, to be told once no lock is held any more.
pub(super) type Granted = SmallVec<[oneshot::Sender<()>; 4]>;

/// Holders and waiters of one key.
#[derive(Default)]
pub(super) struct Queue {
    entries: SmallVec<[Entry; 2]>,
    /// How many entries, from the first one on, hold the key.
    holding: usize,
}

struct Entry {
    ticket: Ticket,
    access: Access,
    owner: Arc<Owner>,
    /// Since when it holds or waits, whichever it does now.
    since: Instant,
    /// How a waiter learns that it holds the key; a holder has none.
    notify: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// Whether a newcomer would hold the key at once.
    pub(super) fn admits(&self, access: Access) -> bool {
        self.holding == self.entries.len() && self.fits_beside_holders(access)
    }

    /// Adds a newcomer at the end. Returns what it has to wait for, if it does not hold the key at
    /// once.
    pub(super) fn enter(
        &mut self,
        ticket: Ticket,
        owner: &Arc<Owner>,
        access: Access,
        now: Instant,
    ) -> Option<Turn> {
        let (notify, turn) = if self.admits(access) {
            self.holding += 1;
            (None, None)
        } else {
            let (notify, turn) = oneshot::channel();
            (Some(notify), Some(turn))
        };
        self.entries.push(Entry { ticket, access, owner: Arc::clone(owner), since: now, notify });
        turn
    }

    /// Takes a request out, whether it holds the key or waits for it. Returns those who hold the
    /// key because of that.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Granted {
        let Some(position) = self.entries.iter().position(|entry| entry.ticket == ticket) else {
            return Granted::new();
        };
        self.entries.remove(position);
        if position < self.holding {
            self.holding -= 1;
        }
        self.grant()
    }

    /// Lets the waiters in that now fit, from the front.
    fn grant(&mut self) -> Granted {
        let mut granted = Granted::new();
        while let Some(next) = self.entries.get(self.holding)
            && self.fits_beside_holders(next.access)
        {
            let next = &mut self.entries[self.holding];
            next.since = Instant::now();
            granted.extend(next.notify.take());
            self.holding += 1;
        }
        granted
    }

    /// The first holder speaks for all: several are all shared.
    fn fits_beside_holders(&self, access: Access) -> bool {
        self.held().first().is_none_or(|holder| fit(holder.access, access))
    }

    /// Whether this request is among the holders.
    pub(super) fn is_held_by(&self, ticket: Ticket) -> bool {
        self.held().iter().any(|entry| entry.ticket == ticket)
    }

    /// Whether nobody holds the key or waits for it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who holds the key, in the order in which they came.
    pub(super) fn holders(&self, now: Instant) -> Vec<Holding> {
        let report = |entry: &Entry| Holding {
            owner: Arc::clone(&entry.owner),
            access: entry.access,
            held_for: now.saturating_duration_since(entry.since),
        };
        self.held().iter().map(report).collect()
    }

    /// Who waits for the key, next one first.
    pub(super) fn waiters(&self, now: Instant) -> Vec<Waiting> {
        let report = |entry: &Entry| Waiting {
            owner: Arc::clone(&entry.owner),
            access: entry.access,
            waited: now.saturating_duration_since(entry.since),
        };
        self.entries[self.holding..].iter().map(report).collect()
    }

    fn held(&self) -> &[Entry] {
        &self.entries[..self.holding]
    }
}
