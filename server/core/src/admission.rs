//! Counting the requests under way, and refusing new ones while the daemon drains.

use std::sync::Arc;

use tokio::sync::watch;

/// Who may begin, and how many have begun and not ended.
#[derive(Debug)]
pub(crate) struct Admission {
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    draining: bool,
    under_way: u64,
}

/// Counts as under way until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Admission>);

impl Admission {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::default() })
    }

    /// `None` while draining.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Admitted> {
        let mut admitted = false;
        self.state.send_if_modified(|state| {
            admitted = !state.draining;
            state.under_way += u64::from(admitted);
            false
        });
        admitted.then(|| Admitted(Arc::clone(self)))
    }

    /// Refuses new requests from now on, for good.
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.state.borrow().draining
    }

    /// Returns when none is under way.
    pub(crate) async fn idle(&self) {
        let mut changes = self.state.subscribe();
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = changes.wait_for(|state| state.under_way == 0).await;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| {
            state.under_way -= 1;
            state.draining && state.under_way == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_refuses_the_new_and_waits_for_the_old() {
        let admission = Admission::new();
        let early = admission.enter().unwrap();
        admission.close();
        assert!(admission.enter().is_none());
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(early);
        waiting.await.unwrap();
    }
}
