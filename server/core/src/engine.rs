//! Running mutations: resolve, lock, act, record, answer.
//!
//! The locks of a mutation's paths are held around all of its steps. What waits can be cancelled
//! by dropping the future; what has begun to act runs to its end, with the locks in its hands,
//! whoever has gone away meanwhile.

mod books;
mod calm;
mod expectations;
mod hands;
mod leasing;
mod looking;
mod once;
mod permitting;
mod refusal;
mod sweeper;
#[cfg(test)]
mod tests;
mod waiting;
mod work;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_tree::{
    Error, RelPath, Tree,
    mutation::{self, Change, MAX_RESOLUTIONS, Mutation},
    transaction::Conflict,
};

pub(crate) use self::{
    books::{Books, CONFLICT, Heading},
    refusal::{broken, denied, lock_timeout_at},
};
use self::{
    expectations::Expectations,
    hands::{Hands, Step},
    work::Work,
};
pub use self::{
    once::{OnceKey, Run, Turn},
    permitting::Sight,
    refusal::Refusal,
    waiting::{Arrived, Wait},
};
use crate::{
    admission::{Admission, Admitted},
    course::Course,
    journal::{BUILDS_ARE_OVER, Journal, JournalError},
    keys::{Entered, Key},
    leases::{LeaseTable, Token},
    locks::{Access, LockSet, LockTable, Owner},
    policy::Rights,
    sync::{Disk, SyncGroup},
    tally::Counts,
    transactions::{History, Keys, Register, Underway},
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
    /// The tokens of the leases under which it runs.
    pub leases: Vec<Token>,
    /// What it may do; `None`: everything.
    pub rights: Option<Arc<Rights>>,
    /// Where its course is written down, if anybody wants to know.
    pub course: Option<Arc<Course>>,
    /// What makes the request happen once, however often it comes: random, the caller's own.
    pub key: Option<[u8; 16]>,
}

/// The daemon's core: one for one root.
pub struct Engine {
    locks: Arc<LockTable>,
    leases: Arc<LeaseTable>,
    failures: once::SharedFailures,
    /// Who may run again after a conflict.
    turns: Arc<LockTable>,
    admission: Arc<Admission>,
    hands: Arc<Hands>,
    register: Arc<Register>,
    keys: Arc<Keys>,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be opened.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    /// What a killed daemon had begun can neither be completed nor undone.
    #[error("cannot make good what an earlier daemon left half done")]
    Recovery(#[from] Error),
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
        Self::start_on(tree, state, disk, 0)
    }

    /// [`Engine::start`] for one of several daemons that may own the root, one after another: the
    /// `epoch` of an owner is greater than those of all before. The tree is fenced.
    ///
    /// # Errors
    /// Those of [`Engine::start`].
    pub fn succeed(
        tree: Arc<Tree>,
        state: &Path,
        durability: Durability,
        epoch: u64,
    ) -> Result<Self, StartError> {
        let disk = (durability == Durability::Power).then(|| Disk::of(&tree));
        Self::start_on(tree, state, disk, epoch)
    }

    /// [`Engine::start`]; what is to be called done only when `disk` has it waits for that.
    fn start_on(
        tree: Arc<Tree>,
        state: &Path,
        disk: Option<Disk>,
        epoch: u64,
    ) -> Result<Self, StartError> {
        let journal = Journal::open(state)?;
        let leases = LeaseTable::new(leasing::first_token(&journal)?);
        journal.forget_builds(BUILDS_ARE_OVER)?;
        let sync = disk.map(SyncGroup::new).transpose()?;
        let hands = Arc::new(Hands::new(tree, journal, sync, epoch)?);
        Ok(Self {
            locks: LockTable::new(),
            leases,
            failures: Default::default(),
            turns: LockTable::new(),
            admission: Admission::new(),
            hands,
            register: Arc::default(),
            keys: Arc::default(),
        })
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
        match self.admission.enter() {
            Some(admitted) if caller.key.is_some() => {
                self.carry_out_once(caller, mutation, admitted).await
            }
            Some(admitted) => self.carry_out(caller, mutation, admitted).await,
            None => Err(refusal::draining(&refusal::first_path(&mut *mutation))),
        }
    }

    /// [`Engine::run`], for a mutation that was let in before.
    pub(crate) async fn carry_out(
        &self,
        caller: Caller,
        mut mutation: Box<dyn Mutation>,
        admitted: Admitted,
    ) -> Result<Vec<Change>, Refusal> {
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        let set = locks_of(&mut *mutation);
        let work = Work::new(self.hands.books(), caller, mutation, admitted);
        self.work_off(work, set, deadline).await
    }

