//! Transactions: the changes of one command, applied together or not at all.
//!
//! A [`Transaction`] is a directory in staging and a [`Watch`] over the tree. To commit it is one
//! mutation (`onewriter_tree::transaction::Commit`), run by the engine like any other. What is
//! special is what surrounds it: knowing what others changed meanwhile ([`history`]), and a turn
//! for those who conflicted.
//!
//! **Turns.** A command that is to run again because of a conflict on some paths first waits until
//! all others have done so that conflicted on them before: otherwise each round would have one
//! winner, and of twenty commands that update one archive the last would run twenty times. Who
//! comes to commit for the first time on such a path gives way to the one whose turn it is, and
//! queues; so a turn is in vain only where a plain mutation comes between. Turns are locks in a
//! table of their own. Whoever waits for one holds nothing, and whoever has one waits for locks
//! that are held for a commit's time only; so there is no deadlock. But for leases: their holder may
//! run a command that waits for the turn. A commit that waits for a lease therefore gives up its
//! turn, and may conflict again.

mod author;
mod history;
mod keys;
mod recovery;
mod register;
#[cfg(test)]
mod tests;
mod witness;

use std::{
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_tree::{
    Error, Pattern, Reason, RelPath,
    mutation::{Access, Change, Mutation as _, Unchanged},
    transaction::{Basis, Commit, CommitTerms, Conflict, Filler, Report, Upper},
};
use tokio::time::sleep;

pub(crate) use self::{history::History, keys::Keys, recovery::recover, register::Register};
use self::{history::Watch, register::Listed, witness::Witness};
pub use self::{
    keys::{Fate, Keyed},
    register::Underway,
};
use crate::{
    DEFAULT_WAIT, Engine, Refusal,
    admission::Admitted,
    engine::{Caller, broken, lock_timeout_at},
    locks::{LockGuard, LockSet},
};

/// A transaction under way. Dropped before it was committed, nothing of it has happened.
pub struct Transaction {
    upper: Upper,
    watch: Watch,
    caller: Caller,
    turn: Option<LockGuard>,
    after: Vec<RelPath>,
    listed: Listed,
    admitted: Admitted,
    /// After `upper`, which is then what there is to sweep.
    sweep: SweepOnDrop,
}

struct SweepOnDrop(Arc<Engine>);

impl Drop for SweepOnDrop {
    fn drop(&mut self) {
        self.0.sweep();
    }
}

/// How to commit.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What to do with files that are as they were.
    pub unchanged: Unchanged,
    /// Files that are kept, whatever `unchanged` says.
    pub keep: Vec<Pattern>,
    /// Commit over what others did.
    pub over_conflicts: bool,
    /// Count it as a conflict where somebody else has a turn: the command will run again anyway.
    pub give_way: bool,
    /// What it may change; empty: anything.
    pub outputs: Vec<RelPath>,
    /// Refuse where it changed anything else.
    pub strict: bool,
    /// Other processes may still be writing to the new files.
    pub copy: bool,
    /// What its command saw at the paths that it changes, where that was a copy.
    pub basis: Basis,
    /// When to stop waiting for locks; `None`: after [`DEFAULT_WAIT`].
    pub deadline: Option<Instant>,
}

/// What a commit did.
#[derive(Debug)]
pub struct Committed {
    /// In the order in which they were made.
    pub changes: Vec<Change>,
    /// What it found besides.
    pub report: Report,
}

/// Why nothing was committed.
#[derive(Debug)]
pub enum NotCommitted {
    /// Others changed the same files to something else meanwhile.
    Conflicted(Vec<Conflict>, Refusal),
    /// For any other reason.
    Refused(Refusal),
}

impl From<Refusal> for NotCommitted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How often a commit that has a turn looks whether it waits for a lease.
const LOOK: Duration = Duration::from_millis(100);

/// What status and journal may call a transaction.
const METHODS: [&str; 6] = ["run", "recipe", "publish", "batch", "once", "transaction"];

