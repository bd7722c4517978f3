//! The table itself: a queue for each key, and how a request passes through several of them.
//!
//! A queue lives in the map's value, so that the map's shard lock is the only mutex there is. It is
//! taken for one short step at a time, never across an `.await`, and nobody is woken under it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dashmap::DashMap;
use tokio::time::{Instant, timeout_at};

use super::meters::Meters;
use super::queue::{Queue, Ticket, Turn};
use super::set::Claims;
use super::{Access, Counters, Holding, Key, KeyStatus, LockError, LockSet, Owner};
use crate::histogram::Histogram;

/// All locks of one build root.
#[derive(Default)]
pub struct LockTable {
    queues: DashMap<Key, Queue>,
    next_ticket: AtomicU64,
    meters: Meters,
}

impl LockTable {
    /// A table in which nothing is locked.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes all of a set, waiting in turn where somebody else is there first.
    ///
    /// The place in a queue is taken when the future is first polled. The future may be dropped at
    /// any time; what it had is given up then. With a deadline it must run in a tokio runtime that
    /// has a timer.
    ///
    /// # Errors
    ///
    /// [`LockError::TimedOut`] if the deadline passes while it waits. A set that is free is granted
    /// even after the deadline.
    pub async fn acquire(
        self: &Arc<Self>,
        set: LockSet,
        owner: Arc<Owner>,
        deadline: Option<Instant>,
    ) -> Result<LockGuard, LockError> {
        let start = Instant::now();
        let mut now = start;
        let mut wait = None;
        let mut stake = Stake::new(self, set);
        while !stake.is_complete() {
            if let Some(turn) = stake.enter_next(&owner, now) {
                wait.get_or_insert_with(|| self.meters.begin_wait(owner.method, start));
                stake.wait_for(turn, start, deadline).await?;
                now = Instant::now();
            }
        }
        Ok(LockGuard::new(stake))
    }

    /// Takes all of a set if that needs no waiting, and otherwise nothing.
    pub fn try_acquire(self: &Arc<Self>, set: LockSet, owner: Arc<Owner>) -> Option<LockGuard> {
        let now = Instant::now();
        let mut stake = Stake::new(self, set);
        while !stake.is_complete() {
            if !stake.try_enter_next(&owner, now) {
                return None;
            }
        }
        Some(LockGuard::new(stake))
    }

    /// Takes a request out of one queue and tells those who hold the key because of that.
    fn leave(&self, key: &Key, ticket: Ticket) {
        let mut granted = Default::default();
        self.queues.remove_if_mut(key, |_, queue| {
            granted = queue.leave(ticket);
            queue.is_empty()
        });
        for waiter in granted {
            // It may be going away at this moment. Then it gives the key up itself.
            let _ = waiter.send(());
        }
    }

    /// Who keeps a waiter from a key; `None` if it holds the key by now.
    fn holders_before(&self, key: &Key, ticket: Ticket) -> Option<Vec<Holding>> {
        let queue = self.queues.get(key)?;
        (!queue.is_held_by(ticket)).then(|| queue.holders(Instant::now()))
    }

    /// Every key that somebody holds, in the order of the keys.
    ///
    /// Each key is shown as it was at one instant, but not all keys at the same one.
    pub fn snapshot(&self) -> Vec<KeyStatus> {
        let now = Instant::now();
        let mut keys: Vec<_> = self
            .queues
            .iter()
            .map(|queue| KeyStatus {
                key: queue.key().clone(),
                holders: queue.holders(now),
                waiters: queue.waiters(now),
            })
            .collect();
        keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        keys
    }

    /// Who holds `key` alone, if anybody does.
    pub fn exclusive_holder(&self, key: &Key) -> Option<Arc<Owner>> {
        let holders = self.queues.get(key)?.holders(Instant::now());
        let alone = holders.into_iter().find(|holding| holding.access == Access::Exclusive);
        alone.map(|holding| holding.owner)
    }

    /// The table's figures.
    pub fn counters(&self) -> Counters {
        self.meters.read()
    }

    /// How long requests waited that have stopped waiting, whatever became of them, by their
    /// [`Owner::method`].
    pub fn waits(&self) -> BTreeMap<&'static str, Histogram> {
        self.meters.waits()
    }

    /// Whether nothing is locked, and so nobody waits.
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }
}

impl fmt::Debug for LockTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockTable").field("keys", &self.queues.len()).finish_non_exhaustive()
    }
}

/// What a request has at stake: the queues that it has entered, as a holder or as a waiter.
///
/// Dropping it leaves them all. As it makes no difference there whether a key was held, waited for,
/// or granted a moment ago, a request that is cancelled needs no care of its own.
struct Stake {
    table: Arc<LockTable>,
    ticket: Ticket,
    claims: Claims,
    /// How many of the claims, from the first one on, it has a place in the queue for.
    entered: usize,
}

impl Stake {
    fn new(table: &Arc<LockTable>, set: LockSet) -> Self {
        let ticket = table.next_ticket.fetch_add(1, Relaxed);
        Self { table: Arc::clone(table), ticket, claims: set.into_claims(), entered: 0 }
    }

    fn is_complete(&self) -> bool {
        self.entered == self.claims.len()
    }

    /// Enters the next key's queue. Returns what it has to wait for, if it does not hold the key.
    fn enter_next(&mut self, owner: &Arc<Owner>, now: Instant) -> Option<Turn> {
        let (key, access) = &self.claims[self.entered];
        let mut queue = self.table.queues.entry(key.clone()).or_default();
        self.entered += 1;
        queue.enter(self.ticket, owner, *access, now)
    }

    /// Enters the next key's queue if that makes it a holder.
    fn try_enter_next(&mut self, owner: &Arc<Owner>, now: Instant) -> bool {
        let (key, access) = &self.claims[self.entered];
        let mut queue = self.table.queues.entry(key.clone()).or_default();
        let admitted = queue.admits(*access);
        if admitted {
            self.entered += 1;
            queue.enter(self.ticket, owner, *access, now);
        }
        admitted
    }

    /// Waits until it holds the key that it entered last.
    async fn wait_for(
        &self,
        turn: Turn,
        start: Instant,
        deadline: Option<Instant>,
    ) -> Result<(), LockError> {
        const KEPT: &str = "the queue keeps the sender until it grants the key";
        let Some(deadline) = deadline else {
            turn.await.expect(KEPT);
            return Ok(());
        };
        if let Ok(granted) = timeout_at(deadline, turn).await {
            granted.expect(KEPT);
            return Ok(());
        }
        let (key, _) = &self.claims[self.entered - 1];
        let Some(holders) = self.table.holders_before(key, self.ticket) else {
            return Ok(());
        };
        let waited = start.elapsed();
        tracing::debug!(%key, ?waited, holders = holders.len(), "lock wait timed out");
        Err(LockError::TimedOut { key: key.clone(), waited, holders })
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        for (key, _) in self.claims[..self.entered].iter().rev() {
            self.table.leave(key, self.ticket);
        }
    }
}

/// A set that is held. Dropping the guard gives it up, in any thread, with or without a runtime.
#[must_use = "the locks are given up when the guard is dropped"]
pub struct LockGuard {
    stake: Stake,
}

impl LockGuard {
    fn new(stake: Stake) -> Self {
        stake.table.meters.begin_hold();
        Self { stake }
    }

    /// What is held, in the order in which it was taken.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Access)> {
        self.stake.claims.iter().map(|(key, access)| (key, *access))
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.stake.table.meters.end_hold();
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(&self.stake.claims).finish()
    }
}
