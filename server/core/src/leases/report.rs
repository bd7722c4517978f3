//! What the lease table tells people: who holds, who waits, and what stands in the way.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use onewriter_tree::mutation::Access;
use tokio::time::Instant;

use super::{Claims, Subject, Token, order, state::Entry, subject::clash};
use crate::locks::{Holding, Owner};

/// A lease that somebody holds.
#[derive(Clone, Debug)]
pub struct LeaseHolding {
    /// Who, how and for how long.
    pub holding: Holding,
    /// Its token; 0 for a mutation whose turn it is.
    pub token: Token,
}

/// One who waits.
#[derive(Clone, Debug)]
pub struct LeaseWaiting {
    /// Who waits.
    pub owner: Arc<Owner>,
    /// How it wants what it waits for.
    pub access: Access,
    /// For how long it has waited.
    pub waited: Duration,
}

/// What somebody has a lease on.
#[derive(Clone, Debug)]
pub struct LeaseStatus {
    /// What it is.
    pub subject: Subject,
    /// Who holds it.
    pub holders: Vec<LeaseHolding>,
    /// Who waits for it, next one first.
    pub waiters: Vec<LeaseWaiting>,
}

/// Why the table refuses.
#[derive(Debug)]
pub(crate) enum LeaseError {
    /// The deadline came first.
    TimedOut { subject: Subject, waited: Duration, holders: Vec<Holding> },
    /// A token that is not held, or not any more.
    Stale { token: Token, subject: Option<Subject>, holders: Vec<Holding> },
    /// It would never end: the circle, in words.
    Deadlock(String),
    /// The daemon is about to stop.
    Closed,
}

fn access(entry: &Entry) -> Access {
    entry.claims.iter().map(|claim| claim.access).max().unwrap_or(Access::Shared)
}

fn holding(entry: &Entry, now: Instant) -> Holding {
    let held_for = now.saturating_duration_since(entry.since);
    Holding { owner: Arc::clone(&entry.owner), access: access(entry), held_for }
}

/// Who holds what a waiter waits for; or who waits for it earlier, where nobody holds it.
pub(super) fn in_the_way(entries: &[Entry], waiter: usize) -> Vec<Holding> {
    let now = Instant::now();
    let blocker = order::first_blocker(entries, waiter);
    blocker.map(|(at, _)| holding(&entries[at], now)).into_iter().collect()
}

/// Who holds `subject` now, under another token.
pub(super) fn holders(entries: &[Entry], subject: &Subject, token: Token) -> Vec<Holding> {
    let now = Instant::now();
    let holds = |entry: &&Entry| {
        entry.token().is_some_and(|other| other != token)
            && entry.claims.iter().any(|claim| claim.subject.meets(subject))
    };
    entries.iter().filter(holds).map(|entry| holding(entry, now)).collect()
}

/// `pid 12 (lock) waits for 'b', which pid 10 (lock) holds; under that lease pid 14 (lock) waits …`
pub(super) fn circle(entries: &[Entry], way: &[usize]) -> String {
    let mut text = String::new();
    for (step, &at) in way.iter().enumerate() {
        let entry = &entries[at];
        let next = way.get(step + 1).map(|&next| &entries[next]);
        // Of many claims, those that are in each other's way.
        let first = |claims: &Claims| claims.first().map(|claim| claim.subject.to_string());
        let met = next.and_then(|next| clash(&entry.claims, &next.claims));
        let met = met.map(|(own, other)| (own.subject.to_string(), other.subject.to_string()));
        let (own, held) = match met {
            Some((own, held)) => (own, Some(held)),
            None => (
                first(&entry.claims).unwrap_or_default(),
                next.and_then(|next| first(&next.claims)),
            ),
        };
        match (entry.is_held(), next) {
            (true, Some(_)) => text.push_str("; under that lease "),
            (true, None) => text.push_str("; that is the lease under which the first one runs"),
            (false, Some(next)) if next.is_held() => {
                let held = held.filter(|held| *held != own).unwrap_or_default();
                let gap = if held.is_empty() { "" } else { " as " };
                let (who, other) = (&entry.owner, &next.owner);
                let _ = write!(text, "{who} waits for {own}, which {other} holds{gap}{held}");
            }
            (false, Some(next)) => {
                let (who, other) = (&entry.owner, &next.owner);
                let _ = write!(text, "{who} waits for {own} after {other}, and ");
            }
            (false, None) => {}
        }
    }
    text
}

/// Every subject that somebody holds or waits for. Who waits is told where he waits: at what is
/// held by whoever is in his way.
pub(super) fn snapshot(entries: &[Entry]) -> Vec<LeaseStatus> {
    let now = Instant::now();
    let mut all: Vec<LeaseStatus> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let blocker = if entry.is_held() { None } else { order::first_blocker(entries, at) };
        let claim = blocker.map(|(_, claim)| claim).or(entry.claims.first());
        let Some(subject) = claim.map(|claim| &claim.subject) else { continue };
        let place = all.iter().position(|status| status.subject == *subject);
        let place = place.unwrap_or_else(|| {
            let subject = subject.clone();
            all.push(LeaseStatus { subject, holders: Vec::new(), waiters: Vec::new() });
            all.len() - 1
        });
        if entry.is_held() {
            let token = entry.token().unwrap_or(0);
            all[place].holders.push(LeaseHolding { holding: holding(entry, now), token });
        } else {
            let waited = now.saturating_duration_since(entry.since);
            let (owner, access) = (Arc::clone(&entry.owner), access(entry));
            all[place].waiters.push(LeaseWaiting { owner, access, waited });
        }
    }
    all.sort_by(|a, b| a.subject.cmp(&b.subject));
    all
}