/// What a client calls its transaction, in a word of ours.
pub fn method(said: &str) -> &'static str {
    METHODS.into_iter().find(|method| *method == said).unwrap_or("transaction")
}

impl Engine {
    /// Begins a transaction, as soon as it is its turn among those that conflicted on the paths in
    /// `after`. Status shows it as `command`.
    ///
    /// # Errors
    /// [`Refusal`], when its directory cannot be made, or its turn does not come in time.
    pub async fn begin(
        self: &Arc<Self>,
        caller: Caller,
        command: String,
        after: Vec<RelPath>,
    ) -> Result<Transaction, Refusal> {
        let admitted = self.admit(after.first().unwrap_or(&RelPath::ROOT))?;
        let turn = self.turn(&caller, &after).await?;
        // From here on it is told of what others do: what they did before is there for it to see.
        let watch = self.history().watch();
        let tree = Arc::clone(self.tree());
        let made = self.aside(move || Upper::create(&tree)).await;
        let upper = made.ok_or_else(|| broken(b"."))??;
        let listed = self.register().list(caller.owner.clone(), command);
        let sweep = SweepOnDrop(Arc::clone(self));
        Ok(Transaction { upper, watch, caller, turn, after, listed, admitted, sweep })
    }

    /// Notes the key by which a client will ask what became of its transaction.
    ///
    /// # Errors
    /// `BAD_REQUEST`, where it was used, or asked for, before.
    pub fn key(&self, name: &str) -> Result<Keyed, Refusal> {
        let why = "a transaction has a key of its own, and this one was used already";
        let used = || Error::new(Reason::BadRequest, b"key", why).into();
        self.keys().begin(name).ok_or_else(used)
    }

    /// What became of the transaction with this key. If it was not committed, it will not be.
    ///
    /// # Errors
    /// `JOURNAL`, where nobody remembers and the journal cannot be read.
    pub async fn fate(&self, name: &str) -> Result<Fate, Refusal> {
        let fate = self.keys().fate(name).await;
        if fate != Fate::Unknown {
            return Ok(fate);
        }
        let name = name.to_owned();
        let known = self.books(move |books| keys::is_remembered(books.journal(), &name)).await?;
        Ok(if known { Fate::Committed(None) } else { fate })
    }

    async fn turn(&self, caller: &Caller, after: &[RelPath]) -> Result<Option<LockGuard>, Refusal> {
        let Some(first) = after.first() else { return Ok(None) };
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        let set: LockSet =
            after.iter().map(|path| (path.as_bytes().into(), Access::Exclusive)).collect();
        let owner = Arc::new(caller.owner.clone());
        match self.turns().acquire(set, owner, Some(deadline.into())).await {
            Ok(turn) => Ok(Some(turn)),
            Err(error) => Err(lock_timeout_at(error, first)),
        }
    }

    /// What becomes of a `commit`, which has the turn until it has to wait for a lease.
    async fn with_turn<T>(
        &self,
        mut turn: Option<LockGuard>,
        caller: &Caller,
        commit: impl Future<Output = T>,
    ) -> T {
        let mut commit = pin!(commit);
        while turn.is_some() {
            tokio::select! {
                biased;
                done = &mut commit => return done,
                () = sleep(LOOK) => {
                    let mut waiting = self.leases().into_iter().flat_map(|lease| lease.waiters);
                    turn = turn.filter(|_| waiting.all(|waiter| *waiter.owner != caller.owner));
                }
            }
        }
        commit.await
    }
}

impl Transaction {
    /// Its directory's name in staging.
    pub fn name(&self) -> &str {
        self.upper.name()
    }

