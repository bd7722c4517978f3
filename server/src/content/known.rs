//! Content that a request names and does not bring: from the store, or from wherever in the root it
//! was seen before; from an external store only what the root does not have.

use std::{sync::Arc, time::Instant};

use onewriter_core::policy::Rights;
use onewriter_store::{Digest, Function, Store, StoreError};
use onewriter_tree::{RelPath, Staged, mutation::Deed, open_file};

use super::{Backing, Content, blocking, recent::Recent};
use crate::external::StoreFault;

/// The content that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) function: Function,
    pub(crate) hash: [u8; 32],
    /// In bytes, where it was said.
    pub(crate) size: Option<u64>,
}

impl Wanted {
    /// Whether it is this.
    pub(crate) fn is(&self, found: &Digest) -> bool {
        self.function == found.function
            && self.hash == found.hash
            && self.size.is_none_or(|size| size == found.size)
    }
}

/// Where in the root content was put. Only a hint: it may have been changed since.
#[derive(Debug, Default)]
pub(crate) struct Places(Recent<(Function, [u8; 32]), RelPath>);

impl Places {
    fn of(&self, wanted: &Wanted) -> Option<RelPath> {
        self.0.get((wanted.function, wanted.hash))
    }

    /// Remembers that content was put at `path`.
    pub(crate) fn remember(&self, content: &Wanted, path: RelPath) {
        self.0.insert((content.function, content.hash), path);
    }
}

/// Why known content cannot be had.
#[derive(Debug)]
pub(crate) enum ObtainError {
    /// The daemon's own store or staging failed.
    Here(StoreError),
    /// The external store did.
    There(StoreFault),
}

impl From<StoreError> for ObtainError {
    fn from(error: StoreError) -> Self {
        Self::Here(error)
    }
}

impl Content {
    /// A copy in staging of the content, if it is known; it shares the original's blocks where the
    /// filesystem can do that. Who may not read a path does not get what lies there. An external
    /// store is asked until the deadline, and only for content whose size was said: it knows none
    /// without.
    pub(crate) async fn obtain(
        self: &Arc<Self>,
        wanted: Wanted,
        rights: Option<Arc<Rights>>,
        deadline: Option<Instant>,
    ) -> Result<Option<Staged>, ObtainError> {
        let here = Arc::clone(self);
        let found = blocking(move || here.obtain_here(&wanted, rights.as_deref())).await?;
        let (None, Backing::External(store), Some(size)) = (&found, &self.store, wanted.size)
        else {
            return Ok(found);
        };
        let digest = Digest { function: wanted.function, hash: wanted.hash, size };
        let fetched = store.fetch(self.tree.staging(), digest, deadline).await;
        fetched.map_err(ObtainError::There)
    }

    /// That from this machine. Waits for the disk.
    fn obtain_here(
        &self,
        wanted: &Wanted,
        rights: Option<&Rights>,
    ) -> Result<Option<Staged>, StoreError> {
        if wanted.is(&Digest::of(wanted.function, b"")) {
            return self.tree.staging().create_own().map(Some).map_err(failed);
        }
        if let Backing::Own(own) = &self.store
            && let Some(store) = own.if_made()?
            && let Some(staged) = self.stored(&store, wanted)?
        {
            return Ok(Some(staged));
        }
        self.lying_in_root(wanted, rights)
    }

    /// The same for what is to be put at `path`, where that content may lie already. Waits for the disk.
    pub(crate) fn obtain_for(
        &self,
        wanted: &Wanted,
        path: &RelPath,
        rights: Option<&Rights>,
    ) -> Result<Option<Staged>, StoreError> {
        match self.obtain_here(wanted, rights)? {
            Some(staged) => Ok(Some(staged)),
            None => self.lying_at(wanted, path),
        }
    }

    fn stored(&self, store: &Store, wanted: &Wanted) -> Result<Option<Staged>, StoreError> {
        let digest = store.named(wanted.function, wanted.hash);
        let Some(digest) = digest.filter(|digest| wanted.is(digest)) else { return Ok(None) };
        let Some(blob) = store.get(&digest)? else { return Ok(None) };
        let staged = self.tree.staging().create_own().map_err(failed)?;
        let copied = staged.fill(blob.file(), blob.size()).map_err(failed)?;
        Ok((copied == digest.size).then_some(staged))
    }

    fn lying_in_root(
        &self,
        wanted: &Wanted,
        rights: Option<&Rights>,
    ) -> Result<Option<Staged>, StoreError> {
        let Some(path) = self.places.of(wanted) else { return Ok(None) };
        if rights.is_some_and(|rights| !rights.may(Deed::Read, &path)) {
            return Ok(None);
        }
        self.lying_at(wanted, &path)
    }

    fn lying_at(&self, wanted: &Wanted, path: &RelPath) -> Result<Option<Staged>, StoreError> {
        // Whatever keeps it from being read: then it is not known.
        let Ok((file, found)) = open_file(&self.tree, path) else { return Ok(None) };
        // A symbolic link that has come to stand there would lead past the caller's rights.
        if found.path != *path || wanted.size.is_some_and(|size| size != found.size) {
            return Ok(None);
        }
        let staged = self.tree.staging().create_own().map_err(failed)?;
        staged.fill(&file, found.size).map_err(failed)?;
        // The copy is what nobody else can change any more.
        let copy = Digest::of_file(wanted.function, staged.file())?;
        Ok(wanted.is(&copy).then_some(staged))
    }
}

fn failed(errno: rustix::io::Errno) -> StoreError {
    StoreError::Io { what: "cannot copy known content into staging", errno }
}
