//! Content on its way into the store.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use crate::{
    digest::{Digest, Hasher},
    error::StoreError,
    index::cost,
    store::{Inner, key},
};

/// Content that arrives. It lies in `incoming/` and gets its name when all of it is there and has
/// the digest that was announced. Dropped before, it is deleted.
#[derive(Debug)]
pub struct Upload {
    inner: Arc<Inner>,
    digest: Digest,
    file: File,
    name: String,
    hasher: Hasher,
    written: u64,
    /// The room that was taken for it, in bytes.
    charged: u64,
}

impl Upload {
    pub(crate) fn new(inner: Arc<Inner>, digest: Digest) -> Result<Self, StoreError> {
        let fail = StoreError::io("cannot make a file for content that arrives");
        let (file, name) = inner.disk.receive().map_err(fail)?;
        let hasher = Hasher::new(digest.function);
        let mut upload = Self { inner, digest, file, name, hasher, written: 0, charged: 0 };
        upload.charge(0)?;
        Ok(upload)
    }

    /// What it is to become.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How much has arrived, in bytes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes what comes next.
    ///
    /// # Errors
    /// [`StoreError::TooLong`], [`StoreError::Full`], [`StoreError::Io`]; the upload is of no use any
    /// more then.
    pub fn push(&mut self, content: &[u8]) -> Result<(), StoreError> {
        let written = self.written + content.len() as u64;
        if written > self.digest.size {
            return Err(StoreError::TooLong { announced: self.digest });
        }
        self.charge(written)?;
        self.file.write_all(content).map_err(StoreError::std("cannot write content"))?;
        self.hasher.update(content);
        self.written = written;
        Ok(())
    }

    /// Keeps it, if it is what was announced.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`], [`StoreError::Io`]; nothing is kept then.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let found = self.hasher.clone().finish();
        if found != self.digest {
            return Err(StoreError::Mismatch { announced: self.digest, found });
        }
        if self.digest.is_empty() {
            return Ok(());
        }
        let named = (key(&self.digest), self.digest.size);
        self.inner
            .keep(&self.file, &self.name, named, self.charged)
            .map_err(StoreError::io("cannot put content into the store"))?;
        self.charged = 0;
        Ok(())
    }

    fn charge(&mut self, size: u64) -> Result<(), StoreError> {
        let needed = cost(size);
        if needed > self.charged {
            self.inner.charge(needed - self.charged)?;
            self.charged = needed;
        }
        Ok(())
    }
}

/// For whoever unpacks what arrives. An error holds a [`StoreError`].
impl Write for Upload {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.push(content).map_err(io::Error::other)?;
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.inner.disk.refuse(&self.name);
        self.inner.index().release(self.charged);
    }
}
