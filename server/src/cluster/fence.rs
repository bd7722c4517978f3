//! The right of an owner to write: as long as etcd cannot have given it to anybody else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use onewriter_tree::Fence;

use super::{epoch::Mark, lease::Lease};

/// Held while the lease lives (by a clock that counts while this process is stopped), and while nobody
/// has begun a later epoch on the root's own disk (which tells also where a clock has failed).
#[derive(Debug)]
pub(super) struct Right {
    lease: Arc<Lease>,
    mark: Mark,
    lost: AtomicBool,
}

impl Right {
    pub(super) fn new(lease: &Arc<Lease>, mark: Mark) -> Arc<Self> {
        Arc::new(Self { lease: Arc::clone(lease), mark, lost: AtomicBool::new(false) })
    }

    /// Gives it up.
    pub(super) fn lose(&self) {
        self.lost.store(true, SeqCst);
    }
}

impl Fence for Right {
    fn holds(&self) -> bool {
        // The clock is asked last: looking at the disk may take its time.
        let holds = !self.lost.load(SeqCst) && self.mark.stands() && self.lease.left().is_some();
        if !holds {
            self.lose();
        }
        holds
    }
}
