//! What became of transactions from other machines, for clients that did not hear it.
//!
//! A link that breaks takes the answer to a commit with it. So such a transaction has a key, which its
//! client may ask for later: whoever asks before it is committed has seen to it that it never will
//! be. What was committed is remembered in the journal, too, among what runs once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::journal::{Journal, JournalError, Ran};

/// How many are remembered in memory when they are over; then the oldest are forgotten, but for what
/// the journal has of them.
const MOST: usize = 65_536;

/// What builds cannot be called by chance: where the journal has them, among what ran in builds.
const BUILD: &str = "transactions of other machines";

/// The keys of one engine.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    state: Mutex<State>,
    /// Told when a commit is over.
    over: Notify,
}

#[derive(Debug, Default)]
struct State {
    fates: HashMap<String, Standing>,
    /// Those that are over, oldest first.
    order: VecDeque<String>,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Begun,
    Committing,
    Over(Fate),
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was committed; by this daemon, where it can still tell how many paths it changed, and how
    /// many it left alone.
    Committed(Option<(u64, u64)>),
    /// It was not, and will not be.
    NotCommitted,
    /// Nobody here has heard of it before. It will not be committed.
    Unknown,
}

/// The key of a transaction that is under way. Dropped before it was committed, it is over.
#[derive(Debug)]
pub struct Keyed {
    keys: Arc<Keys>,
    name: String,
}

impl Keys {
    /// Notes that a transaction has begun; `None` if the key was used or asked for already.
    pub(crate) fn begin(self: &Arc<Self>, name: &str) -> Option<Keyed> {
        let mut state = self.lock();
        if state.fates.contains_key(name) {
            return None;
        }
        state.fates.insert(name.to_owned(), Standing::Begun);
        Some(Keyed { keys: Arc::clone(self), name: name.to_owned() })
    }

    /// What became of a transaction. Waits while it is being committed.
    pub(crate) async fn fate(&self, name: &str) -> Fate {
        loop {
            let over = self.over.notified();
            {
                let mut state = self.lock();
                match state.fates.get(name) {
                    Some(Standing::Over(fate)) => return *fate,
                    Some(Standing::Begun) => {
                        state.close(name, Fate::NotCommitted);
                        return Fate::NotCommitted;
                    }
                    None => {
                        state.close(name, Fate::NotCommitted);
                        return Fate::Unknown;
                    }
                    Some(Standing::Committing) => {}
                }
                drop(state);
            }
            over.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close(&mut self, name: &str, fate: Fate) {
        self.fates.insert(name.to_owned(), Standing::Over(fate));
        self.order.push_back(name.to_owned());
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.fates.remove(&oldest);
        }
    }
}

impl Keyed {
    /// What the transaction is known by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its commit is about to begin; `false` if it may not, since somebody was told that it will not.
    pub(crate) fn begin_commit(&self) -> bool {
        let mut state = self.keys.lock();
        match state.fates.get_mut(&self.name) {
            Some(standing @ Standing::Begun) => {
                *standing = Standing::Committing;
                true
            }
            _ => false,
        }
    }

    /// It was committed, with so many paths changed, and left alone.
    pub(crate) fn committed(self, changed: u64, unchanged: u64) {
        self.close(Fate::Committed(Some((changed, unchanged))));
    }

    fn close(&self, fate: Fate) {
        let mut state = self.keys.lock();
        if !matches!(state.fates.get(&self.name), Some(Standing::Over(_))) {
            state.close(&self.name, fate);
        }
        drop(state);
        self.keys.over.notify_waiters();
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        self.close(Fate::NotCommitted);
    }
}

/// Has the journal remember that a transaction was committed, by whom.
pub(super) fn remember(journal: &Journal, name: &str, by: String) -> Result<(), JournalError> {
    journal.remember(BUILD, name, &Ran { by, ..Ran::default() })
}

/// Whether the journal knows that a transaction was committed.
pub(super) fn is_remembered(journal: &Journal, name: &str) -> Result<bool, JournalError> {
    journal.ran(BUILD, name).map(|ran| ran.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asked_first_has_ended_it() {
        let keys = Arc::new(Keys::default());
        let key = keys.begin("a").unwrap();
        assert!(keys.begin("a").is_none());
        assert_eq!(keys.fate("a").await, Fate::NotCommitted);
        assert!(!key.begin_commit());
        drop(key);
        assert_eq!(keys.fate("a").await, Fate::NotCommitted);
        // One that is still on its way, while its client asks on another connection.
        assert_eq!(keys.fate("b").await, Fate::Unknown);
        assert!(keys.begin("b").is_none());
    }

    #[tokio::test]
    async fn who_asks_during_a_commit_waits_for_its_end() {
        let keys = Arc::new(Keys::default());
        for committed in [true, false] {
            let name = committed.to_string();
            let key = keys.begin(&name).unwrap();
            assert!(key.begin_commit());
            let asking = tokio::spawn({
                let (keys, name) = (Arc::clone(&keys), name.clone());
                async move { keys.fate(&name).await }
            });
            tokio::task::yield_now().await;
            assert!(!asking.is_finished());
            let fate = match committed {
                true => Fate::Committed(Some((2, 1))),
                false => Fate::NotCommitted,
            };
            if committed {
                key.committed(2, 1)
            } else {
                drop(key)
            }
            assert_eq!(asking.await.unwrap(), fate);
            assert_eq!(keys.fate(&name).await, fate);
        }
    }

    #[test]
    fn only_those_that_are_over_are_forgotten() {
        let keys = Arc::new(Keys::default());
        let old = keys.begin("old").unwrap();
        for n in 0..=MOST {
            drop(keys.begin(&n.to_string()));
        }
        assert!(keys.begin("1").is_none());
        assert!(keys.begin("0").is_some(), "it is forgotten");
        assert!(old.begin_commit());
    }
}