    /// Has `work` done, which needs the locks in `set`.
    async fn work_off(
        &self,
        mut work: Box<Work>,
        mut set: LockSet,
        deadline: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        if let Err(refusal) = self.let_in(&mut work, deadline).await {
            return self.hands.close(work, Err(refusal)).await;
        }
        if let Err(stale) = self.check_leases(&mut work) {
            return self.hands.close(work, Err(stale)).await;
        }
        // A daemon that answers for the disk may call nothing done that another has only begun.
        if !self.hands.is_durable() {
            match self.hands.look(work, &set).await? {
                Step::Over(answer) => return answer,
                Step::Again(unfinished) => work = unfinished,
            }
        }
        for _ in 0..MAX_RESOLUTIONS {
            let course = work.course.clone();
            let course = course.as_deref();
            let taken = self.take_locks(&mut work, set, deadline);
            if let Err(refusal) = Course::time(course, Course::waited, taken).await {
                return self.hands.close(work, Err(refusal)).await;
            }
            let step = Course::time(course, Course::acted, self.hands.act(work)).await;
            work = match step? {
                Step::Over(answer) => return answer,
                Step::Again(unfinished) => unfinished,
            };
            (work.locks, work.pass) = (None, None);
            work = match self.hands.resolve(work).await? {
                Step::Over(answer) => return answer,
                Step::Again(resolved) => resolved,
            };
            if let Err(refusal) = permitting::check(&mut work) {
                return self.hands.close(work, Err(refusal)).await;
            }
            set = locks_of(&mut *work.mutation);
        }
        let race = mutation::symlink_race(&mut *work.mutation);
        self.hands.close(work, Err(race.into())).await
    }

    /// [`Engine::carry_out`] for a mutation with a key: unless it was done before.
    async fn carry_out_once(
        &self,
        caller: Caller,
        mut mutation: Box<dyn Mutation>,
        admitted: Admitted,
    ) -> Result<Vec<Change>, Refusal> {
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        let key = Key { who: whose(&caller.owner), id: caller.key.unwrap_or_default() };
        let turn = match self.hands.keys().enter(key, &mut *mutation, deadline).await? {
            Entered::Told(changes) => return Ok(changes),
            Entered::Mine(turn) => turn,
        };
        let set = locks_of(&mut *mutation);
        let mut work = Work::new(self.hands.books(), caller, mutation, admitted);
        work.turn = Some(turn);
        self.work_off(work, set, deadline).await
    }

    /// Lets in what will take a while.
    pub(crate) fn admit(&self, path: &RelPath) -> Result<Admitted, Refusal> {
        self.admission.enter().ok_or_else(|| refusal::draining(refusal::shown(path.as_bytes())))
    }

    /// Has `work` done by a thread that may wait for the disk; `None` if it panicked.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.hands.aside(work).await
    }

    /// Records that a transaction and others were at odds.
    pub(crate) fn record_conflicts(&self, caller: &Caller, conflicts: &[Conflict]) {
        let (owner, directory) = (&caller.owner, &*caller.directory);
        let heading = Heading { owner, directory, took: Duration::ZERO };
        self.hands.books().record_conflicts(&heading, conflicts);
    }

    /// Begins to delete what was discarded.
    pub(crate) fn sweep(&self) {
        self.hands.sweep();
    }

    pub(crate) fn history(&self) -> &Arc<History> {
        &self.hands.books().history
    }

    pub(crate) fn register(&self) -> &Arc<Register> {
        &self.register
    }

    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Who runs again after a conflict, and who waits to.
    pub fn turns(&self) -> &Arc<LockTable> {
        &self.turns
    }

    /// The transactions under way, oldest first.
    pub fn transactions(&self) -> Vec<Underway> {
        self.register.snapshot()
    }

    fn expectations(&self) -> &Arc<Expectations> {
        &self.hands.books().expectations
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

    /// Whether the engine gets on: what every mutation needs answers (the tables, the journal's
    /// queue, a thread of the pool that looks at the root). It changes nothing.
    pub async fn pulse(&self) -> bool {
        let _ = (self.leases(), self.journal().stats(), self.counts());
        let nobody: LockSet =
            [(b".onewriter/pulse"[..].into(), Access::Shared)].into_iter().collect();
        let owner = Arc::new(Owner { method: "pulse", ..Owner::default() });
        let passed = self.locks.try_acquire(nobody, owner).is_some();
        let tree = Arc::clone(self.tree());
        let seen = self.aside(move || !tree.is_gone()).await;
        passed && seen == Some(true)
    }

    /// Whether new mutations are refused.
    pub fn is_draining(&self) -> bool {
        self.admission.is_draining()
    }

    /// Refuses new mutations from now on, and whoever waits for a lease.
    pub fn refuse(&self) {
        self.admission.close();
        self.leases.close();
    }

    /// Refuses new mutations from now on, and returns when those under way are done and recorded.
    /// Safe to cancel; it goes on refusing.
    pub async fn drain(&self) {
        self.refuse();
        self.admission.idle().await;
        self.journal().flushed().await;
    }
}

/// In whose name a key is remembered.
fn whose(owner: &Owner) -> String {
    owner.identity.as_deref().map_or_else(|| format!("uid:{}", owner.uid), str::to_owned)
}

/// What a mutation has to hold while it acts.
fn locks_of(mutation: &mut dyn Mutation) -> LockSet {
    let claims = mutation.claims();
    claims.iter().map(|claim| (claim.path.as_bytes().into(), claim.access)).collect()
}
