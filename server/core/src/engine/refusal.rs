//! Why a mutation was not done.

use std::{fmt::Write as _, sync::Arc};

use onewriter_tree::{Error, Reason, RelPath, mutation::Mutation};

use crate::locks::{Holding, LockError, Owner};

/// A mutation that was not done, or not wholly.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refusal {
    /// What happened, to which path.
    pub error: Error,
    /// Who held the lock that could not be had in time.
    pub holder: Option<Arc<Owner>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, holder: None }
    }
}

pub(super) fn lock_timeout(error: LockError, mutation: &mut dyn Mutation) -> Refusal {
    let LockError::TimedOut { key, waited, holders } = error;
    // Among several paths, the one that is at the key or below it.
    let asked = RelPath::parse(key.as_bytes()).ok().and_then(|key| {
        let claims = mutation.claims();
        claims.iter().find(|claim| claim.path.is_within(&key)).map(|claim| claim.path.clone())
    });
    let mut what = String::from("is held by ");
    match &holders[..] {
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
    let path = asked.as_ref().map_or(key.as_bytes(), RelPath::as_bytes);
    let error = Error::new(Reason::LockTimeout, shown(path), what).at(shown(key.as_bytes()));
    Refusal { error, holder: holders.into_iter().next().map(|holding| holding.owner) }
}

pub(super) fn draining(mutation: &mut dyn Mutation) -> Refusal {
    let why = "the daemon is about to stop and takes no more requests";
    Error::new(Reason::Draining, &first_path(mutation), why).into()
}

/// For a mutation that panicked: the log has the panic itself.
pub(super) fn broken(path: &[u8]) -> Refusal {
    Error::new(Reason::Io, path, "the daemon failed inside; its log says how").into()
}

/// The path that a failure is told of which is none of one path.
pub(super) fn first_path(mutation: &mut dyn Mutation) -> Vec<u8> {
    mutation.claims().first().map_or(&b"."[..], |claim| shown(claim.path.as_bytes())).to_vec()
}

/// The root is `.` to whoever reads it.
fn shown(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}
