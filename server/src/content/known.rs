//! Content that a request names and does not bring: from the store, or from wherever in the root it
//! was seen before.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use onewriter_core::policy::Rights;
use onewriter_store::{Digest, Function, Store, StoreError};
use onewriter_tree::{RelPath, Staged, mutation::Deed, open_file};

use super::Content;

/// How many places are remembered; the oldest are forgotten.
const MAX_PLACES: usize = 16_384;

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

type Name = (Function, [u8; 32]);

/// Where in the root content was put. Only a hint: it may have been changed since.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    paths: HashMap<Name, RelPath>,
    order: VecDeque<Name>,
}

impl Places {
    fn of(&self, wanted: &Wanted) -> Option<RelPath> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.paths.get(&(wanted.function, wanted.hash)).cloned()
    }

    /// Remembers that content was put at `path`.
    pub(crate) fn remember(&self, content: &Wanted, path: RelPath) {
        let name = (content.function, content.hash);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.paths.insert(name, path).is_none() {
            places.order.push_back(name);
        }
        if places.order.len() > MAX_PLACES
            && let Some(oldest) = places.order.pop_front()
        {
            places.paths.remove(&oldest);
        }
    }
}

impl Content {
    /// A copy in staging of the content, if it is known; it shares the original's blocks where the
    /// filesystem can do that. Who may not read a path does not get what lies there. Waits for the
    /// disk.
    pub(crate) fn obtain(
        &self,
        wanted: &Wanted,
        rights: Option<&Rights>,
    ) -> Result<Option<Staged>, StoreError> {
        if wanted.is(&Digest::of(wanted.function, b"")) {
            return self.tree.staging().create_own().map(Some).map_err(failed);
        }
        if let Some(store) = self.store_if_made()?
            && let Some(staged) = self.stored(&store, wanted)?
        {
            return Ok(Some(staged));
        }
        self.lying_in_root(wanted, rights)
    }

    /// The same for what is to be put at `path`, where that content may lie already.
    pub(crate) fn obtain_for(
        &self,
        wanted: &Wanted,
        path: &RelPath,
        rights: Option<&Rights>,
    ) -> Result<Option<Staged>, StoreError> {
        match self.obtain(wanted, rights)? {
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
