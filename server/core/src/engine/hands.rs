//! What does the work: the threads that act, the disk that is waited for, the books.

use std::{
    hash::{DefaultHasher, Hasher as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use onewriter_tree::{Fault, Tree, mutation::Mutation};

use super::{
    StartError,
    books::Books,
    calm::{Calm, Disturbance, Moment},
    refusal::{self, Refusal},
    sweeper::Sweeper,
    work::{Answer, Work},
};
use crate::{
    journal::Journal,
    keys::Keys,
    locks::{Access, LockSet},
    pool::{Lane, Pool},
    sync::{Member, SyncGroup},
    tally::Tally,
    transactions,
};

/// Threads for mutations while all goes well: more only wait for each other in the filesystem.
const THREADS: usize = 4;

/// Threads for mutations when those that there are do not get on.
const MOST_THREADS: usize = 256;

/// Everything that a mutation needs from when it has its locks.
pub(super) struct Hands {
    tree: Arc<Tree>,
    pool: Pool,
    sync: Option<SyncGroup>,
    books: Arc<Books>,
    calm: Arc<Calm>,
    sweeper: Sweeper,
    keys: Arc<Keys>,
}

/// How an attempt at a mutation ended.
pub(super) enum Step {
    /// Its paths are to be resolved anew.
    Again(Box<Work>),
    /// It is over and recorded.
    Over(Answer),
}

type Act = fn(&mut Work, &Tree) -> Result<(), Fault>;

impl Hands {
    pub(super) fn new(
        tree: Arc<Tree>,
        journal: Journal,
        sync: Option<SyncGroup>,
        epoch: u64,
    ) -> Result<Self, StartError> {
        let books = Arc::new(Books {
            journal,
            tally: Tally::default(),
            history: Arc::default(),
            expectations: Arc::default(),
            durable: sync.is_some(),
        });
        transactions::recover(&tree, &books)?;
        if books.durable {
            // What was made good may be as young as what it was recovered from.
            rustix::fs::syncfs(tree.staging().handle()).map_err(std::io::Error::from)?;
        }
        // What an earlier owner, which may only be stopped, has prepared is taken away from it.
        let tree = if tree.is_fenced() { Arc::new(tree.renew_staging()?) } else { tree };
        let keys = Keys::open(Arc::clone(&tree), epoch, books.durable)?;
        let sweeper = Sweeper::new(Arc::clone(&tree))?;
        sweeper.recover()?;
        if let Err(errno) = tree.staging().spread() {
            tracing::debug!(cause = %errno, "staging is one directory");
        }
        let pool = Pool::growing("mutate", THREADS, MOST_THREADS)?;
        Ok(Self { tree, pool, sync, books, calm: Arc::default(), sweeper, keys })
    }

    pub(super) fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    pub(super) fn books(&self) -> &Arc<Books> {
        &self.books
    }

    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    pub(super) fn is_durable(&self) -> bool {
        self.sync.is_some()
    }

    pub(super) fn syncs(&self) -> (u64, u64) {
        self.sync.as_ref().map_or((0, 0), SyncGroup::counts)
    }

    pub(super) fn sweep(&self) {
        self.sweeper.sweep();
    }

    /// See [`super::Engine::aside`].
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.pool.run(work).await
    }

    pub(super) fn trash(&self) -> u64 {
        self.sweeper.pending()
    }

    /// Ends a mutation before it acts. On the pool, since a journal whose queue is full keeps its
    /// callers waiting.
    pub(super) async fn close(&self, work: Box<Work>, done: Result<(), Refusal>) -> Answer {
        let closed = self.pool.run(move || work.close(done)).await;
        closed.unwrap_or_else(|| Err(refusal::broken(b".")))
    }

    /// Ends a mutation if a look shows that there is nothing to do.
    pub(super) async fn look(
        self: &Arc<Self>,
        work: Box<Work>,
        locks: &LockSet,
    ) -> Result<Step, Refusal> {
        let Some(moment) = self.calm.now() else { return Ok(Step::Again(work)) };
        // One path is one system call; many are as many, and the runtime has others to serve.
        if locks.iter().filter(|(_, access)| *access == Access::Exclusive).count() == 1 {
            return Ok(self.look_at(work, moment));
        }
        let hands = Arc::clone(self);
        let looked = self.pool.run(move || hands.look_at(work, moment)).await;
        looked.ok_or_else(|| refusal::broken(b"."))
    }

    fn look_at(&self, mut work: Box<Work>, moment: Moment) -> Step {
        if work.mutation.shortcut(&self.tree, &mut work.effects) {
            if self.calm.has_lasted(moment) {
                return Step::Over(work.close(Ok(())));
            }
            // It may have seen what is undone after all.
            work.effects.changes.clear();
        }
        Step::Again(work)
    }

    /// Replaces a mutation's paths by their real places. On the pool: it may have thousands of them, and
    /// the filesystem may keep it waiting.
    pub(super) async fn resolve(self: &Arc<Self>, mut work: Box<Work>) -> Result<Step, Refusal> {
        let hands = Arc::clone(self);
        let resolved = self.pool.run(move || match guarded(&mut work, &hands.tree, resolve) {
            Ok(()) => Step::Again(work),
            failed => hands.over(work, failed),
        });
        resolved.await.ok_or_else(|| refusal::broken(b"."))
    }

    /// An attempt at a mutation that has its locks.
    pub(super) async fn act(self: &Arc<Self>, work: Box<Work>) -> Result<Step, Refusal> {
        let hands = Arc::clone(self);
        let done = match &self.sync {
            // In a task of its own: it waits for the disk, and goes on with nobody waiting for it.
            Some(sync) => tokio::spawn(hands.act_durably(work, sync.join())).await.ok().flatten(),
            None => {
                let lane = lane(&*work.mutation);
                let act = move || hands.over_unless_moved(work);
                self.pool.run_in(lane, act).await
            }
        };
        done.ok_or_else(|| refusal::broken(b"."))
    }

    /// New content reaches the disk before the name that it gets, and the name before the locks
    /// are given back: nobody may build on what a power cut could still undo.
    async fn act_durably(self: Arc<Self>, work: Box<Work>, member: Member) -> Option<Step> {
        let (work, prepared) = self.take(work, prepare).await?;
        let (work, prepared) = match prepared {
            Ok(()) => self.synced(work).await,
            failed => (work, failed),
        };
        let disturbed = self.disturb(&work);
        let (mut work, done) = match prepared {
            Ok(()) => self.take(work, apply).await?,
            failed => (work, failed),
        };
        if done.is_err() && work.effects.changes.is_empty() {
            work.effects.take_unsynced(); // Content that nobody will see.
        }
        if matches!(done, Err(Fault::Moved)) {
            return Some(Step::Again(work));
        }
        let (work, synced) = self.synced(work).await;
        drop((disturbed, member));
        let hands = Arc::clone(&self);
        self.pool.run(move || hands.over(work, done.and(synced))).await
    }

    /// While others could see a part of what is being done.
    fn disturb(&self, work: &Work) -> Option<Disturbance> {
        work.mutation.is_stepwise().then(|| self.calm.disturb())
    }

    /// Whether nothing has been half done since `since`; and now.
    pub(super) fn calm(&self, since: Option<Moment>) -> Option<Moment> {
        match since {
            Some(moment) => self.calm.has_lasted(moment).then_some(moment),
            None => self.calm.now(),
        }
    }

    async fn synced(&self, mut work: Box<Work>) -> (Box<Work>, Result<(), Fault>) {
        let Some(sync) = &self.sync else { return (work, Ok(())) };
        let path = refusal::first_path(&mut *work.mutation);
        let synced = sync.sync(work.effects.take_unsynced(), &path).await;
        (work, synced.map_err(Fault::Failed))
    }

    async fn take(
        self: &Arc<Self>,
        mut work: Box<Work>,
        act: Act,
    ) -> Option<(Box<Work>, Result<(), Fault>)> {
        let tree = Arc::clone(&self.tree);
        self.pool
            .run(move || {
                let done = guarded(&mut work, &tree, act);
                (work, done)
            })
            .await
    }

    fn over_unless_moved(&self, mut work: Box<Work>) -> Step {
        let mut done = guarded(&mut work, &self.tree, prepare);
        if done.is_ok() {
            let _disturbed = self.disturb(&work);
            done = guarded(&mut work, &self.tree, apply);
        }
        match done {
            Err(Fault::Moved) => Step::Again(work),
            done => self.over(work, done),
        }
    }

    /// Records what was done where it was done, so that nothing goes unrecorded when its caller
    /// has gone away.
    fn over(&self, mut work: Box<Work>, done: Result<(), Fault>) -> Step {
        let done = done.map_err(|fault| match fault {
            Fault::Failed(error) => error,
            Fault::Moved => onewriter_tree::mutation::symlink_race(&mut *work.mutation),
        });
        let done = done.map_err(|error| Refusal::from(self.tree.or_lost(error)));
        let answer = work.close(done);
        self.sweeper.sweep();
        Step::Over(answer)
    }
}

/// Those that only make a name in one directory wait for each other in the kernel, where each would
/// keep a processor busy with waiting.
fn lane(mutation: &dyn Mutation) -> Lane {
    mutation.makes_name_in().map(|directory| {
        let mut hasher = DefaultHasher::new();
        hasher.write(directory);
        hasher.finish()
    })
}

/// Acts; a panic costs this mutation only, and is its failure.
fn guarded(work: &mut Work, tree: &Tree, act: Act) -> Result<(), Fault> {
    let path = |work: &mut Work| refusal::first_path(&mut *work.mutation);
    catch_unwind(AssertUnwindSafe(|| act(work, tree))).unwrap_or_else(|_| {
        let path = path(work);
        let shown = onewriter_tree::Printable(&path);
        tracing::error!(path = %shown, method = work.mutation.method(), "a mutation panicked");
        Err(Fault::Failed(refusal::broken(&path).error))
    })
}

fn resolve(work: &mut Work, tree: &Tree) -> Result<(), Fault> {
    Ok(work.mutation.resolve(tree)?)
}

fn prepare(work: &mut Work, tree: &Tree) -> Result<(), Fault> {
    work.mutation.prepare(tree, &mut work.effects)
}

fn apply(work: &mut Work, tree: &Tree) -> Result<(), Fault> {
    if let Some(turn) = &mut work.turn {
        turn.intend(&mut *work.mutation)?;
    }
    if tree.is_fenced() {
        let path = work.mutation.claims().first().map(|claim| claim.path.clone());
        tree.guard(&path.unwrap_or_default())?;
    }
    work.mutation.apply(tree, &mut work.effects)
}
