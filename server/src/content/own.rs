//! The store of the root's own, opened when it is first needed, and uploads that wait for their
//! client to come back.

use std::sync::{Arc, Mutex, PoisonError};

use onewriter_store::{Store, StoreError};
use onewriter_tree::Tree;

use super::{blocking, parked::Parked};

/// The store in `.onewriter/cas`.
#[derive(Debug)]
pub(crate) struct OwnStore {
    tree: Arc<Tree>,
    /// In bytes.
    max: u64,
    /// `None` until somebody needs it: most daemons never do.
    store: Mutex<Option<Store>>,
    pub(crate) parked: Parked,
}

impl OwnStore {
    /// The store of `tree` that holds `max` bytes at most. The caller owns the root.
    pub(crate) fn new(tree: Arc<Tree>, max: u64) -> Arc<Self> {
        Arc::new(Self { tree, max, store: Mutex::new(None), parked: Parked::default() })
    }

    /// How many bytes the store may hold.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The store. Waits for the disk.
    fn opened(&self) -> Result<Store, StoreError> {
        let mut opened = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*opened {
            return Ok(store.clone());
        }
        let store = Store::open(self.tree.state(), self.max)?;
        Ok(opened.insert(store).clone())
    }

    /// The store, unless nobody has ever put anything into it. Waits for the disk.
    pub(super) fn if_made(&self) -> Result<Option<Store>, StoreError> {
        if !Store::is_made(self.tree.state()) {
            return Ok(None);
        }
        self.opened().map(Some)
    }

    /// Does with the store what may wait for the disk, where it delays nobody else.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let own = Arc::clone(self);
        blocking(move || work(&own.opened()?)).await
    }
}
