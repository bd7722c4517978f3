//! The store itself.

use std::{
    fs::File,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use crate::{
    digest::{Digest, Function},
    disk::{self, Disk},
    error::StoreError,
    index::{Index, Key, Space},
    upload::Upload,
};

/// How old what was written down of a last use may be, in seconds, before it is written anew.
const DATE_AGAIN: i64 = 60;

/// Content by its digest. Its calls wait for the disk.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) disk: Disk,
    index: Mutex<Index>,
}

/// What the store holds and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Files.
    pub files: u64,
    /// Bytes that they and what arrives take of the disk.
    pub bytes: u64,
    /// Bytes that they may take.
    pub max_bytes: u64,
    /// Files that had to go since the store was opened.
    pub evicted: u64,
}

impl Store {
    /// Opens the store in `state` (`.onewriter/`), or makes it. It will hold at most `max` bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(state: BorrowedFd<'_>, max: u64) -> Result<Self, StoreError> {
        let fail = StoreError::io("cannot open the content store");
        let disk = Disk::open(state).map_err(&fail)?;
        let mut found = disk.list().map_err(&fail)?;
        found.sort_by_key(|found| found.used);
        let (mut index, started) = (Index::new(max), disk::started());
        for found in found {
            let doubted = found.key.space != Space::Results && found.changed <= started;
            index.insert(found.key, found.size, doubted, found.used);
        }
        // It may have been larger. What does not fit then is only just being inserted.
        let _ = index.charge(0, |key| disk.delete(key));
        Ok(Self(Arc::new(Inner { disk, index: Mutex::new(index) })))
    }

    /// Whether there is a store in `state`.
    pub fn is_made(state: BorrowedFd<'_>) -> bool {
        Disk::is_made(state)
    }

    /// The content of that hash, if it is there, with its size.
    pub fn named(&self, function: Function, hash: [u8; 32]) -> Option<Digest> {
        let nothing = Digest::of(function, b"");
        if hash == nothing.hash {
            return Some(nothing);
        }
        let digest = Digest { function, hash, size: 0 };
        let size = self.0.index().get_mut(key(&digest))?.size;
        Some(Digest { size, ..digest })
    }

    /// Whether the content is there; it will not be the next to go.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        if digest.is_empty() {
            return Ok(true);
        }
        let key = key(digest);
        match self.0.use_now(key, digest.size) {
            None => Ok(false),
            // Rare, and as slow as reading it.
            Some((Use::Doubted, _)) => Ok(self.get(digest)?.is_some()),
            Some((Use::Trusted, born)) => {
                let fail = StoreError::io("cannot look for stored content");
                let is_there = self.0.disk.size(key).map_err(fail)? == Some(digest.size);
                if !is_there {
                    self.0.give_up(key, Some(born));
                }
                Ok(is_there)
            }
        }
    }

    /// The content, if it is there. It stays there while the answer lives.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn get(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let fail = StoreError::io("cannot open stored content");
        if digest.is_empty() {
            let nothing =
                File::open("/dev/null").map_err(StoreError::std("cannot open /dev/null"))?;
            return Ok(Some(Blob { file: nothing, size: 0, _pin: None }));
        }
        let key = key(digest);
        let Some((used, born)) = self.0.use_now(key, digest.size) else { return Ok(None) };
        let pin = Pin::new(&self.0, key);
        let Some(file) = self.0.disk.file(key).map_err(fail)? else {
            self.0.give_up(key, Some(born));
            return Ok(None);
        };
        let is_whole = match used {
            Use::Trusted => file.metadata().is_ok_and(|found| found.len() == digest.size),
            Use::Doubted => self.is_whole(&file, digest)?,
        };
        if !is_whole {
            self.0.give_up(key, Some(born));
            return Ok(None);
        }
        Ok(Some(Blob { file, size: digest.size, _pin: Some(pin) }))
    }

    /// Hashes what was there before the machine started. What is as it should be is not doubted any
    /// more, also by the next daemon.
    fn is_whole(&self, file: &File, digest: &Digest) -> Result<bool, StoreError> {
        if Digest::of_file(digest.function, file)? != *digest {
            return Ok(false);
        }
        let (key, now) = (key(digest), disk::now());
        self.0.disk.date(key, now);
        if let Some(entry) = self.0.index().get_mut(key) {
            (entry.doubted, entry.dated) = (false, now);
        }
        Ok(true)
    }

    /// Keeps content that is at hand.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then.
    pub fn put(&self, digest: &Digest, content: &[u8]) -> Result<(), StoreError> {
        let mut upload = self.upload(*digest)?;
        upload.push(content)?;
        upload.finish()
    }

    /// Begins to take content that is to have this digest.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::Io`].
    pub fn upload(&self, digest: Digest) -> Result<Upload, StoreError> {
        let max = self.max();
        if crate::index::cost(digest.size) > max {
            return Err(StoreError::TooLarge { size: digest.size, max });
        }
        Upload::new(Arc::clone(&self.0), digest)
    }

    /// How many bytes it may hold.
    pub fn max(&self) -> u64 {
        self.0.index().max()
    }

    /// What it holds and did.
    pub fn stats(&self) -> Stats {
        let index = self.0.index();
        let (bytes, max_bytes) = (index.taken(), index.max());
        Stats { files: index.len() as u64, bytes, max_bytes, evicted: index.evicted() }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }
}

