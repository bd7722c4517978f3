//! Running mutations: resolve, lock, act, record, answer.
//!
//! The locks of a mutation's paths are held around all of its steps. What waits can be cancelled
//! by dropping the future; what has begun to act runs to its end, with the locks in its hands,
//! whoever has gone away meanwhile.

mod hands;
mod refusal;
mod sweeper;
#[cfg(test)]
mod tests;
mod work;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_tree::{
    Tree,
    mutation::{self, Change, MAX_RESOLUTIONS, Mutation},
};

pub use self::refusal::Refusal;
use self::{
    hands::{Hands, Step},
    work::Work,
};
use crate::{
    admission::Admission,
    journal::{Journal, JournalError},
    locks::{LockSet, LockTable, Owner},
    sync::{Disk, SyncGroup},
    tally::Counts,
};

/// How long a request waits for a lock when it brings no deadline of its own.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(300);

/// When a mutation may be called done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the kernel has it: it survives the end of any process.
    #[default]
    Process,
    /// When the disk has it: file and directory are synchronised before the answer, and content
    /// before the name that it gets.
    Power,
}

/// Who asks, and until when.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Whom status and journal name. Its method is filled in by the engine.
    pub owner: Owner,
    /// The directory in which the recipe runs.
    pub directory: String,
    /// When to stop waiting for locks; `None`: after [`DEFAULT_WAIT`].
    pub deadline: Option<Instant>,
}

/// The daemon's core: one for one root.
pub struct Engine {
    locks: Arc<LockTable>,
    admission: Arc<Admission>,
    hands: Arc<Hands>,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be opened.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    /// A thread cannot be started, or staging cannot be read.
    #[error("cannot start")]
    Io(#[from] std::io::Error),
}

impl Engine {
    /// Clears away what earlier daemons left in staging, and is ready. `state` is the directory of
    /// the journal. The caller owns the root.
    ///
    /// # Errors
    /// [`StartError`], when the journal or staging cannot be opened.
    pub fn start(
        tree: Arc<Tree>,
        state: &Path,
        durability: Durability,
    ) -> Result<Self, StartError> {
        let disk = match durability {
            Durability::Process => None,
            Durability::Power => Some(Disk::of(&tree)),
        };
        Self::start_on(tree, state, disk)
    }

    /// [`Engine::start`]; what is to be called done only when `disk` has it waits for that.
    fn start_on(tree: Arc<Tree>, state: &Path, disk: Option<Disk>) -> Result<Self, StartError> {
        let journal = Journal::open(state)?;
        let sync = disk.map(SyncGroup::new).transpose()?;
        let hands = Arc::new(Hands::new(tree, journal, sync)?);
        Ok(Self { locks: LockTable::new(), admission: Admission::new(), hands })
    }

    /// Runs a mutation, and returns its changes in the order in which they were made.
    ///
    /// # Errors
    /// [`Refusal`], when it was not done or not wholly. What was done of it is in the journal.
    pub async fn run(
        &self,
        caller: Caller,
        mut mutation: Box<dyn Mutation>,
    ) -> Result<Vec<Change>, Refusal> {
        let Some(admitted) = self.admission.enter() else {
            return Err(refusal::draining(&mut *mutation));
        };
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        let mut set = locks_of(&mut *mutation);
        let mut work = Work::new(self.hands.books(), caller, mutation, admitted);
        // A daemon that answers for the disk may call nothing done that another has only begun.
        if !self.hands.is_durable() {
            match self.hands.look(work, &set).await? {
                Step::Over(answer) => return answer,
                Step::Again(unfinished) => work = unfinished,
            }
        }
        for _ in 0..MAX_RESOLUTIONS {
            match self.locks.acquire(set, work.owner(), Some(deadline.into())).await {
                Ok(locks) => work.locks = Some(locks),
                Err(error) => {
                    let refusal = refusal::lock_timeout(error, &mut *work.mutation);
                    return self.hands.close(work, Err(refusal)).await;
                }
            }
            work = match self.hands.act(work).await? {
                Step::Over(answer) => return answer,
                Step::Again(unfinished) => unfinished,
            };
            work.locks = None;
            if let Err(error) = work.mutation.resolve(self.tree()) {
                return self.hands.close(work, Err(error.into())).await;
            }
            set = locks_of(&mut *work.mutation);
        }
        let race = mutation::symlink_race(&mut *work.mutation);
        self.hands.close(work, Err(race.into())).await
    }

    /// The tree, to look at it.
    pub fn tree(&self) -> &Arc<Tree> {
        self.hands.tree()
    }

    /// The journal, to read it.
    pub fn journal(&self) -> &Journal {
        &self.hands.books().journal
    }

    /// Who holds and who waits.
    pub fn locks(&self) -> &LockTable {
        &self.locks
    }

    /// What was done since the start.
    pub fn counts(&self) -> Counts {
        self.hands.books().tally.read()
    }

    /// Rounds of synchronisation, and the requests that shared them.
    pub fn syncs(&self) -> (u64, u64) {
        self.hands.syncs()
    }

    /// Removed trees that are not deleted yet.
    pub fn trash(&self) -> u64 {
        self.hands.trash()
    }

    /// When a mutation may be called done.
    pub fn durability(&self) -> Durability {
        if self.hands.is_durable() { Durability::Power } else { Durability::Process }
    }

    /// Whether new mutations are refused.
    pub fn is_draining(&self) -> bool {
        self.admission.is_draining()
    }

    /// Refuses new mutations from now on.
    pub fn refuse(&self) {
        self.admission.close();
    }

    /// Refuses new mutations from now on, and returns when those under way are done and recorded.
    /// Safe to cancel; it goes on refusing.
    pub async fn drain(&self) {
        self.refuse();
        self.admission.idle().await;
        self.journal().flushed().await;
    }
}

/// What a mutation has to hold while it acts.
fn locks_of(mutation: &mut dyn Mutation) -> LockSet {
    let claims = mutation.claims();
    claims.iter().map(|claim| (claim.path.as_bytes().into(), claim.access)).collect()
}
