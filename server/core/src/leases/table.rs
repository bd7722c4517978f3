//! The table: one list of all that hold or wait, in order of arrival, behind one mutex.
//!
//! The mutex is held for short steps only, never across an `.await`, and nobody is woken under it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use smallvec::SmallVec;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Claims, LeaseError, LeaseStatus, Subject, Token, order, report,
    state::{Entry, Stage, State, tell},
};
use crate::locks::Owner;

/// All leases of one build root.
pub(crate) struct LeaseTable {
    state: Mutex<State>,
    /// Leases on paths, held or waited for: what a mutation looks at before anything else.
    on_paths: AtomicUsize,
}

/// What somebody asks the table for.
pub(crate) struct Wanted {
    pub(crate) claims: Claims,
    pub(crate) owner: Arc<Owner>,
    pub(crate) under: Vec<Token>,
    /// A lease gets a token; a mutation that waits for leases to end does not.
    pub(crate) is_lease: bool,
}

impl LeaseTable {
    /// A table whose tokens begin with `first`.
    pub(crate) fn new(first: Token) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::new(first)), on_paths: AtomicUsize::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all that is wanted, after everybody who was there before and is in the way. The place
    /// in the order is taken when the future is first polled; dropping it gives it up.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<Held, LeaseError> {
        let start = Instant::now();
        let (mut held, turn) = self.enter(wanted, start)?;
        let Some(turn) = turn else { return Ok(held) };
        held.token = match timeout_at(deadline, turn).await {
            Ok(told) => told.map_err(|_| LeaseError::Closed)?,
            Err(_) => self.give_up(held.ticket, start)?,
        };
        Ok(held)
    }

    /// Enters the list. What it returns leaves it when dropped.
    fn enter(
        self: &Arc<Self>,
        wanted: Wanted,
        now: Instant,
    ) -> Result<(Held, Option<oneshot::Receiver<Token>>), LeaseError> {
        let mut state = self.lock();
        if state.closed {
            return Err(LeaseError::Closed);
        }
        state.check(&wanted.under)?;
        let ahead = order::ahead(&state.entries, &wanted.claims, &wanted.under);
        let (tell, turn) = oneshot::channel();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.entries.push(Entry {
            ticket,
            claims: wanted.claims,
            owner: wanted.owner,
            under: wanted.under,
            ahead,
            since: now,
            stage: Stage::Waiting(Some(tell)),
            is_lease: wanted.is_lease,
            pins: 0,
            ended: false,
        });
        let at = state.entries.len() - 1;
        if !order::is_blocked(&state.entries, at) {
            let token = state.grant(at).map_or(0, |(_, token)| token);
            self.count(&state);
            return Ok((Held { table: Arc::clone(self), ticket, token }, None));
        }
        if let Some(circle) = order::circle(&state.entries, at) {
            let error = LeaseError::Deadlock(report::circle(&state.entries, &circle));
            state.entries.pop();
            return Err(error);
        }
        self.count(&state);
        Ok((Held { table: Arc::clone(self), ticket, token: 0 }, Some(turn)))
    }

    /// The time of a waiter is up; unless it is its turn at this very moment.
    fn give_up(&self, ticket: u64, start: Instant) -> Result<Token, LeaseError> {
        let state = self.lock();
        let Some(at) = state.find(ticket) else { return Err(LeaseError::Closed) };
        if let Stage::Held(token) = state.entries[at].stage {
            return Ok(token);
        }
        let holders = report::in_the_way(&state.entries, at);
        let subject =
            order::first_blocker(&state.entries, at).map(|(_, claim)| claim.subject.clone());
        let own = || state.entries[at].claims.first().map(|claim| claim.subject.clone());
        let subject = subject.or_else(own).unwrap_or(Subject::Name(String::new()));
        Err(LeaseError::TimedOut { subject, waited: start.elapsed(), holders })
    }

    /// Lets a mutation pass that holds the locks of its paths, unless a lease of others, or who
    /// came before it, is in its way (`None`). The tokens that it brings are held, and stay so for
    /// others until what it returns is dropped. With `guarded` it has waited in the table already.
    pub(crate) fn pass(
        self: &Arc<Self>,
        tokens: &[Token],
        guarded: bool,
        claims: impl FnOnce() -> Claims,
    ) -> Result<Option<Pins>, LeaseError> {
        if tokens.is_empty() && (guarded || self.on_paths.load(Ordering::Acquire) == 0) {
            return Ok(Some(Pins::none()));
        }
        let mut state = self.lock();
        state.check(tokens)?;
        if !guarded && order::is_in_the_way(&state.entries, &claims(), tokens) {
            return Ok(None);
        }
        for entry in &mut state.entries {
            entry.pins += u32::from(entry.token().is_some_and(|token| tokens.contains(&token)));
        }
        let table = (!tokens.is_empty()).then(|| Arc::clone(self));
        Ok(Some(Pins { table, tokens: tokens.into() }))
    }

    /// Whether all of these are held.
    pub(crate) fn check(&self, tokens: &[Token]) -> Result<(), LeaseError> {
        if tokens.is_empty() { Ok(()) } else { self.lock().check(tokens) }
    }

    fn leave(&self, ticket: u64) {
        let granted = {
            let mut state = self.lock();
            let Some(at) = state.find(ticket) else { return };
            if state.entries[at].pins > 0 {
                state.entries[at].ended = true;
                return;
            }
            state.remove(at);
            let granted = state.grant_all();
            self.count(&state);
            granted
        };
        tell(granted);
    }

    fn unpin(&self, tokens: &[Token]) {
        let granted = {
            let mut state = self.lock();
            for at in (0..state.entries.len()).rev() {
                let entry = &mut state.entries[at];
                if entry.token().is_some_and(|token| tokens.contains(&token)) {
                    entry.pins -= 1;
                    if entry.ended && entry.pins == 0 {
                        state.remove(at);
                    }
                }
            }
            let granted = state.grant_all();
            self.count(&state);
            granted
        };
        tell(granted);
    }

    /// Refuses all that wait, and all that come. What is held stays held.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = state.entries.iter_mut().filter_map(|entry| match &mut entry.stage {
            Stage::Waiting(tell) => tell.take(),
            Stage::Held(_) => None,
        });
        let waiting: Vec<_> = waiting.collect();
        drop(state);
        // A sender that is dropped says it.
        drop(waiting);
    }

    /// Who holds and who waits, as it is at this moment.
    pub(crate) fn snapshot(&self) -> Vec<LeaseStatus> {
        report::snapshot(&self.lock().entries)
    }

    fn count(&self, state: &State) {
        let on_path = |entry: &&Entry| {
            entry.is_lease
                && entry.claims.iter().any(|claim| matches!(claim.subject, Subject::Path(_)))
        };
        let count = state.entries.iter().filter(on_path).count();
        self.on_paths.store(count, Ordering::Release);
    }
}

impl fmt::Debug for LeaseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseTable").finish_non_exhaustive()
    }
}

/// A place in the table: it holds, or waits. Dropped, it leaves.
#[derive(Debug)]
pub(crate) struct Held {
    table: Arc<LeaseTable>,
    ticket: u64,
    token: Token,
}

impl Held {
    pub(crate) fn token(&self) -> Token {
        self.token
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.table.leave(self.ticket);
    }
}

/// The tokens under which a mutation acts. Until this is dropped, nobody comes after their leases.
#[derive(Debug)]
pub(crate) struct Pins {
    table: Option<Arc<LeaseTable>>,
    tokens: SmallVec<[Token; 2]>,
}

impl Pins {
    fn none() -> Self {
        Self { table: None, tokens: SmallVec::new() }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Some(table) = &self.table {
            table.unpin(&self.tokens);
        }
    }
}
