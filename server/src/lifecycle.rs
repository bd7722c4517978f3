//! What the parts of a running daemon know of each other: who is connected, whether to stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::services;

/// One daemon's life.
pub(crate) struct Lifecycle {
    started: Instant,
    connections: watch::Sender<u64>,
    phase: watch::Sender<Phase>,
    health: HealthReporter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Serving,
    /// No more connections are accepted; requests under way are finished.
    Stopping,
    /// Connections end when their requests have.
    Closing,
    /// What is still open is cut off.
    Over,
}

/// An open connection; it counts until it is dropped.
pub(crate) struct Connected(Arc<Lifecycle>);

impl Lifecycle {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            connections: watch::Sender::default(),
            phase: watch::Sender::default(),
            health: HealthReporter::new(),
        })
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.send_modify(|n| *n += 1);
        Connected(Arc::clone(self))
    }

    pub(crate) fn health(&self) -> &HealthReporter {
        &self.health
    }

    /// Tells whoever checks the daemon's health whether it takes requests.
    pub(crate) async fn report(&self, serving: ServingStatus) {
        for name in services::NAMES {
            self.health.set_service_status(name, serving).await;
        }
    }

    /// Begins the end, for a `reason` that the log tells.
    pub(crate) fn stop(&self, reason: &str) {
        tracing::info!(reason, "stopping");
        self.advance(Phase::Stopping);
    }

    /// Has connections end when their requests have, and returns when all did.
    pub(crate) async fn close(&self) {
        self.advance(Phase::Closing);
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = self.connections.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Cuts off what is still open.
    pub(crate) fn end(&self) {
        self.advance(Phase::Over);
    }

    /// Returns when the daemon is to stop.
    pub(crate) async fn stopped(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Returns when connections are to end with their requests.
    pub(crate) async fn closing(&self) {
        self.reached(Phase::Closing).await;
    }

    /// Returns when open connections are to be cut off.
    pub(crate) async fn ended(&self) {
        self.reached(Phase::Over).await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = *phase < to;
            *phase = to.max(*phase);
            later
        });
    }

    async fn reached(&self, wanted: Phase) {
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }

    /// Returns when nobody has been connected for `limit`.
    pub(crate) async fn idle(&self, limit: Duration) {
        let mut connections = self.connections.subscribe();
        loop {
            // What it returns with has been seen: only later comings and goings are changes.
            let _ = connections.wait_for(|n| *n == 0).await;
            if timeout(limit, connections.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.send_modify(|n| *n -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Seconds of a clock that stands still while anybody is busy.
    async fn idle_after(lifecycle: &Lifecycle) -> u64 {
        let start = Instant::now();
        lifecycle.idle(LIMIT).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_a_whole_quiet_period_after_the_last_client() {
        let lifecycle = Lifecycle::new();
        assert_eq!(idle_after(&lifecycle).await, 10);
        let visits = async {
            sleep(Duration::from_secs(3)).await;
            let first = lifecycle.connected();
            sleep(Duration::from_secs(60)).await;
            drop(first);
            sleep(Duration::from_secs(9)).await;
            // One so short that nobody sees it.
            drop(lifecycle.connected());
        };
        let (after, ()) = tokio::join!(idle_after(&lifecycle), visits);
        assert_eq!(after, 3 + 60 + 9 + 10);
    }

    #[tokio::test]
    async fn phases_only_go_on() {
        let lifecycle = Lifecycle::new();
        lifecycle.end();
        lifecycle.stop("too late");
        lifecycle.ended().await;
        lifecycle.stopped().await;
    }
}
