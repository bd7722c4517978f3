//! Why a mutation was not done.

use std::{fmt::Write as _, ops::RangeInclusive, sync::Arc, time::Duration};

use onewriter_tree::{Error, Reason, RelPath, mutation::Mutation};

use crate::{
    journal::JournalError,
    leases::LeaseError,
    locks::{Holding, LockError, Owner},
    policy::{Denial, Refused},
};

/// A mutation that was not done, or not wholly.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refusal {
    /// What happened, to which path.
    pub error: Error,
    /// Who held the lock that could not be had in time.
    pub holder: Option<Arc<Owner>>,
    /// What the policy says, where that is the cause.
    pub denial: Option<Box<Denial>>,
    /// The positions that the journal holds, where that is the cause.
    pub kept: Option<Box<RangeInclusive<i64>>>,
}

impl Refusal {
    /// Ends what could last longer than the policy under which it began.
    pub fn ask_again() -> Self {
        let what = "the daemon's policy was read again: ask again from the last position";
        Error::new(Reason::AskAgain, b".", what).into()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, holder: None, denial: None, kept: None }
    }
}

/// The journal cannot be read, or not from there on.
impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
        let what = format!("{error}{cause}");
        match error {
            JournalError::PositionGone { kept, .. } => {
                let error = Error::new(Reason::PositionGone, b".", what);
                Self { kept: Some(Box::new(kept)), ..error.into() }
            }
            _ => Error::new(Reason::Journal, b".", what).into(),
        }
    }
}

pub(super) fn lock_timeout(error: LockError, mutation: &mut dyn Mutation) -> Refusal {
    let LockError::TimedOut { key, .. } = &error;
    // Among several paths, the one that is at the key or below it.
    let asked = RelPath::parse(key.as_bytes()).ok().and_then(|key| {
        let claims = mutation.claims();
        claims.iter().find(|claim| claim.path.is_within(&key)).map(|claim| claim.path.clone())
    });
    lock_timeout_at(error, &asked.unwrap_or_default())
}

/// For whom `path` was asked.
pub(crate) fn lock_timeout_at(error: LockError, path: &RelPath) -> Refusal {
    let LockError::TimedOut { key, waited, holders } = error;
    let what = format!("is {}", given_up("held", &holders, waited));
    let path = if path.is_root() { key.as_bytes() } else { path.as_bytes() };
    let error = Error::new(Reason::LockTimeout, shown(path), what).at(shown(key.as_bytes()));
    Refusal { holder: first(holders), ..error.into() }
}

/// Why the lease table refuses what was asked for `path`.
pub(super) fn lease(error: LeaseError, path: &[u8]) -> Refusal {
    match error {
        LeaseError::TimedOut { subject, waited, holders } => {
            let what = format!("is {}", given_up("leased", &holders, waited));
            let error = Error::new(Reason::LockTimeout, path, what).at(subject.as_bytes());
            Refusal { holder: first(holders), ..error.into() }
        }
        LeaseError::Stale { token, subject, holders } => {
            let lease = subject.map(|s| format!(" of {s}")).unwrap_or_default();
            let now = match &holders[..] {
                [] => String::new(),
                [first, ..] => format!("; {} holds it now", first.owner),
            };
            let what = format!("the lease {token}{lease} is not held any more{now}");
            let error = Error::new(Reason::StaleLease, path, what);
            Refusal { holder: first(holders), ..error.into() }
        }
        LeaseError::Deadlock(circle) => {
            let what = format!("waiting for it would never end: {circle}");
            Error::new(Reason::Deadlock, path, what).into()
        }
        LeaseError::Closed => Error::new(Reason::Draining, path, STOPS).into(),
    }
}

/// `held by pid 12 (publish) for 3.1 s and by 2 more; gave up after waiting for 5.0 s`
fn given_up(how: &str, holders: &[Holding], waited: Duration) -> String {
    let mut what = format!("{how} by ");
    match holders {
        [] => what.push_str("nobody any more"),
        [first, others @ ..] => {
            let Holding { owner, held_for, .. } = first;
            let _ = write!(what, "{owner} for {:.1} s", held_for.as_secs_f64());
            if !others.is_empty() {
                let _ = write!(what, " and by {} more", others.len());
            }
        }
    }
    let _ = write!(what, "; gave up after waiting for {:.1} s", waited.as_secs_f64());
    what
}

fn first(holders: Vec<Holding>) -> Option<Arc<Owner>> {
    holders.into_iter().next().map(|holding| holding.owner)
}

const STOPS: &str = "the daemon is about to stop and takes no more requests";

pub(super) fn draining(path: &[u8]) -> Refusal {
    Error::new(Reason::Draining, path, STOPS).into()
}

/// What the policy has against it.
pub(crate) fn denied(reason: Reason, path: &RelPath, refused: Refused) -> Refusal {
    let Refused { denial, what } = refused;
    let error = Error::new(reason, shown(path.as_bytes()), what);
    Refusal { denial: Some(Box::new(denial)), ..error.into() }
}

/// For a mutation that panicked: the log has the panic itself.
pub(crate) fn broken(path: &[u8]) -> Refusal {
    Error::new(Reason::Io, path, "the daemon failed inside; its log says how").into()
}

/// The path that a failure is told of which is none of one path.
pub(super) fn first_path(mutation: &mut dyn Mutation) -> Vec<u8> {
    mutation.claims().first().map_or(&b"."[..], |claim| shown(claim.path.as_bytes())).to_vec()
}

/// The root is `.` to whoever reads it.
pub(super) fn shown(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}
