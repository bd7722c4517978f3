//! The store as those see it who use it.

mod eviction;
mod full_disk;
mod opening;
mod uploads;

use std::{
    fs::{File, Permissions},
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{Digest, Function, Store};

/// A directory that may hold a store, as `.onewriter/` does.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Opens its store, as the next daemon does.
    fn open(&self, max: u64) -> Store {
        Store::open(File::open(self.path()).unwrap().as_fd(), max).unwrap()
    }

    /// Where the store keeps it.
    fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let path = self.path().join("cas").join(digest.function.name());
        path.join(&hex[..2]).join(hex)
    }

    /// What lies in `incoming/`.
    fn incoming(&self) -> usize {
        std::fs::read_dir(self.path().join("cas/incoming")).unwrap().count()
    }

    /// Writes to what the store keeps, behind its back.
    #[expect(clippy::disallowed_methods, reason = "damages a store, not a build tree")]
    fn damage(&self, digest: &Digest, content: &[u8]) {
        let path = self.file(digest);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// Room for so many small files.
fn blocks(count: u64) -> u64 {
    count * 4096
}

const PLENTY: u64 = 1 << 30;

fn digest(content: &[u8]) -> Digest {
    Digest::of(Function::Sha256, content)
}

fn put(store: &Store, content: &[u8]) -> Digest {
    let digest = digest(content);
    store.put(&digest, content).unwrap();
    digest
}

fn read(store: &Store, digest: &Digest) -> Option<Vec<u8>> {
    let blob = store.get(digest).unwrap()?;
    Some(blob.read(0, usize::MAX).unwrap())
}
