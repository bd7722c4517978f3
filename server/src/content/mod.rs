//! Content by its digest: the store, opened when it is first needed, and uploads that wait for their
//! client to come back.

mod digests;
mod known;
mod parked;
mod recent;

use std::sync::{Arc, Mutex, PoisonError};

use onewriter_store::{Digest, Store, StoreError, Upload};
use onewriter_tree::Tree;
use tokio::task::spawn_blocking;

use self::{digests::Digests, known::Places};
pub(crate) use self::{known::Wanted, parked::Parked};

/// The store of a root.
#[derive(Debug)]
pub(crate) struct Content {
    tree: Arc<Tree>,
    /// In bytes.
    max: u64,
    /// `None` until somebody needs it: most daemons never do.
    store: Mutex<Option<Store>>,
    pub(crate) parked: Parked,
    pub(crate) places: Places,
    pub(crate) digests: Digests,
}

impl Content {
    /// The store of `tree` that holds `max` bytes at most. The caller owns the root.
    pub(crate) fn new(tree: Arc<Tree>, max: u64) -> Arc<Self> {
        let (parked, places, digests) = Default::default();
        Arc::new(Self { tree, max, store: Mutex::new(None), parked, places, digests })
    }

    /// How many bytes the store may hold.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The store. Waits for the disk.
    pub(crate) fn store(&self) -> Result<Store, StoreError> {
        let mut opened = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*opened {
            return Ok(store.clone());
        }
        let store = Store::open(self.tree.state(), self.max)?;
        Ok(opened.insert(store).clone())
    }

    /// The store, unless nobody has ever put anything into it. Waits for the disk.
    fn store_if_made(&self) -> Result<Option<Store>, StoreError> {
        if !Store::is_made(self.tree.state()) {
            return Ok(None);
        }
        self.store().map(Some)
    }

    /// Does with the store what may wait for the disk, where it delays nobody else.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let content = Arc::clone(self);
        blocking(move || work(&content.store()?)).await
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

/// The largest distance, as a power of two, from which compressed content may repeat itself: what a
/// client can make the daemon allocate for each upload. It is that of zstd's level 19.
const WINDOW_LOG: u32 = 23;

/// Content on its way into the store, as it is or compressed.
pub(crate) struct Inlet {
    upload: Incoming,
    /// How much has come, in bytes of what is sent.
    taken: u64,
}

enum Incoming {
    Plain(Box<Upload>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Upload>>),
}

impl Inlet {
    /// Into `upload`, `compressed` by zstd or not.
    pub(crate) fn new(upload: Upload, compressed: bool) -> Result<Self, StoreError> {
        let upload = if compressed {
            let digest = *upload.digest();
            let fail = |error| unpacking(digest, error);
            let mut decoder = zstd::stream::write::Decoder::new(upload).map_err(fail)?;
            decoder.window_log_max(WINDOW_LOG).map_err(fail)?;
            Incoming::Zstd(Box::new(decoder))
        } else {
            Incoming::Plain(Box::new(upload))
        };
        Ok(Self { upload, taken: 0 })
    }

    /// How much has come, in bytes of what is sent.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes what comes next.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        use std::io::Write as _;
        self.taken += piece.len() as u64;
        match &mut self.upload {
            Incoming::Plain(upload) => upload.push(piece),
            Incoming::Zstd(decoder) => {
                let digest = *decoder.get_ref().digest();
                decoder.write_all(piece).map_err(|error| unpacking(digest, error))
            }
        }
    }

    /// Keeps it, if it is what was announced.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        use std::io::Write as _;
        match self.upload {
            Incoming::Plain(upload) => upload.finish(),
            Incoming::Zstd(mut decoder) => {
                let digest = *decoder.get_ref().digest();
                decoder.flush().map_err(|error| unpacking(digest, error))?;
                decoder.into_inner().finish()
            }
        }
    }
}

/// What went wrong while content was unpacked: with the store, or with what came.
fn unpacking(announced: Digest, error: std::io::Error) -> StoreError {
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>());
    fault.cloned().unwrap_or(StoreError::Packed { announced })
}
