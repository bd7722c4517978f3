//! What the parts of a running daemon know of each other: who is connected, whether to stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    presence::{Presence, Present},
    services,
    visitors::Visitors,
};

/// One daemon's life.
pub(crate) struct Lifecycle {
    started: Instant,
    connections: Arc<Presence>,
    visitors: Arc<Visitors>,
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

impl Lifecycle {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            connections: Arc::default(),
            visitors: Arc::default(),
            phase: watch::Sender::default(),
            health: HealthReporter::new(),
        })
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.count()
    }

    /// An open connection, until it is dropped.
    pub(crate) fn connected(&self) -> Present {
        self.connections.enter()
    }

    /// Who is connected.
    pub(crate) fn visitors(&self) -> &Arc<Visitors> {
        &self.visitors
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
        self.connections.nobody().await;
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

    /// Returns when somebody is connected.
    pub(crate) async fn busy(&self) {
        self.connections.somebody().await;
    }

    /// Returns when nobody has been connected for `limit`.
    pub(crate) async fn idle(&self, limit: Duration) {
        self.connections.idle(limit).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_go_on() {
        let lifecycle = Lifecycle::new();
        lifecycle.end();
        lifecycle.stop("too late");
        lifecycle.ended().await;
        lifecycle.stopped().await;
    }
}
