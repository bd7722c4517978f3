//! Running something once: of all that ask for a key, one runs it, and the others are told how it
//! ended.
//!
//! The right to run is a lease on the key. So the others wait in order and visibly, the next one
//! takes over when the runner goes away, and a circle of such waits is found like any other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use onewriter_tree::{
    Last, RelPath,
    mutation::{Access, Deed},
};
use tokio::task::spawn_blocking;

use super::{Caller, Engine, books::Books, refusal::Refusal};
use crate::{
    journal::{JournalError, Ran},
    leases::{Lease, Subject},
};

/// What is to run once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OnceKey {
    /// The build within which it is to run once; empty: for good.
    pub build: String,
    /// What it is known by there.
    pub key: String,
}

impl OnceKey {
    /// Whether a success is for good and a failure for those only who wait for it.
    fn is_for_good(&self) -> bool {
        self.build.is_empty()
    }

    fn subject(&self) -> Subject {
        Subject::Once { build: self.build.clone(), key: self.key.clone() }
    }
}

/// What somebody who asked is to do.
#[derive(Debug)]
pub enum Turn {
    /// Run it.
    Run(Box<Run>),
    /// It ran already: this is how it ended.
    Told(Ran),
}

/// The right to run. Dropped before [`Engine::finish`], it goes to the next one who waits.
#[derive(Debug)]
pub struct Run {
    /// Alive as long as its holder.
    pub lease: Lease,
    key: OnceKey,
    by: String,
}

/// Failures that were not to be remembered, for those who waited when they happened.
#[derive(Debug, Default)]
pub(super) struct Failures {
    arrivals: u64,
    /// How many ask for a key at this moment.
    asking: HashMap<OnceKey, u64>,
    /// With the number of the last one who is to be told, as long as anybody asks for that key.
    told: HashMap<OnceKey, (u64, Ran)>,
}

pub(super) type SharedFailures = Arc<Mutex<Failures>>;

/// Somebody who asks for a key.
struct Asking {
    failures: SharedFailures,
    key: OnceKey,
    arrival: u64,
}

impl Asking {
    fn begin(failures: &SharedFailures, key: &OnceKey) -> Self {
        let mut state = lock(failures);
        state.arrivals += 1;
        *state.asking.entry(key.clone()).or_default() += 1;
        Self { failures: Arc::clone(failures), key: key.clone(), arrival: state.arrivals }
    }

    /// The failure that it waited for. One of an earlier time is nobody's any more.
    fn told(&self) -> Option<Ran> {
        let mut state = lock(&self.failures);
        match state.told.get(&self.key) {
            Some((last, ran)) if self.arrival <= *last => Some(ran.clone()),
            _ => {
                state.told.remove(&self.key);
                None
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = lock(&self.failures);
        let Some(asking) = state.asking.get_mut(&self.key) else { return };
        *asking -= 1;
        if *asking == 0 {
            state.asking.remove(&self.key);
            state.told.remove(&self.key);
        }
    }
}

impl Failures {
    /// Keeps a failure for those who ask for `key` now, if anybody does.
    fn keep(&mut self, key: &OnceKey, ran: &Ran) {
        if self.asking.contains_key(key) {
            self.told.insert(key.clone(), (self.arrivals, ran.clone()));
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.told.len()
    }
}

fn lock(failures: &SharedFailures) -> MutexGuard<'_, Failures> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Waits until it is known how `key` ended, or until it is the caller's turn to run it.
    ///
    /// # Errors
    /// Those of [`Engine::lease`], and `JOURNAL`.
    pub async fn once(
        &self,
        mut caller: Caller,
        key: OnceKey,
        ttl: Duration,
    ) -> Result<Turn, Refusal> {
        caller.owner.method = "once";
        let by = caller.owner.to_string();
        self.permit_somewhere(&caller, Deed::Lock).await?;
        let asking = Asking::begin(&self.failures, &key);
        if let Some(ran) = self.remembered(&key).await? {
            return Ok(Turn::Told(ran));
        }
        let lease = self.lease(caller, key.subject(), Access::Exclusive, ttl).await?;
        if let Some(ran) = self.remembered(&key).await? {
            return Ok(Turn::Told(ran));
        }
        if let Some(ran) = asking.told() {
            return Ok(Turn::Told(ran));
        }
        Ok(Turn::Run(Box::new(Run { lease, key, by })))
    }

    /// Says how it ended. `outputs` are the paths that must exist for a success to count for good.
    ///
    /// # Errors
    /// `JOURNAL`, when it cannot be remembered; then the next one runs it again.
    pub async fn finish(
        &self,
        run: Box<Run>,
        exit_code: i32,
        outputs: Vec<RelPath>,
    ) -> Result<Ran, Refusal> {
        let outputs = outputs.iter().map(|path| path.as_bytes().to_vec()).collect();
        let ran = Ran { exit_code, by: run.by.clone(), outputs };
        if run.key.is_for_good() && exit_code != 0 {
            // Nobody comes later and is told: the next one is served when the lease is given up.
            lock(&self.failures).keep(&run.key, &ran);
            return Ok(ran);
        }
        let keep = ran.clone();
        // The lease goes along: where its holder goes away at this moment, the next one is to find what
        // is about to be written.
        self.books(move |books| books.journal.remember(&run.key.build, &run.key.key, &keep))
            .await?;
        Ok(ran)
    }

    /// Lets the next one that asks for `key` run it. Whether there was something to forget.
    ///
    /// # Errors
    /// `JOURNAL`, and `FORBIDDEN` where the caller may not have it run either.
    pub async fn forget(&self, caller: &Caller, key: OnceKey) -> Result<bool, Refusal> {
        self.permit_somewhere(caller, Deed::Lock).await?;
        self.books(move |books| books.journal.forget(&key.build, &key.key)).await
    }

    /// How it ended, as far as that still counts.
    async fn remembered(&self, key: &OnceKey) -> Result<Option<Ran>, Refusal> {
        let (tree, key) = (Arc::clone(self.tree()), key.clone());
        self.books(move |books| {
            let ran = books.journal.ran(&key.build, &key.key)?;
            let exists = |path: &Vec<u8>| {
                let path = RelPath::parse(path);
                let found = path.and_then(|path| onewriter_tree::stat(&tree, &path, Last::Follow));
                found.is_ok_and(|(_, found)| found.is_some())
            };
            Ok(ran.filter(|ran| !key.is_for_good() || ran.outputs.iter().all(exists)))
        })
        .await
    }

    /// Works with the journal where that keeps nobody else waiting.
    pub(crate) async fn books<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Books) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let books = Arc::clone(self.hands.books());
        let done = spawn_blocking(move || work(&books)).await;
        match done {
            Ok(done) => done.map_err(Refusal::from),
            Err(_) => Err(super::refusal::broken(b".")),
        }
    }
}
