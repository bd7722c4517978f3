//! Whether a caller may do what it asks for: the one place where rights are asked.
//!
//! A mutation's claims are looked at when it comes, and again whenever its paths were resolved: what
//! it acts on under its locks are those, and no symbolic link leads it anywhere else. What looks at the
//! tree is asked when the real place is known ([`Sight`]).

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_tree::{
    Error, Last, Reason, RelPath, Stat, Tree, list,
    mutation::{Claim, Deed},
    open_file, stat,
};

use super::{Caller, DEFAULT_WAIT, Engine, Refusal, books::Heading, refusal::denied, work::Work};
use crate::policy::{NoTurn, Rights, Slot, Usage};

/// The tree, as far as somebody may look at it.
pub struct Sight<'a> {
    tree: &'a Tree,
    rights: Option<&'a Rights>,
}

impl<'a> Sight<'a> {
    pub(super) fn new(tree: &'a Tree, rights: Option<&'a Rights>) -> Self {
        Self { tree, rights }
    }

    /// What is at `path`, and where that really is.
    ///
    /// # Errors
    /// Those of [`stat`], and `FORBIDDEN`.
    pub fn stat(&self, path: &RelPath, last: Last) -> Result<(RelPath, Option<Stat>), Error> {
        let (real, found) = stat(self.tree, path, last)?;
        self.may_see(&real)?;
        Ok((real, found))
    }

    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Those of [`open_file`], and `FORBIDDEN`.
    pub fn open_file(&self, path: &RelPath) -> Result<(File, Stat), Error> {
        let (file, found) = open_file(self.tree, path)?;
        self.may_see(&found.path)?;
        Ok((file, found))
    }

    /// What is in the directory at `path`, without what one may not see.
    ///
    /// # Errors
    /// Those of [`list`], and `FORBIDDEN`.
    pub fn list(&self, path: &RelPath) -> Result<Option<Vec<Stat>>, Error> {
        self.may_see(path)?;
        let mut found = list(self.tree, path)?;
        found.iter_mut().for_each(|found| found.retain(|one| self.may_see(&one.path).is_ok()));
        Ok(found)
    }

    /// Whether one may see what is really at `path`.
    ///
    /// # Errors
    /// `FORBIDDEN`, where one may not.
    pub fn may_see(&self, path: &RelPath) -> Result<(), Error> {
        match self.rights {
            Some(rights) => may(rights, Deed::Read, path).map_err(|refusal| refusal.error),
            None => Ok(()),
        }
    }
}

