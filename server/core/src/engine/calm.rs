//! Moments at which no commit of several steps is half done.
//!
//! Whoever looks at the tree without a lock notes the moment before, and believes what it saw only
//! if the calm has lasted. It costs those who look two loads, and a commit two additions.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

#[derive(Debug, Default)]
pub(super) struct Calm {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A moment of calm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(u64);

/// No calm until it is dropped.
#[derive(Debug)]
pub(super) struct Disturbance(Arc<Calm>);

impl Calm {
    /// `None` while somebody's steps are half done.
    pub(super) fn now(&self) -> Option<Moment> {
        // In this order: what has begun after that is not missed.
        let ended = self.ended.load(SeqCst);
        (self.begun.load(SeqCst) == ended).then_some(Moment(ended))
    }

    /// Whether nobody has begun since.
    pub(super) fn has_lasted(&self, since: Moment) -> bool {
        self.begun.load(SeqCst) == since.0
    }

    pub(super) fn disturb(self: &Arc<Self>) -> Disturbance {
        self.begun.fetch_add(1, SeqCst);
        Disturbance(Arc::clone(self))
    }
}

impl Drop for Disturbance {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calm_is_over_when_somebody_begins_and_back_when_all_have_ended() {
        let calm = Arc::new(Calm::default());
        let before = calm.now().unwrap();
        assert!(calm.has_lasted(before));
        let (one, two) = (calm.disturb(), calm.disturb());
        drop(one);
        assert!(calm.now().is_none(), "another goes on");
        drop(two);
        assert!(calm.now().is_some());
        assert!(!calm.has_lasted(before), "it was interrupted");
    }
}
