//! How leases and mutations meet.
//!
//! A mutation looks for leases of others when it has its locks, and holds them until it is over. A
//! lease on a path is granted in its table first, and told to its client only after it has taken,
//! and given back, the lock of its path: the barrier. So no mutation of others acts while the
//! client has the lease. For of the two steps on the lock that both need, one comes first:
//!
//! * The mutation's: then the barrier waits until it is over.
//! * The barrier's: then the mutation, which got the lock from it, sees the lease when it looks,
//!   since that was counted before. It gives its locks back and waits in the lease table, where it
//!   gets a place of its own: no lease there is granted before it is over, so that it need not look
//!   again when it takes its locks once more.
//!
//! Nobody waits for a lease while he holds a lock, so the two tables cannot block each other.
//!
//! The lock of the root keeps nobody from what is below it (`locks/key.rs`); there the barrier is
//! all that is locked at the top at this moment: every mutation holds such a key, alone or shared.

use std::time::{Duration, Instant, SystemTime};

use onewriter_tree::{
    Error, Last, Reason, RelPath,
    mutation::{self, Access, Deed, MAX_RESOLUTIONS, Mutation},
};

use super::{
    Caller, DEFAULT_WAIT, Engine,
    refusal::{self, Refusal},
    work::Work,
};
use crate::{
    journal::{Journal, JournalError},
    leases::{Claim, Claims, Held, Lease, LeaseStatus, MAX_TOKENS, Pins, Subject, Token, Wanted},
    locks::{Key, LockSet},
};

/// A mutation's right to act beside leases.
pub(super) struct Pass {
    _pins: Pins,
    _place: Option<Held>,
}

impl Engine {
    /// Waits for a lease. The caller's tokens are those under which it runs: what they cover is not
    /// waited for.
    ///
    /// # Errors
    /// [`Refusal`]: `LOCK_TIMEOUT`, `DEADLOCK`, `STALE_LEASE` where one of the caller's own leases
    /// is not held any more, `DRAINING`, and what can be wrong with a path.
    pub async fn lease(
        &self,
        mut caller: Caller,
        subject: Subject,
        access: Access,
        ttl: Duration,
    ) -> Result<Lease, Refusal> {
        caller.owner.method =
            if caller.owner.method.is_empty() { "lock" } else { caller.owner.method };
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        match &subject {
            Subject::Path(path) => self.permit(&caller, Deed::Lock, path).await?,
            _ => self.permit_somewhere(&caller, Deed::Lock).await?,
        }
        for _ in 0..MAX_RESOLUTIONS {
            let claims = self.places(&subject, access)?;
            for claim in &claims {
                if let Subject::Path(real) = &claim.subject {
                    self.permit(&caller, Deed::Lock, real).await?;
                }
            }
            let wanted = Wanted {
                claims: claims.clone(),
                owner: caller.owner.clone().into(),
                under: tokens(&caller.leases)?,
                is_lease: true,
            };
            let refuse = |error| refusal::lease(error, subject.as_bytes());
            let held = self.leases.acquire(wanted, deadline.into()).await.map_err(refuse)?;
            self.barrier(&claims, &caller, deadline).await?;
            // A link on the way may have changed meanwhile.
            if self.places(&subject, access)? == claims {
                return Ok(Lease::new(held, ttl));
            }
        }
        let why = "it cannot be pinned down: symbolic links on its way keep changing";
        Err(Error::new(Reason::SymlinkRace, subject.as_bytes(), why).into())
    }

    /// Who has leases, and who waits for them.
    pub fn leases(&self) -> Vec<LeaseStatus> {
        self.leases.snapshot()
    }

    /// A path's real place; and that of a symbolic link at its end, which may be replaced.
    fn places(&self, subject: &Subject, access: Access) -> Result<Claims, Error> {
        let Subject::Path(path) = subject else {
            return Ok([Claim { subject: subject.clone(), access, below: true }]
                .into_iter()
                .collect());
        };
        let place = |last| self.tree().canonicalize(path, last);
        let mut places = vec![place(Last::Follow)?, place(Last::Keep)?];
        places.dedup();
        let claim = |path| Claim { subject: Subject::Path(path), access, below: true };
        Ok(places.into_iter().map(claim).collect())
    }