impl Engine {
    /// Refuses what `caller` may not do, and has that on record.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub async fn permit(&self, caller: &Caller, deed: Deed, path: &RelPath) -> Result<(), Refusal> {
        let Some(rights) = &caller.rights else { return Ok(()) };
        match may(rights, deed, path) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.refused(caller, refusal).await),
        }
    }

    /// [`Engine::permit`] for what is at no path: to whoever may do it somewhere.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub async fn permit_somewhere(&self, caller: &Caller, deed: Deed) -> Result<(), Refusal> {
        match &caller.rights {
            Some(rights) if !rights.may_somewhere(deed) => {
                let refused = rights.refuse(deed, &RelPath::ROOT);
                let refusal = denied(Reason::Forbidden, &RelPath::ROOT, refused);
                Err(self.refused(caller, refusal).await)
            }
            _ => Ok(()),
        }
    }

    /// Counts content of a stream that is to become `path`.
    ///
    /// # Errors
    /// `QUOTA`.
    pub async fn spend(
        &self,
        caller: &Caller,
        usage: &mut Usage,
        bytes: u64,
        path: &RelPath,
    ) -> Result<(), Refusal> {
        match usage.add(bytes) {
            Ok(()) => Ok(()),
            Err(refused) => Err(self.refused(caller, denied(Reason::Quota, path, refused)).await),
        }
    }

    /// Puts a refusal on record. On the pool, since a journal whose queue is full keeps its callers
    /// waiting.
    pub(super) async fn refused(&self, caller: &Caller, refusal: Refusal) -> Refusal {
        let (caller, books) = (caller.clone(), Arc::clone(self.hands.books()));
        let recorded = self.aside(move || {
            let (owner, directory) = (&caller.owner, &*caller.directory);
            let heading = Heading { owner, directory, took: Duration::ZERO };
            books.record(&heading, &[], Some(&refusal.error));
            refusal
        });
        recorded.await.unwrap_or_else(|| super::broken(b"."))
    }

    /// Looks at what a mutation claims, and waits for its caller's turn.
    pub(super) async fn let_in(&self, work: &mut Work, deadline: Instant) -> Result<(), Refusal> {
        let Some(rights) = work.rights.clone() else { return Ok(()) };
        check(work)?;
        let claims = work.mutation.claims();
        let path = claims.first().map_or(RelPath::ROOT, |claim| claim.path.clone());
        if claims.iter().any(|claim| is_charged(claim.deed)) {
            rights.check_quota().map_err(|refused| denied(Reason::Quota, &path, refused))?;
        }
        drop(claims);
        // Those that have all turns may wait for the lease under which this one comes.
        if work.leases.is_empty() {
            work.slot = Some(turn(&rights, deadline, &path).await?);
        }
        Ok(())
    }

    /// A turn to look at `path`, or for what is to become it.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub async fn turn_to_look(
        &self,
        caller: &Caller,
        path: &RelPath,
    ) -> Result<Option<Slot>, Refusal> {
        let Some((rights, deadline)) = self.takes_turns(caller) else { return Ok(None) };
        self.granted(caller, path, rights.turn(deadline).await).await
    }

    /// A turn to send content that is to become `path`, to be held until all of it is there: who
    /// begins many and goes on with none has only those.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub async fn turn_to_send(
        &self,
        caller: &Caller,
        path: &RelPath,
    ) -> Result<Option<Slot>, Refusal> {
        let Some((rights, deadline)) = self.takes_turns(caller) else { return Ok(None) };
        self.granted(caller, path, rights.turn_to_send(deadline).await).await
    }

    /// A turn to receive what is at `path`, to be held until all of it is sent: what waits for who does
    /// not read is in memory.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub async fn turn_to_receive(
        &self,
        caller: &Caller,
        path: &RelPath,
    ) -> Result<Option<Slot>, Refusal> {
        let Some((rights, deadline)) = self.takes_turns(caller) else { return Ok(None) };
        self.granted(caller, path, rights.turn_to_receive(deadline).await).await
    }

    /// Whoever needs turns, and how long he waits: those that have them all may wait for the lease under
    /// which another comes. One that is not held is none; what comes of it is refused in the end.
    fn takes_turns<'a>(&self, caller: &'a Caller) -> Option<(&'a Rights, Instant)> {
        let is_leased = !caller.leases.is_empty() && self.leases.check(&caller.leases).is_ok();
        let rights = caller.rights.as_deref().filter(|_| !is_leased)?;
        Some((rights, caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT)))
    }

    async fn granted(
        &self,
        caller: &Caller,
        path: &RelPath,
        turn: Result<Slot, NoTurn>,
    ) -> Result<Option<Slot>, Refusal> {
        match turn {
            Ok(slot) => Ok(Some(slot)),
            Err(NoTurn(refused)) => {
                let refusal = denied(Reason::TooManyRequests, path, refused);
                Err(self.refused(caller, refusal).await)
            }
        }
    }
}

/// Refuses a mutation whose caller may not do all that it claims.
pub(super) fn check(work: &mut Work) -> Result<(), Refusal> {
    let Some(rights) = &work.rights else { return Ok(()) };
    work.mutation.claims().iter().try_for_each(|Claim { deed, path, .. }| may(rights, *deed, path))
}

fn may(rights: &Rights, deed: Deed, path: &RelPath) -> Result<(), Refusal> {
    match rights.may(deed, path) {
        true => Ok(()),
        false => Err(denied(Reason::Forbidden, path, rights.refuse(deed, path))),
    }
}

async fn turn(rights: &Rights, deadline: Instant, path: &RelPath) -> Result<Slot, Refusal> {
    rights
        .turn(deadline)
        .await
        .map_err(|NoTurn(refused)| denied(Reason::TooManyRequests, path, refused))
}

/// Whether it may use more of a quota: who has used it up may still take away.
fn is_charged(deed: Deed) -> bool {
    !matches!(deed, Deed::Stay | Deed::Read | Deed::Remove | Deed::SetAttributes)
}
