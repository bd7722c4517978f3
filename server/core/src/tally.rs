//! Counts of what the engine did, by mutation and outcome.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use onewriter_tree::{Reason, mutation::Change};

/// What the journal and the counts call a mutation that was not done.
pub const REFUSED: &str = "refused";

/// How often each mutation had each outcome, and bytes of content written.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By mutation and outcome.
    pub mutations: BTreeMap<(&'static str, &'static str), u64>,
    /// Refused mutations, by the reason that was given.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Bytes of content that were put in place.
    pub bytes: u64,
}

#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

impl Tally {
    pub(crate) fn count(&self, method: &'static str, changes: &[Change], refused: Option<Reason>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            *counts.mutations.entry((method, change.outcome.as_str())).or_default() += 1;
            counts.bytes += change.bytes;
        }
        if let Some(reason) = refused {
            *counts.mutations.entry((method, REFUSED)).or_default() += 1;
            *counts.refusals.entry(reason.as_str()).or_default() += 1;
        }
    }

    pub(crate) fn read(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
