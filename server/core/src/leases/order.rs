//! Who is in whose way, and who would wait for himself.
//!
//! Who waits, waits for all who hold what he cannot have beside them, and for those who came before
//! him and want such a thing too. There are two exceptions, without which a lease could not be
//! used: nobody waits for a lease under which he runs himself; and nobody lines up behind one who
//! in the end waits for such a lease, since that one cannot be served earlier anyway. Behind whom
//! one lines up is decided once, on arrival.

use std::collections::VecDeque;

use super::{
    Token,
    state::Entry,
    subject::{Claim, clash},
};

/// Whether a waiter has to go on waiting.
pub(super) fn is_blocked(entries: &[Entry], at: usize) -> bool {
    blockers(entries, at).next().is_some()
}

/// Who is in the way of a waiter first, and with which claim.
pub(super) fn first_blocker(entries: &[Entry], at: usize) -> Option<(usize, &Claim)> {
    let other = blockers(entries, at).next()?;
    clash(&entries[at].claims, &entries[other].claims).map(|(_, theirs)| (other, theirs))
}

/// Whether one who came now would have to wait.
pub(super) fn is_in_the_way(entries: &[Entry], claims: &[Claim], under: &[Token]) -> bool {
    let holds = |entry: &Entry| entry.is_held() && is_against(entry, claims, under);
    entries.iter().any(holds) || !ahead(entries, claims, under).is_empty()
}

/// The tickets of those behind whom a newcomer lines up.
pub(super) fn ahead(entries: &[Entry], claims: &[Claim], under: &[Token]) -> Vec<u64> {
    let waits = |(at, entry): (usize, &Entry)| {
        let counts = !entry.is_held()
            && is_against(entry, claims, under)
            && (under.is_empty() || way_to_one_of(entries, at, under).is_none());
        counts.then_some(entry.ticket)
    };
    entries.iter().enumerate().filter_map(waits).collect()
}

/// Whether these cannot have what they claim at the same time as `entry`.
fn is_against(entry: &Entry, claims: &[Claim], under: &[Token]) -> bool {
    let own = entry.token().is_some_and(|token| under.contains(&token));
    !own && clash(claims, &entry.claims).is_some()
}

/// Those whom a waiter waits for: first those who hold.
fn blockers(entries: &[Entry], at: usize) -> impl Iterator<Item = usize> {
    let me = &entries[at];
    let holds = move |other: &usize| {
        let entry = &entries[*other];
        entry.is_held() && is_against(entry, &me.claims, &me.under)
    };
    let waits = |ticket: &u64| {
        let other = entries.binary_search_by_key(ticket, |entry| entry.ticket).ok();
        other.filter(|other| !entries[*other].is_held())
    };
    (0..entries.len()).filter(holds).chain(me.ahead.iter().filter_map(waits))
}

/// Those who run under a lease that is held, and wait: it cannot end before they are served.
fn runners(entries: &[Entry], holder: usize) -> Vec<usize> {
    let Some(token) = entries[holder].token() else { return Vec::new() };
    let runs = |at: &usize| !entries[*at].is_held() && entries[*at].under.contains(&token);
    (0..entries.len()).filter(runs).collect()
}

/// A circle of waits through `waiter`, who has just arrived: he waits for the second, each for the
/// next or cannot end before it, and the last is a lease under which he runs himself.
///
/// Waits begin on arrival only, and whoever is granted a lease has a token that nobody has known
/// before. So a circle is closed by an arrival, and if each who arrives looks, and leaves if he
/// has closed one before anybody else looks, there is never one.
pub(super) fn circle(entries: &[Entry], waiter: usize) -> Option<Vec<usize>> {
    way_to_one_of(entries, waiter, &entries[waiter].under)
}

/// The shortest way, from one who waits for the other to the next, to a lease with one of these
/// tokens; both ends included.
fn way_to_one_of(entries: &[Entry], start: usize, tokens: &[Token]) -> Option<Vec<usize>> {
    let mut came_from: Vec<Option<usize>> = vec![None; entries.len()];
    let mut pending = VecDeque::from([start]);
    while let Some(at) = pending.pop_front() {
        let entry = &entries[at];
        if entry.token().is_some_and(|token| tokens.contains(&token)) {
            let back = |at: &usize| came_from[*at].filter(|_| *at != start);
            let mut way: Vec<_> = std::iter::successors(Some(at), back).collect();
            way.reverse();
            return Some(way);
        }
        let next: Vec<usize> = match entry.is_held() {
            true => runners(entries, at),
            false => blockers(entries, at).collect(),
        };
        for other in next {
            if other != start && came_from[other].is_none() {
                came_from[other] = Some(at);
                pending.push_back(other);
            }
        }
    }
    None
}
