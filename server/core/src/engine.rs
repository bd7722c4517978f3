//! Running mutations: resolve, lock, act, record, answer.
//!
//! The locks of a mutation's paths are held around all of its steps. What waits can be cancelled
//! by dropping the future; what has begun to act runs to its end on a thread of its own, with the
//! locks in its hands, whoever has gone away meanwhile.

use std::{
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use onewriter_tree::{
    Error, Fault, Reason, Tree,
    mutation::{self, Change, Effects, MAX_RESOLUTIONS, Mutation},
};

use crate::{
    admission::{Admission, Admitted},
    journal::{Entry, Journal, JournalError},
    locks::{Key, LockError, LockGuard, LockSet, LockTable, Owner},
    pool::Pool,
    sync::SyncGroup,
    tally::{Counts, REFUSED, Tally},
};

/// Threads for mutations: more only wait for each other in the filesystem.
const THREADS: usize = 4;

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
    tree: Arc<Tree>,
    locks: Arc<LockTable>,
    admission: Arc<Admission>,
    pool: Pool,
    sync: Option<SyncGroup>,
    books: Arc<Books>,
    sweeper: Sweeper,
}

/// A mutation on its way, with all that it holds.
struct Work {
    mutation: Box<dyn Mutation>,
    effects: Effects,
    locks: Option<LockGuard>,
    directory: String,
    owner: Arc<Owner>,
    arrived: (SystemTime, Instant),
    _admitted: Admitted,
}

type Answer = Result<Vec<Change>, Error>;

/// How a step of a mutation ended.
enum Step {
    /// The next step can be taken.
    Next(Work),
    /// Its paths are to be resolved anew.
    Again(Work),
    /// It is over and recorded; the handles are still to be synchronised before the answer.
    Over(Answer, Vec<OwnedFd>),
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
    pub fn start(tree: Arc<Tree>, state: &Path, durability: Durability) -> Result<Self, StartError> {
        let books = Books { journal: Journal::open(state)?, tally: Tally::default() };
        let sweeper = Sweeper::new(Arc::clone(&tree))?;
        sweeper.recover()?;
        let sync = match durability {
            Durability::Process => None,
            Durability::Power => Some(SyncGroup::new(Arc::clone(&tree))?),
        };
        Ok(Self {
            tree,
            locks: LockTable::new(),
            admission: Admission::new(),
            pool: Pool::new("mutate", THREADS)?,
            sync,
            books: Arc::new(books),
            sweeper,
        })
    }

    /// Runs a mutation, and returns its changes in the order in which they were made.
    pub async fn run(&self, caller: Caller, mut mutation: Box<dyn Mutation>) -> Result<Vec<Change>, Error> {
        let Some(admitted) = self.admission.enter() else { return Err(draining(&mut *mutation)) };
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        let mut work = Work {
            effects: Effects::new(self.sync.is_some()),
            locks: None,
            directory: caller.directory,
            owner: Arc::new(Owner { method: mutation.method(), ..caller.owner }),
            arrived: (SystemTime::now(), Instant::now()),
            mutation,
            _admitted: admitted,
        };
        if work.mutation.shortcut(&self.tree, &mut work.effects) {
            return work.close(&self.books, Ok(()));
        }
        for _ in 0..MAX_RESOLUTIONS {
            match self.lock(&mut work, deadline).await {
                Ok(locks) => work.locks = Some(locks),
                Err(error) => return work.close(&self.books, Err(error)),
            }
            match self.act(work).await {
                Step::Over(answer, _) => return answer,
                Step::Again(unlocked) | Step::Next(unlocked) => work = unlocked,
            }
            work.locks = None;
            if let Err(error) = mutation::resolve(&mut *work.mutation, &self.tree) {
                return work.close(&self.books, Err(error));
            }
        }
        let race = mutation::symlink_race(&mut *work.mutation);
        work.close(&self.books, Err(race))
    }

