//! Waiting for something to be at a path.
//!
//! The disk is the truth: what is there is looked at, when a change of ours may have brought it
//! ([`Expectations`](super::expectations)), and every [`LOOK_AGAIN`] for what came past the daemon, or
//! by way of a symbolic link that was replaced meanwhile.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_tree::{Error, Last, Reason, RelPath, Stat};
use tokio::time::{sleep, timeout_at};

use super::{Caller, DEFAULT_WAIT, Engine, Refusal, Sight, expectations::Expectation};
use crate::{
    leases::Subject,
    locks::{Access, Owner},
};

/// How long something may be there unnoticed that no mutation brought.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A wait for paths, under way.
pub struct Wait {
    engine: Arc<Engine>,
    caller: Caller,
    deadline: Instant,
    began: Instant,
    expectation: Expectation,
    /// Those that are not there yet, by their places among all that were asked for.
    missing: BTreeMap<usize, Missing>,
    /// Only changes after this position of the journal count; `None`: whatever is there.
    since: Option<i64>,
    /// Those of them that are to be looked at.
    due: Vec<usize>,
    /// Whether nobody has looked yet.
    is_new: bool,
    /// [`LOOK_AGAIN`].
    look_again: Duration,
}

/// A path that is waited for.
#[derive(Debug)]
struct Missing {
    path: RelPath,
    /// What was there when the wait began.
    before: Option<Stamp>,
}

/// What is different after a file was replaced or written to.
type Stamp = (u64, u64, i64, i64);

/// Something that was waited for, and is there.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its place among the paths that were asked for.
    pub which: usize,
    /// What it is, at the end of symbolic links.
    pub stat: Stat,
    /// The number of the record of its last change, where a change was waited for and is on record.
    pub seq: Option<i64>,
}

impl Engine {
    /// Begins to wait for `paths` on behalf of `caller`, until its deadline. With `since`, only what is
    /// changed after that position of the journal counts, at a path or below.
    pub fn wait(self: &Arc<Self>, caller: Caller, paths: Vec<RelPath>, since: Option<i64>) -> Wait {
        let mut expectation = self.expectations().join();
        let missing = paths.into_iter().enumerate().map(|(which, path)| {
            expectation.expect(&path, which);
            (which, Missing { path, before: None })
        });
        let missing: BTreeMap<_, _> = missing.collect();
        let began = Instant::now();
        Wait {
            engine: Arc::clone(self),
            deadline: caller.deadline.unwrap_or(began + DEFAULT_WAIT),
            caller,
            began,
            expectation,
            due: missing.keys().copied().collect(),
            missing,
            since,
            is_new: true,
            look_again: LOOK_AGAIN,
        }
    }

    /// How many wait for something to be at a path.
    pub fn waits(&self) -> usize {
        self.expectations().count()
    }
}

impl Wait {
    /// What has come, as soon as there is something; `None` when all has. Safe to cancel.
    ///
    /// # Errors
    /// [`Refusal`]: `WAIT_TIMEOUT` at the deadline, `FORBIDDEN`, `POSITION_GONE`, `ASK_AGAIN` where the
    /// rights of the caller are not what they were, and what can be wrong with a path.
    pub async fn next(&mut self) -> Result<Option<Vec<Arrived>>, Refusal> {
        let mut is_over = false;
        while !self.missing.is_empty() {
            let arrived = self.look().await?;
            if !arrived.is_empty() {
                return Ok(Some(arrived));
            }
            if is_over {
                return Err(self.in_vain());
            }
            let woken = async {
                tokio::select! {
                    rung = self.expectation.rung() => rung,
                    () = sleep(self.look_again) => self.all(),
                }
            };
            let woken = timeout_at(self.deadline.into(), woken).await;
            is_over = woken.is_err();
            self.due = woken.unwrap_or_else(|_| self.all());
        }
        Ok(None)
    }

    /// Looks so often by itself.
    #[cfg(test)]
    pub(super) fn looking_again(mut self, every: Duration) -> Self {
        self.look_again = every;
        self
    }

    fn all(&self) -> Vec<usize> {
        self.missing.keys().copied().collect()
    }

    /// Looks for those that are due, and takes out what is there.
    async fn look(&mut self) -> Result<Vec<Arrived>, Refusal> {
        if self.caller.rights.as_ref().is_some_and(|rights| rights.are_superseded()) {
            return Err(Refusal::ask_again());
        }
        let is_missing = |which: &usize| self.missing.contains_key(which);
        let due: Vec<usize> = self.due.iter().copied().filter(is_missing).collect();
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.describe(&due).await?;
        // Where a symbolic link leads may be changed, too: then what was seen may be old already.
        let mut again = Vec::new();
        for (&which, (real, _)) in due.iter().zip(&found) {
            if self.expectation.expect(real, which) {
                again.push(which);
            }
        }
        if !again.is_empty() {
            let seen = self.describe(&again).await?;
            for (which, seen) in again.iter().zip(seen) {
                if let Some(at) = due.iter().position(|one| one == which) {
                    found[at] = seen;
                }
            }
        }
        let mut arrived = Vec::new();
        for (which, (real, stat)) in due.into_iter().zip(found) {
            arrived.extend(self.judge(which, &real, stat).await?);
        }
        arrived.iter().for_each(|one| drop(self.missing.remove(&one.which)));
        (self.is_new, self.due) = (false, Vec::new());
        Ok(arrived)
    }

