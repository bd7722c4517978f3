//! What a commit asks about others.

use std::{collections::HashSet, sync::Arc};

use onewriter_tree::{
    RelPath, Tree,
    transaction::{Basis, History},
};

use super::history::Watch;
use crate::locks::LockTable;

/// Who changed what is not as a copy of the tree had it.
const BEFORE: &str = "others, since the copy of it was made that the command saw";

/// Who was at a path since the transaction began, or is about to be.
pub(super) struct Witness {
    watch: Watch,
    /// The turns of others that it gives way to, if it does.
    turns: Option<Arc<LockTable>>,
    /// Where it has a turn itself.
    own: HashSet<RelPath>,
    tree: Arc<Tree>,
    /// What its command saw there.
    basis: Basis,
}

impl Witness {
    pub(super) fn new(
        watch: Watch,
        turns: Option<Arc<LockTable>>,
        own: Vec<RelPath>,
        (tree, basis): (Arc<Tree>, Basis),
    ) -> Self {
        Self { watch, turns, own: own.into_iter().collect(), tree, basis }
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
        let before = || self.basis.differs(&self.tree, path).then(|| BEFORE.to_owned());
        self.watch.changed(path).or_else(|| self.whose_turn(path)).or_else(before)
    }

    fn changed_below(&self, path: &RelPath) -> Vec<(RelPath, String)> {
        let mut changed = self.watch.changed_below(path);
        let before = self.basis.differing_below(&self.tree, path);
        changed.extend(before.into_iter().map(|path| (path, BEFORE.to_owned())));
        changed
    }
}