    async fn lock(&self, work: &mut Work, deadline: Instant) -> Result<LockGuard, Error> {
        let claims = work.mutation.claims();
        let set: LockSet = claims.iter().map(|c| (Key::new(c.path.as_bytes()), c.access)).collect();
        drop(claims);
        let locks = self.locks.acquire(set, Arc::clone(&work.owner), Some(deadline.into())).await;
        locks.map_err(lock_timeout)
    }

    /// Both steps, with the disk between them where that matters.
    async fn act(&self, work: Work) -> Step {
        let Some(sync) = &self.sync else {
            return self.step(work, true, prepare_and_apply).await;
        };
        let mut work = match self.step(work, false, prepare).await {
            Step::Next(work) => work,
            other => return other,
        };
        if let Err(error) = sync.sync(work.effects.take_unsynced()).await {
            return Step::Over(work.close(&self.books, Err(error)), Vec::new());
        }
        match self.step(work, true, apply).await {
            Step::Over(answer, unsynced) => {
                let synced = sync.sync(unsynced).await;
                Step::Over(answer.and_then(|changes| synced.map(|()| changes)), Vec::new())
            }
            other => other,
        }
    }

    /// Takes a step on the pool. What ends there is recorded there, so that nothing that was done
    /// goes unrecorded when its caller has gone away.
    async fn step(&self, mut work: Work, last: bool, take: TakeStep) -> Step {
        let (tree, books) = (Arc::clone(&self.tree), Arc::clone(&self.books));
        let done = self.pool.run(move || match take(&mut work, &tree) {
            Ok(()) if !last => Step::Next(work),
            Err(Fault::Moved) => Step::Again(work),
            done => {
                let unsynced = work.effects.take_unsynced();
                let done = done.map_err(|fault| match fault {
                    Fault::Failed(error) => error,
                    Fault::Moved => mutation::symlink_race(&mut *work.mutation),
                });
                Step::Over(work.close(&books, done), unsynced)
            }
        });
        let done = done.await;
        self.sweeper.sweep();
        done.unwrap_or_else(|| {
            let error = Error::new(Reason::Io, b".", "the daemon failed inside; its log says how");
            Step::Over(Err(error), Vec::new())
        })
    }

    /// The tree, to look at it.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// The journal, to read it.
    pub fn journal(&self) -> &Journal {
        &self.books.journal
    }

    /// Who holds and who waits.
    pub fn locks(&self) -> &LockTable {
        &self.locks
    }

    /// What was done since the start.
    pub fn counts(&self) -> Counts {
        self.books.tally.read()
    }

    /// Rounds of synchronisation, and the requests that shared them.
    pub fn syncs(&self) -> (u64, u64) {
        self.sync.as_ref().map_or((0, 0), SyncGroup::counts)
    }

    /// Removed trees that are not deleted yet.
    pub fn trash(&self) -> u64 {
        self.sweeper.pending()
    }

    /// When a mutation may be called done.
    pub fn durability(&self) -> Durability {
        if self.sync.is_some() { Durability::Power } else { Durability::Process }
    }

    /// Whether new mutations are refused.
    pub fn is_draining(&self) -> bool {
        self.admission.is_draining()
    }

    /// Refuses new mutations from now on, and returns when those under way are done and recorded.
    pub async fn drain(&self) {
        self.admission.close();
        self.admission.idle().await;
        self.books.journal.flushed().await;
    }
}

type TakeStep = fn(&mut Work, &Tree) -> Result<(), Fault>;

fn prepare(work: &mut Work, tree: &Tree) -> Result<(), Fault> {
    work.mutation.prepare(tree, &mut work.effects)
}

fn apply(work: &mut Work, tree: &Tree) -> Result<(), Fault> {
    work.mutation.apply(tree, &mut work.effects)
}

fn prepare_and_apply(work: &mut Work, tree: &Tree) -> Result<(), Fault> {
    prepare(work, tree)?;
    apply(work, tree)
}

