//! What is known of keys, in memory.

use std::collections::{HashMap, VecDeque};

use onewriter_tree::mutation::Change;

use super::{
    Key,
    evidence::Evidence,
    log::{Record, now},
};

/// How long an outcome is told, in seconds: much longer than any client goes on asking.
pub(super) const LIFE: u64 = 3600;

/// How many outcomes are kept; some 200 bytes each.
const MOST: usize = 16_384;

/// Outcomes, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Known {
    done: HashMap<Key, Done>,
    /// In the order in which they came to be done, with the moment: one that was done anew meanwhile is
    /// in it twice.
    order: VecDeque<(Key, u64)>,
    under_way: HashMap<Key, Option<Intent>>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// Seconds since 1970.
    pub(super) at: u64,
    pub(super) what: String,
    pub(super) changes: Vec<Change>,
}

/// What is about to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) at: u64,
    pub(super) what: String,
    pub(super) evidence: Evidence,
}

/// How it stands with a key.
pub(super) enum Standing {
    /// Nobody has it; now the caller does.
    Free,
    UnderWay,
    Done(Done),
}

impl Known {
    /// Takes over what is on record. The intents of which no outcome is.
    pub(super) fn learn(&mut self, records: Vec<Record>) -> Vec<(Key, Intent)> {
        let mut pending = HashMap::new();
        for record in records {
            match record {
                Record::Intent { key, at, what, evidence } => {
                    pending.insert(key, Intent { at, what, evidence });
                }
                Record::Done { key, done } => {
                    pending.remove(&key);
                    self.done(key, done);
                }
                Record::Void { key } => {
                    pending.remove(&key);
                }
            }
        }
        pending.into_iter().collect()
    }

    /// Gives the key to whoever asks, if nobody has it.
    pub(super) fn begin(&mut self, key: &Key) -> Standing {
        if let Some(done) = self.done.get(key).filter(|done| !is_old(done.at)) {
            return Standing::Done(done.clone());
        }
        if self.under_way.contains_key(key) {
            return Standing::UnderWay;
        }
        self.under_way.insert(key.clone(), None);
        Standing::Free
    }

    pub(super) fn intended(&mut self, key: Key, intent: Intent) {
        self.under_way.insert(key, Some(intent));
    }

    pub(super) fn done(&mut self, key: Key, done: Done) {
        self.order.push_back((key.clone(), done.at));
        self.done.insert(key, done);
        while self.order.len() > MOST {
            self.drop_oldest();
        }
    }

    pub(super) fn end(&mut self, key: &Key) {
        self.under_way.remove(key);
    }

    /// Forgets what nobody will ask for any more.
    pub(super) fn expire(&mut self) {
        while self.order.front().is_some_and(|(_, at)| is_old(*at)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((key, at)) = self.order.pop_front() else { return };
        if self.done.get(&key).is_some_and(|done| done.at == at) {
            self.done.remove(&key);
        }
    }

    /// All that a successor has to know, oldest first.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let done = self.order.iter().filter_map(|(key, at)| {
            let done = self.done.get(key).filter(|done| done.at == *at)?;
            Some(Record::Done { key: key.clone(), done: done.clone() })
        });
        let under_way = self.under_way.iter().filter(|(key, _)| !self.done.contains_key(key));
        let intents = under_way.filter_map(|(key, intent)| {
            let Intent { at, what, evidence } = intent.clone()?;
            Some(Record::Intent { key: key.clone(), at, what, evidence })
        });
        done.chain(intents)
    }
}

fn is_old(at: u64) -> bool {
    at.saturating_add(LIFE) < now()
}