    /// A hand to fill its upper directory with.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn filler(&self) -> Result<Filler, Refusal> {
        Ok(self.upper.filler()?)
    }

    /// Gives it up, but keeps the upper directory for a look; where.
    ///
    /// # Errors
    /// What keeps the directory from being moved.
    pub async fn keep(self) -> Result<PathBuf, Refusal> {
        let Self { upper, sweep, admitted: _admitted, .. } = self;
        let engine = Arc::clone(&sweep.0);
        let kept = engine.aside(move || upper.keep()).await;
        Ok(kept.ok_or_else(|| broken(b"."))??)
    }

    /// Applies all that is in its upper directory, or nothing.
    ///
    /// # Errors
    /// [`NotCommitted`]; nothing has happened then.
    pub async fn commit(self, terms: Terms) -> Result<Committed, NotCommitted> {
        self.carry_out(terms, "").await
    }

    /// [`Transaction::commit`], which goes on whoever still waits for it, and is remembered by its
    /// key.
    ///
    /// # Errors
    /// [`NotCommitted`]; also where somebody has been told already that it will not be committed.
    pub async fn commit_by(self, key: Keyed, terms: Terms) -> Result<Committed, NotCommitted> {
        if !key.begin_commit() {
            let why = "it was given up: its client has asked what became of it";
            return Err(Refusal::from(Error::new(Reason::Incomplete, b".", why)).into());
        }
        let engine = Arc::clone(&self.sweep.0);
        let going_on = tokio::spawn(async move {
            let by = self.caller.owner.to_string();
            let committed = self.carry_out(terms, key.name()).await?;
            let changed = committed.changes.iter().filter(|change| change.outcome.is_change());
            let (changed, all) = (changed.count() as u64, committed.changes.len() as u64);
            let name = key.name().to_owned();
            let kept = engine.books(move |books| keys::remember(books.journal(), &name, by)).await;
            if let Err(refusal) = kept {
                // This daemon itself remembers it all the same.
                tracing::warn!(cause = %refusal.error, "a commit is not on record by its key");
            }
            key.committed(changed, all - changed);
            Ok(committed)
        });
        match going_on.await {
            Ok(done) => done,
            Err(_) => Err(broken(b".").into()),
        }
    }

    async fn carry_out(self, terms: Terms, key: &str) -> Result<Committed, NotCommitted> {
        let Self { upper, watch, mut caller, turn, after, listed: _listed, admitted, sweep } = self;
        let engine = Arc::clone(&sweep.0);
        caller.deadline = terms.deadline;
        let (give_way, basis) = (terms.give_way, terms.basis);
        let terms = CommitTerms {
            method: caller.owner.method,
            unchanged: terms.unchanged,
            keep: terms.keep,
            over_conflicts: terms.over_conflicts,
            outputs: terms.outputs,
            strict: terms.strict,
            copy: terms.copy,
            author: author::encode(&caller, key),
        };
        // What it claims is found by looking at all of the upper directory, which takes its time.
        let turns = give_way.then(|| Arc::clone(engine.turns()));
        let witness = Witness::new(watch, turns, after, (Arc::clone(engine.tree()), basis));
        let planned = engine.aside(move || {
            let mut commit = Commit::new(upper, terms, Box::new(witness));
            let _ = commit.claims();
            commit
        });
        let commit = planned.await.ok_or_else(|| broken(b"."))?;
        let report = commit.report();
        let done = engine.carry_out(caller.clone(), Box::new(commit), admitted);
        let done = engine.with_turn(turn, &caller, done).await;
        let mut report = std::mem::take(&mut *report.lock().unwrap_or_else(|e| e.into_inner()));
        if !report.conflicts.is_empty() {
            // On the pool, since a journal whose queue is full keeps its callers waiting.
            let books = Arc::clone(&engine);
            let record = move || {
                books.record_conflicts(&caller, &report.conflicts);
                report
            };
            report = engine.aside(record).await.ok_or_else(|| broken(b"."))?;
        }
        match done {
            Ok(changes) => Ok(Committed { changes, report }),
            Err(refusal) if refusal.error.reason == Reason::Conflict => {
                Err(NotCommitted::Conflicted(report.conflicts, refusal))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}
