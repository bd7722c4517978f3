//! Content on its way into the store, as it is or compressed.

use onewriter_store::{Digest, StoreError, Upload};

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
