//! Small records under a key: what actions resulted in. They share the store's room, and the order
//! in which things go.

use std::io::Write as _;

use crate::{
    digest::{Digest, Function},
    disk,
    error::StoreError,
    index::{Key, Space, cost},
    store::Store,
};

/// The name of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResultKey([u8; 32]);

impl ResultKey {
    /// The record of an action, in the eyes of one `instance`: those of others are not seen.
    pub fn new(instance: &str, action: &Digest) -> Self {
        // Lengths first, so that no two different triples are one text.
        let function = action.function.name();
        let text = format!("{} {instance} {function} {action}", instance.len());
        Self(Digest::of(Function::Sha256, text.as_bytes()).hash)
    }

    fn key(self) -> Key {
        Key { space: Space::Results, hash: self.0 }
    }
}

impl Store {
    /// The record, if there is one. A damaged one is none.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn result(&self, key: ResultKey) -> Result<Option<Vec<u8>>, StoreError> {
        let (inner, key) = (self.inner(), key.key());
        let seen = inner.index().born(key);
        let Some(file) =
            inner.disk.file(key).map_err(StoreError::io("cannot open an action's result"))?
        else {
            return Ok(None);
        };
        let mut whole = Vec::new();
        disk::read_through(&file, |piece| whole.extend_from_slice(piece))
            .map_err(StoreError::std("cannot read an action's result"))?;
        // Its own digest stands before it: its name says nothing of its content.
        let sound = whole
            .split_first_chunk::<32>()
            .filter(|(hash, record)| **hash == Digest::of(Function::Sha256, record).hash);
        let Some((_, record)) = sound else {
            inner.give_up(key, seen);
            return Ok(None);
        };
        inner.index().used(key);
        inner.disk.date(key, disk::now());
        Ok(Some(record.to_vec()))
    }

    /// Keeps a record, in the place of the one before.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; nothing has changed then.
    pub fn set_result(&self, key: ResultKey, record: &[u8]) -> Result<(), StoreError> {
        let inner = self.inner();
        let size = 32 + record.len() as u64;
        let charged = cost(size);
        inner.charge(charged)?;
        let (mut file, name) = match inner.disk.receive() {
            Ok(made) => made,
            Err(errno) => {
                inner.index().release(charged);
                return Err(StoreError::io("cannot make a file for an action's result")(errno));
            }
        };
        let written = file
            .write_all(&Digest::of(Function::Sha256, record).hash)
            .and_then(|()| file.write_all(record))
            .map_err(StoreError::std("cannot write an action's result"))
            .and_then(|()| {
                inner
                    .keep(&file, &name, (key.key(), size), charged)
                    .map_err(StoreError::io("cannot put an action's result into the store"))
            });
        if written.is_err() {
            inner.disk.refuse(&name);
            inner.index().release(charged);
        }
        written
    }
}
