//! What a commit asks about others.

use std::{collections::HashSet, sync::Arc};

use onewriter_tree::{RelPath, transaction::History};

use super::history::Watch;
use crate::locks::LockTable;

/// Who was at a path since the transaction began, or is about to be.
pub(super) struct Witness {
    watch: Watch,
    /// The turns of others that it gives way to, if it does.
    turns: Option<Arc<LockTable>>,
    /// Where it has a turn itself.
    own: HashSet<RelPath>,
}

impl Witness {
    pub(super) fn new(watch: Watch, turns: Option<Arc<LockTable>>, own: Vec<RelPath>) -> Self {
        Self { watch, turns, own: own.into_iter().collect() }
    }

    fn whose_turn(&self, path: &RelPath) -> Option<String> {
        let turns = self.turns.as_ref().filter(|turns| !turns.is_idle())?;
        if self.own.contains(path) {
            return None;
        }
        let owner = turns.exclusive_holder(&path.as_bytes().into())?;
        Some(format!("{owner}, which runs again and comes first"))
    }
}

impl History for Witness {
    fn changed(&self, path: &RelPath) -> Option<String> {
        self.watch.changed(path).or_else(|| self.whose_turn(path))
    }

    fn changed_below(&self, path: &RelPath) -> Vec<(RelPath, String)> {
        self.watch.changed_below(path)
    }
}
