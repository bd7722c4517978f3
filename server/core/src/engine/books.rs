//! Where what was done is written down: the journal, the counts, and the history of transactions.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use onewriter_tree::{Error, mutation::Change, transaction::Conflict};

use super::expectations::Expectations;
use crate::{
    journal::{Entry, Journal},
    locks::Owner,
    tally::{REFUSED, Tally},
    transactions::History,
};

/// What the journal calls a path on which a transaction and somebody else were at odds.
pub(crate) const CONFLICT: &str = "conflict";

/// All books of one engine.
pub(crate) struct Books {
    pub(super) journal: Journal,
    pub(super) tally: Tally,
    pub(super) history: Arc<History>,
    pub(super) expectations: Arc<Expectations>,
    /// Whether mutations answer for the disk.
    pub(super) durable: bool,
}

/// What the records of one request have in common.
pub(crate) struct Heading<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) directory: &'a str,
    /// How long it took, waiting included.
    pub(crate) took: Duration,
}

impl Heading<'_> {
    fn entry(&self, path: &[u8], outcome: &'static str) -> Entry {
        Entry {
            at: SystemTime::now(),
            took: self.took,
            build: self.owner.build.clone(),
            target: self.owner.target.clone(),
            directory: self.directory.to_owned(),
            pid: self.owner.pid,
            uid: self.owner.uid,
            identity: self.owner.identity.as_deref().unwrap_or_default().to_owned(),
            method: self.owner.method,
            path: path.to_vec(),
            other: None,
            outcome,
            bytes: 0,
            error: None,
        }
    }
}

impl Books {
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Changes, and the failure after them if there was one.
    pub(crate) fn record(&self, heading: &Heading<'_>, changes: &[Change], error: Option<&Error>) {
        self.tally.count(heading.owner.method, changes, error.map(|error| error.reason));
        for change in changes {
            self.journal.append(Entry {
                other: change.other.as_ref().map(|other| other.as_bytes().to_vec()),
                bytes: change.bytes,
                ..heading.entry(change.path.as_bytes(), change.outcome.as_str())
            });
        }
        // Those who wait find what they are woken for on record.
        for change in changes.iter().filter(|change| change.outcome.is_change()) {
            self.expectations.changed(&change.path);
            change.other.iter().for_each(|other| self.expectations.changed(other));
        }
        if let Some(error) = error {
            let reason = Some(error.reason.as_str().to_owned());
            self.journal.append(Entry { error: reason, ..heading.entry(&error.path, REFUSED) });
        }
    }

    /// Paths that others had changed to something else.
    pub(super) fn record_conflicts(&self, heading: &Heading<'_>, conflicts: &[Conflict]) {
        for conflict in conflicts {
            let with = Some(conflict.other.clone());
            let entry = heading.entry(conflict.path.as_bytes(), CONFLICT);
            self.journal.append(Entry { error: with, ..entry });
        }
    }
}
