//! How many are there, and for how long nobody has been.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

/// Counts those who are there.
#[derive(Debug, Default)]
pub(crate) struct Presence(watch::Sender<u64>);

/// One who is there, until it is dropped.
#[derive(Debug)]
pub(crate) struct Present(Arc<Presence>);

impl Presence {
    pub(crate) fn enter(self: &Arc<Self>) -> Present {
        self.0.send_modify(|n| *n += 1);
        Present(Arc::clone(self))
    }

    pub(crate) fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Returns when nobody is there.
    pub(crate) async fn nobody(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Returns when somebody is there.
    pub(crate) async fn somebody(&self) {
        let _ = self.0.subscribe().wait_for(|n| *n > 0).await;
    }

    /// Returns when nobody has been there for `limit`.
    pub(crate) async fn idle(&self, limit: Duration) {
        let mut changes = self.0.subscribe();
        loop {
            // What it returns with has been seen: only later comings and goings are changes.
            let _ = changes.wait_for(|n| *n == 0).await;
            if timeout(limit, changes.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.0.send_modify(|n| *n -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Seconds of a clock that stands still while anybody is busy.
    async fn idle_after(presence: &Presence) -> u64 {
        let start = Instant::now();
        presence.idle(LIMIT).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_is_noticed() {
        let presence = Arc::new(Presence::default());
        assert!(timeout(LIMIT, presence.somebody()).await.is_err());
        let _present = presence.enter();
        assert!(timeout(LIMIT, presence.somebody()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_a_whole_quiet_period_after_the_last_one() {
        let presence = Arc::new(Presence::default());
        assert_eq!(idle_after(&presence).await, 10);
        let visits = async {
            sleep(Duration::from_secs(3)).await;
            let first = presence.enter();
            sleep(Duration::from_secs(60)).await;
            drop(first);
            sleep(Duration::from_secs(9)).await;
            // One so short that nobody sees it.
            drop(presence.enter());
        };
        let (after, ()) = tokio::join!(idle_after(&presence), visits);
        assert_eq!(after, 3 + 60 + 9 + 10);
    }
}
