//! Content by its digest: where it comes from, and where it is kept.

mod digests;
mod inflow;
mod inlet;
mod known;
mod own;
mod parked;
mod recent;

use std::sync::Arc;

use onewriter_store::StoreError;
use onewriter_tree::Tree;
use tokio::task::spawn_blocking;

use self::{digests::Digests, known::Places};
pub(crate) use self::{
    inflow::Inflow,
    inlet::Inlet,
    known::{ObtainError, Wanted},
    own::OwnStore,
};
use crate::external::External;

/// The content that a root knows.
#[derive(Debug)]
pub(crate) struct Content {
    tree: Arc<Tree>,
    store: Backing,
    pub(crate) places: Places,
    pub(crate) digests: Digests,
}

/// Who keeps content by its digest.
#[derive(Clone, Debug)]
pub(crate) enum Backing {
    /// The daemon, in `.onewriter/cas`.
    Own(Arc<OwnStore>),
    /// Somebody else, who is asked by the Remote Execution API.
    External(Arc<External>),
}

impl Backing {
    /// The store, if it is somebody else's.
    pub(crate) fn external(&self) -> Option<Arc<External>> {
        match self {
            Self::Own(_) => None,
            Self::External(store) => Some(Arc::clone(store)),
        }
    }
}

impl Content {
    /// That of `tree`, which the caller owns, and of the store.
    pub(crate) fn new(tree: Arc<Tree>, store: Backing) -> Arc<Self> {
        let (places, digests) = Default::default();
        Arc::new(Self { tree, store, places, digests })
    }

    /// Who keeps it.
    pub(crate) fn backing(&self) -> &Backing {
        &self.store
    }
}

/// Runs what may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.unwrap_or_else(|panic| {
        tracing::error!(cause = %panic, "a request for content panicked");
        let what = "the daemon failed inside (its log says how)";
        Err(StoreError::Io { what, errno: rustix::io::Errno::IO })
    })
}
