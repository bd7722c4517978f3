//! Deleting in the background what was removed from the tree, or left over in staging.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use onewriter_tree::{Printable, Tree};

use crate::pool::Pool;

/// Deletes on a thread of its own.
pub(super) struct Sweeper {
    thread: Pool,
    swept: Arc<Swept>,
    /// Trees that had been discarded when a sweep was last begun.
    seen: AtomicU64,
}

struct Swept {
    tree: Arc<Tree>,
    /// Trees that had been discarded when the last finished sweep began.
    done: AtomicU64,
    /// What could not be deleted. Every sweep tries again, but tells of it only once: else one
    /// immutable file would fill the log.
    stuck: Mutex<HashSet<Vec<u8>>>,
}

impl Sweeper {
    pub(super) fn new(tree: Arc<Tree>) -> std::io::Result<Self> {
        let swept = Arc::new(Swept { tree, done: AtomicU64::new(0), stuck: Mutex::default() });
        Ok(Self { thread: Pool::new("sweep", 1)?, swept, seen: AtomicU64::new(0) })
    }

    /// Clears away what earlier daemons and clients left in staging. What there is is listed
    /// before this returns: whatever is put there later is not among it.
    pub(super) fn recover(&self) -> std::io::Result<()> {
        let left = self.swept.tree.staging().leftovers(true)?;
        if !left.is_empty() {
            let entries = left.len();
            tracing::info!(entries, "staging holds what an earlier daemon left; deleting it");
        }
        // An earlier daemon that is just ending may still put one there. Nobody uses what stays.
        if let Err(errno) = onewriter_tree::transaction::clear_spares(&self.swept.tree) {
            tracing::warn!(cause = %errno, "spare directories of an earlier daemon stay");
        }
        let swept = Arc::clone(&self.swept);
        self.thread.start(move || swept.delete(&left));
        Ok(())
    }

    /// Begins to delete, if anything was removed since this was last asked.
    pub(super) fn sweep(&self) {
        let discarded = self.swept.tree.staging().discarded();
        if self.seen.swap(discarded, Relaxed) == discarded {
            return;
        }
        let swept = Arc::clone(&self.swept);
        self.thread.start(move || swept.sweep());
    }

    pub(super) fn pending(&self) -> u64 {
        let discarded = self.swept.tree.staging().discarded();
        discarded.saturating_sub(self.swept.done.load(Relaxed))
    }
}

impl Swept {
    fn sweep(&self) {
        let discarded = self.tree.staging().discarded();
        if self.done.load(Relaxed) == discarded {
            return; // An earlier sweep found them all.
        }
        match self.tree.staging().leftovers(false) {
            Ok(left) => self.delete(&left),
            Err(errno) => tracing::warn!(cause = %errno, "staging cannot be listed"),
        }
        self.done.store(discarded, Relaxed);
    }

    fn delete(&self, names: &[Vec<u8>]) {
        for name in names {
            let reused = self.tree.staging().reuse(self.tree.state(), name);
            let Err(errno) = reused else { continue };
            let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
            if stuck.insert(name.clone()) {
                let name = Printable(name);
                tracing::warn!(cause = %errno, %name, "a removed tree cannot be deleted from staging");
            }
        }
    }
}
