//! What the table's mutex guards: the list, and the steps that change it.

use std::{collections::VecDeque, sync::Arc};

use smallvec::SmallVec;
use tokio::{sync::oneshot, time::Instant};

use super::{Claims, LeaseError, Subject, Token, order, report, subject::Claim};
use crate::locks::Owner;

/// Ended leases whose subject is remembered, for whoever brings their token too late.
const REMEMBERED: usize = 1024;

pub(super) struct State {
    /// In order of arrival.
    pub(super) entries: Vec<Entry>,
    pub(super) next_ticket: u64,
    next_token: Token,
    ended: VecDeque<(Token, Subject)>,
    pub(super) closed: bool,
}

/// One who holds or waits.
pub(super) struct Entry {
    pub(super) ticket: u64,
    pub(super) claims: Claims,
    pub(super) owner: Arc<Owner>,
    /// The leases under which it runs: they cannot end before it is served.
    pub(super) under: Vec<Token>,
    /// The tickets of those behind whom it lined up.
    pub(super) ahead: Vec<u64>,
    /// Since when it holds or waits, whichever it does now.
    pub(super) since: Instant,
    pub(super) stage: Stage,
    pub(super) is_lease: bool,
    /// Mutations that act under this lease now.
    pub(super) pins: u32,
    /// Given up, but for those.
    pub(super) ended: bool,
}

pub(super) enum Stage {
    Waiting(Option<oneshot::Sender<Token>>),
    /// The token is 0 for a mutation.
    Held(Token),
}

impl Entry {
    /// The token of a lease that is held, also if it is about to end.
    pub(super) fn token(&self) -> Option<Token> {
        match self.stage {
            Stage::Held(token) if token != 0 => Some(token),
            _ => None,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Held(_))
    }
}

/// Who is to be told once the mutex is free.
pub(super) type Granted = SmallVec<[(oneshot::Sender<Token>, Token); 4]>;

pub(super) fn tell(granted: Granted) {
    for (waiter, token) in granted {
        // It may be going away at this moment. Then it gives up what it got itself.
        let _ = waiter.send(token);
    }
}

impl State {
    pub(super) fn new(first: Token) -> Self {
        Self {
            entries: Vec::new(),
            next_ticket: 0,
            next_token: first.max(1),
            ended: VecDeque::new(),
            closed: false,
        }
    }

    pub(super) fn find(&self, ticket: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&ticket, |entry| entry.ticket).ok()
    }

    pub(super) fn check(&self, tokens: &[Token]) -> Result<(), LeaseError> {
        let held = |token: Token| {
            self.entries.iter().any(|entry| entry.token() == Some(token) && !entry.ended)
        };
        let Some(&token) = tokens.iter().find(|token| !held(**token)) else { return Ok(()) };
        let known = |claims: &Claims| claims.first().map(|claim| claim.subject.clone());
        let ending = self.entries.iter().find(|entry| entry.token() == Some(token));
        let subject = ending.and_then(|entry| known(&entry.claims)).or_else(|| {
            self.ended.iter().find(|(ended, _)| *ended == token).map(|(_, subject)| subject.clone())
        });
        let holders = subject.as_ref().map(|s| report::holders(&self.entries, s, token));
        Err(LeaseError::Stale { token, subject, holders: holders.unwrap_or_default() })
    }

    /// Makes a waiter a holder, and returns how it is told.
    pub(super) fn grant(&mut self, at: usize) -> Option<(oneshot::Sender<Token>, Token)> {
        let entry = &mut self.entries[at];
        let token = if entry.is_lease { self.next_token } else { 0 };
        self.next_token += u64::from(entry.is_lease);
        entry.since = Instant::now();
        match std::mem::replace(&mut entry.stage, Stage::Held(token)) {
            Stage::Waiting(Some(tell)) => Some((tell, token)),
            Stage::Waiting(None) | Stage::Held(_) => None,
        }
    }

    /// Makes all those holders whom nobody is in the way of, in order.
    pub(super) fn grant_all(&mut self) -> Granted {
        let mut granted = Granted::new();
        for at in 0..self.entries.len() {
            if matches!(self.entries[at].stage, Stage::Waiting(Some(_)))
                && !order::is_blocked(&self.entries, at)
            {
                granted.extend(self.grant(at));
            }
        }
        granted
    }

    pub(super) fn remove(&mut self, at: usize) {
        let entry = self.entries.remove(at);
        if let Some(token) = entry.token()
            && let Some(Claim { subject, .. }) = entry.claims.into_iter().next()
        {
            self.ended.truncate(REMEMBERED - 1);
            self.ended.push_front((token, subject));
        }
    }
}
