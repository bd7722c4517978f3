//! On whose behalf the store is asked.

use std::time::{Duration, Instant};

use tonic::metadata::{MetadataMap, MetadataValue};

use crate::peer;

/// What clients of the Remote Execution API say of the build that a request belongs to. Stores write
/// it to their logs.
const BUILD: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

/// What is known of the request for which the store is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking {
    deadline: Option<Instant>,
    build: Option<MetadataValue<tonic::metadata::Binary>>,
}

impl Asking {
    /// On behalf of a client whose request has this metadata.
    pub(crate) fn of(metadata: &MetadataMap) -> Self {
        Self { deadline: peer::deadline(metadata), build: metadata.get_bin(BUILD).cloned() }
    }

    /// For the daemon itself.
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, build: None }
    }

    /// When nobody waits any more.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long somebody will still wait.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Returns when nobody waits any more.
    pub(crate) async fn over(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn tell(&self, metadata: &mut MetadataMap) {
        if let Some(build) = &self.build {
            metadata.insert_bin(BUILD, build.clone());
        }
    }
}