    async fn describe(&self, which: &[usize]) -> Result<Vec<(RelPath, Option<Stat>)>, Refusal> {
        let paths: Arc<[RelPath]> = which.iter().map(|n| self.missing[n].path.clone()).collect();
        let describe = |sight: &Sight<'_>, paths: &[RelPath]| {
            paths.iter().map(|path| sight.stat(path, Last::Follow)).collect::<Result<Vec<_>, _>>()
        };
        self.engine.look(self.caller.clone(), paths, describe).await
    }

    /// Whether what is there is what is waited for.
    async fn judge(
        &mut self,
        which: usize,
        real: &RelPath,
        stat: Option<Stat>,
    ) -> Result<Option<Arrived>, Refusal> {
        let Some(since) = self.since else {
            return Ok(stat.map(|stat| Arrived { which, stat, seq: None }));
        };
        let seq = self.last_change(real, since).await?;
        let now = stat.as_ref().map(stamp);
        let Some(missing) = self.missing.get_mut(&which) else { return Ok(None) };
        if self.is_new {
            missing.before = now;
        }
        let is_changed = seq.is_some() || now != missing.before;
        Ok(stat.filter(|_| is_changed).map(|stat| Arrived { which, stat, seq }))
    }

    async fn last_change(&self, real: &RelPath, since: i64) -> Result<Option<i64>, Refusal> {
        self.engine.journal().flushed().await;
        let real = real.clone();
        self.engine.books(move |books| books.journal.last_change(real.as_bytes(), since)).await
    }

    /// What is told when the time is up.
    fn in_vain(&self) -> Refusal {
        let first = self.missing.values().next().map(|missing| missing.path.clone());
        let path = first.unwrap_or_default();
        let mut what = match self.since {
            None => "is not there".to_owned(),
            Some(_) => "is not there anew".to_owned(),
        };
        let more = self.missing.len().saturating_sub(1);
        if more > 0 {
            let _ = write!(what, ", nor are {more} more");
        }
        let work = self.engine.work_at(&path);
        match &work {
            Some((owner, does, since)) => {
                let _ = write!(what, "; {owner} {does} it for {:.1} s", since.as_secs_f64());
            }
            None => what.push_str("; nobody holds it or waits for it"),
        }
        let waited = self.began.elapsed().as_secs_f64();
        let _ = write!(what, "; gave up after waiting for {waited:.1} s");
        let error = Error::new(Reason::WaitTimeout, super::refusal::shown(path.as_bytes()), what);
        Refusal { holder: work.map(|(owner, ..)| owner), ..error.into() }
    }
}

impl Engine {
    /// Who has to do with `path` at this moment, in which way, and for how long: who holds it, has a
    /// lease on it, or waits for it.
    fn work_at(&self, path: &RelPath) -> Option<(Arc<Owner>, &'static str, Duration)> {
        let real = self.tree().canonicalize(path, Last::Follow).unwrap_or_else(|_| path.clone());
        let locks = self.locks.snapshot();
        let here = || locks.iter().filter(|status| status.key.as_bytes() == real.as_bytes());
        let holder = here()
            .flat_map(|status| &status.holders)
            .find(|holding| holding.access == Access::Exclusive)
            .map(|holding| (Arc::clone(&holding.owner), "holds", holding.held_for));
        let leases = self.leases();
        let covers = |subject: &Subject| match subject {
            Subject::Path(place) => real.is_within(place),
            _ => false,
        };
        let leased = || leases.iter().filter(|status| covers(&status.subject));
        let leases = || leased().flat_map(|status| &status.holders).next();
        let waits = || here().flat_map(|status| &status.waiters).next();
        let waits_for_lease = || leased().flat_map(|status| &status.waiters).next();
        holder
            .or_else(|| leases().map(|h| (h.holding.owner.clone(), "leases", h.holding.held_for)))
            .or_else(|| waits().map(|w| (Arc::clone(&w.owner), "waits for", w.waited)))
            .or_else(|| waits_for_lease().map(|w| (Arc::clone(&w.owner), "waits for", w.waited)))
    }
}

fn stamp(stat: &Stat) -> Stamp {
    (stat.inode, stat.size, stat.mtime.tv_sec, stat.mtime.tv_nsec)
}