impl Work {
    /// Records what was done, gives the locks back, and answers.
    fn close(mut self, books: &Books, done: Result<(), Error>) -> Answer {
        let changes = std::mem::take(&mut self.effects.changes);
        books.record(&self, &changes, done.as_ref().err());
        done.map(|()| changes)
    }
}

/// Where what was done is written down.
struct Books {
    journal: Journal,
    tally: Tally,
}

impl Books {
    fn record(&self, work: &Work, changes: &[Change], error: Option<&Error>) {
        let method = work.owner.method;
        self.tally.count(method, changes, error.is_some());
        let entry = |path: &[u8], outcome| Entry {
            at: work.arrived.0,
            took: work.arrived.1.elapsed(),
            build: work.owner.build.clone(),
            target: work.owner.target.clone(),
            directory: work.directory.clone(),
            pid: work.owner.pid,
            uid: work.owner.uid,
            method,
            path: path.to_vec(),
            other: None,
            outcome,
            bytes: 0,
            error: None,
        };
        for change in changes {
            self.journal.append(Entry {
                other: change.other.as_ref().map(|other| other.as_bytes().to_vec()),
                bytes: change.bytes,
                ..entry(change.path.as_bytes(), change.outcome.as_str())
            });
        }
        if let Some(error) = error {
            let reason = Some(error.reason.as_str().to_owned());
            self.journal.append(Entry { error: reason, ..entry(&error.path, REFUSED) });
        }
    }
}

/// Deletes in the background what was removed.
struct Sweeper {
    thread: Pool,
    tree: Arc<Tree>,
    /// Trees that were there when a sweep was last begun.
    seen: AtomicU64,
    deleted: Arc<AtomicU64>,
}

impl Sweeper {
    fn new(tree: Arc<Tree>) -> std::io::Result<Self> {
        Ok(Self { thread: Pool::new("sweep", 1)?, tree, seen: AtomicU64::new(0), deleted: Arc::default() })
    }

    /// Clears away what earlier daemons and clients left in staging.
    fn recover(&self) -> std::io::Result<()> {
        let left = self.tree.staging().leftovers(true)?;
        if !left.is_empty() {
            tracing::info!(entries = left.len(), "staging holds what an earlier daemon left; deleting it");
        }
        let tree = Arc::clone(&self.tree);
        self.thread.start(move || {
            delete(&tree, &left);
        });
        Ok(())
    }

    /// Begins to delete, if anything was removed since this was last asked.
    fn sweep(&self) {
        let discarded = self.tree.staging().discarded();
        if self.seen.swap(discarded, Relaxed) == discarded {
            return;
        }
        let (tree, deleted) = (Arc::clone(&self.tree), Arc::clone(&self.deleted));
        self.thread.start(move || {
            let left = tree.staging().leftovers(false).unwrap_or_default();
            deleted.fetch_add(delete(&tree, &left), Relaxed);
        });
    }

    fn pending(&self) -> u64 {
        self.tree.staging().discarded().saturating_sub(self.deleted.load(Relaxed))
    }
}

/// How many of `names` in staging could be deleted.
fn delete(tree: &Tree, names: &[Vec<u8>]) -> u64 {
    let mut deleted = 0;
    for name in names {
        match tree.staging().delete(name) {
            Ok(()) => deleted += 1,
            Err(errno) => {
                let name = String::from_utf8_lossy(name);
                tracing::warn!(cause = %errno, %name, "a removed tree cannot be deleted from staging");
            }
        }
    }
    deleted
}

fn lock_timeout(error: LockError) -> Error {
    let LockError::TimedOut { key, .. } = &error;
    Error::new(Reason::LockTimeout, key.as_bytes(), error.to_string())
}

fn draining(mutation: &mut dyn Mutation) -> Error {
    let path = mutation.claims().first().map(|claim| claim.path.to_string()).unwrap_or_default();
    Error::new(Reason::Draining, path.as_bytes(), "the daemon is about to stop and takes no more requests")
}