    /// Returns when the mutations are over that looked before a lease could be seen.
    async fn barrier(
        &self,
        claims: &[Claim],
        caller: &Caller,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let path = |claim: &Claim| match &claim.subject {
            Subject::Path(path) => Some(path.clone()),
            _ => None,
        };
        let paths: Vec<RelPath> = claims.iter().filter_map(path).collect();
        let mut keys: Vec<Key> = paths.iter().map(|path| path.as_bytes().into()).collect();
        if paths.iter().any(RelPath::is_root) {
            let locked = self.locks.snapshot().into_iter().map(|status| status.key);
            keys.extend(locked.filter(|key| !key.as_bytes().contains(&b'/')));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let set: LockSet = keys.into_iter().map(|key| (key, Access::Exclusive)).collect();
        let owner = caller.owner.clone().into();
        let passed = self.locks.acquire(set, owner, Some(deadline.into())).await;
        passed.map(drop).map_err(|error| refusal::lock_timeout_at(error, &paths[0]))
    }

    /// Gets a mutation its locks, and past the leases of others.
    pub(super) async fn take_locks(
        &self,
        work: &mut Work,
        set: LockSet,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let locks = self.locks.acquire(set, work.owner(), Some(deadline.into())).await;
        let locks = locks.map_err(|error| refusal::lock_timeout(error, &mut *work.mutation))?;
        if let Some(pins) = self.pass(work, false)? {
            work.locks = Some(locks);
            work.pass = Some(Pass { _pins: pins, _place: None });
            return Ok(());
        }
        drop(locks);
        let wanted = Wanted {
            claims: claims_of(&mut *work.mutation),
            owner: work.owner(),
            under: tokens(&work.leases)?,
            is_lease: false,
        };
        let place = self.leases.acquire(wanted, deadline.into()).await;
        let place = place.map_err(|error| refuse(error, work))?;
        let set = super::locks_of(&mut *work.mutation);
        let locks = self.locks.acquire(set, work.owner(), Some(deadline.into())).await;
        let locks = locks.map_err(|error| refusal::lock_timeout(error, &mut *work.mutation))?;
        // Its own leases may have ended while it waited.
        let pins = self.pass(work, true)?;
        work.locks = Some(locks);
        work.pass = pins.map(|pins| Pass { _pins: pins, _place: Some(place) });
        Ok(())
    }

    fn pass(&self, work: &mut Work, guarded: bool) -> Result<Option<Pins>, Refusal> {
        let (tokens, mutation) = (&work.leases, &mut work.mutation);
        let passed = self.leases.pass(tokens, guarded, || claims_of(&mut **mutation));
        passed.map_err(|error| refuse(error, work))
    }

    /// Refuses a caller whose leases are not held.
    pub(super) fn check_leases(&self, work: &mut Work) -> Result<(), Refusal> {
        if work.leases.is_empty() {
            return Ok(());
        }
        tokens(&work.leases)?;
        self.leases.check(&work.leases).map_err(|error| refuse(error, work))
    }
}

fn refuse(error: crate::leases::LeaseError, work: &mut Work) -> Refusal {
    refusal::lease(error, &refusal::first_path(&mut *work.mutation))
}

fn tokens(given: &[Token]) -> Result<Vec<Token>, Error> {
    if given.len() > MAX_TOKENS {
        return Err(Error::new(Reason::BadRequest, b"leases", "a request brings at most 64"));
    }
    Ok(given.to_vec())
}

fn claims_of(mutation: &mut dyn Mutation) -> Claims {
    let claim = |claim: mutation::Claim<'_>| Claim {
        subject: Subject::Path(claim.path.clone()),
        access: claim.access,
        below: claim.access == Access::Exclusive,
    };
    mutation.claims().into_iter().map(claim).collect()
}

/// Tokens that one daemon may give out before it has to be sure of more: so many that none ever
/// comes to that, and so few that the numbers last for billions of daemons.
const TOKENS: i64 = 1_000_000_000;

/// The first fencing token of this daemon: greater than any that an earlier one may have given out,
/// by what was written down and, where that is lost, by the clock.
pub(super) fn first_token(journal: &Journal) -> Result<Token, JournalError> {
    const NAME: &str = "last_token";
    let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros();
    let clock = i64::try_from(clock).unwrap_or(0);
    let first = clock.max(journal.number(NAME)?.saturating_add(1));
    journal.set_number(NAME, first.saturating_add(TOKENS))?;
    Ok(first as Token)
}