/// What of a file that is there is certain.
pub(crate) enum Use {
    Trusted,
    Doubted,
}

impl Inner {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a file as used now, if it is there and has that size. Says which entry it is.
    pub(crate) fn use_now(&self, key: Key, size: u64) -> Option<(Use, u64)> {
        let now = disk::now();
        let mut index = self.index();
        let entry = index.used(key).filter(|entry| entry.size == size)?;
        let born = entry.born;
        if entry.doubted {
            return Some((Use::Doubted, born));
        }
        if now - entry.dated > DATE_AGAIN {
            entry.dated = now;
            drop(index);
            self.disk.date(key, now);
        }
        Some((Use::Trusted, born))
    }

    /// What was looked at is not there any more, or not what it should be. It may have been put there anew
    /// since: then that stays.
    pub(crate) fn give_up(&self, key: Key, seen: Option<u64>) {
        let mut index = self.index();
        if index.born(key) == seen {
            index.remove(key);
            self.disk.delete(key);
        }
    }

    /// Takes room for `bytes` more.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), StoreError> {
        let mut index = self.index();
        // Deleted under the lock: whoever uploads the same again must not lose it.
        let charged = index.charge(bytes, |key| self.disk.delete(key));
        charged.map_err(|_| StoreError::Full { max: index.max() })
    }

    /// Gives what arrived its name, for the room that was taken for it.
    pub(crate) fn keep(
        &self,
        file: &File,
        name: &str,
        (key, size): (Key, u64),
        charged: u64,
    ) -> Result<(), Errno> {
        // Under the lock: what is in the index is there, and the other way round.
        let mut index = self.index();
        self.disk.keep(file, name, key)?;
        index.release(charged);
        index.insert(key, size, false, disk::now());
        Ok(())
    }
}

/// A file that may not go.
#[derive(Debug)]
struct Pin {
    inner: Arc<Inner>,
    key: Key,
}

impl Pin {
    fn new(inner: &Arc<Inner>, key: Key) -> Self {
        inner.index().pin(key);
        Self { inner: Arc::clone(inner), key }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.inner.index().unpin(self.key);
    }
}

/// Content that is there, open. While it lives, it is not evicted.
#[derive(Debug)]
pub struct Blob {
    file: File,
    size: u64,
    _pin: Option<Pin>,
}

impl Blob {
    /// For reading.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// `length` bytes of it from `offset`, or as many as there are.
    ///
    /// # Errors
    /// [`StoreError::Io`], also where it has become shorter than it was.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        use std::os::unix::fs::FileExt as _;
        let left = self.size.saturating_sub(offset);
        let mut bytes = vec![0; length.min(usize::try_from(left).unwrap_or(usize::MAX))];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(StoreError::std("cannot read stored content"))?;
        Ok(bytes)
    }
}

pub(crate) fn key(digest: &Digest) -> Key {
    let space = match digest.function {
        Function::Sha256 => Space::Sha256,
        Function::Blake3 => Space::Blake3,
    };
    Key { space, hash: digest.hash }
}
