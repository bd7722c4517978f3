//! What somebody saw at paths before he changed them, in a copy of the tree: how a commit finds out
//! that the copy was not up to date.

use std::{collections::BTreeMap, os::fd::AsFd as _};

use rustix::{
    fs::{FileType, Mode, OFlags, Stat, openat, readlinkat},
    io::Errno,
};

use super::walk::{self, Folder, kind};
use crate::{path::RelPath, tree::Tree};

/// What is at a path: as much of it as its copy on another machine has, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing is.
    Nothing,
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The twelve permission bits.
        mode: u32,
        /// The BLAKE3 digest of its content.
        blake3: [u8; 32],
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// Something of its own machine: a fifo, a socket, a device.
    Other,
}

impl Seen {
    /// What is at `path` now.
    pub(super) fn at(folder: &mut Folder<'_>, path: &RelPath) -> Result<Self, Errno> {
        match folder.look(path)? {
            Some(stat) => Self::of(folder, path, &stat),
            None => Ok(Self::Nothing),
        }
    }

    /// What is at `path`, of which `stat` is known.
    pub(super) fn of(folder: &mut Folder<'_>, path: &RelPath, stat: &Stat) -> Result<Self, Errno> {
        let (dir, name) = folder.of(path)?;
        Ok(match kind(stat) {
            FileType::Directory => Self::Directory,
            FileType::Symlink => {
                Self::Symlink { target: readlinkat(dir, name, Vec::new())?.into_bytes() }
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = std::fs::File::from(openat(dir, name, flags, Mode::empty())?);
                let mut hasher = blake3::Hasher::new();
                let read = hasher.update_reader(file);
                read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                let blake3 = *hasher.finalize().as_bytes();
                Self::File { mode: stat.st_mode & 0o7777, blake3 }
            }
            _ => Self::Other,
        })
    }
}

/// What a transaction is based on. It says something of those paths only that are in it.
#[derive(Clone, Debug, Default)]
pub struct Basis(BTreeMap<RelPath, Seen>);

impl Basis {
    /// Notes what was seen at a path.
    pub fn insert(&mut self, path: RelPath, seen: Seen) {
        self.0.insert(path, seen);
    }

    /// How many paths it is about.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is about none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `tree` has something else at `path` than was seen there. What cannot be looked at is
    /// something else.
    pub fn differs(&self, tree: &Tree, path: &RelPath) -> bool {
        let Some(seen) = self.0.get(path) else { return false };
        let Ok(root) = tree.dir(b"") else { return true };
        Seen::at(&mut Folder::new(root.as_fd()), path).ok().as_ref() != Some(seen)
    }

    /// What `tree` has below the directory `path` that was not seen there like this. Of a directory
    /// that was not seen itself, nothing is known.
    pub fn differing_below(&self, tree: &Tree, path: &RelPath) -> Vec<RelPath> {
        if !self.0.contains_key(path) {
            return Vec::new();
        }
        let Ok(root) = tree.dir(b"") else { return vec![path.clone()] };
        let Ok(entries) = walk::below(root.as_fd(), path) else { return vec![path.clone()] };
        let mut folder = Folder::new(root.as_fd());
        let mut is_other = |entry: &walk::Entry| {
            let found = Seen::of(&mut folder, &entry.path, &entry.stat).ok();
            found.as_ref() != self.0.get(&entry.path) || found.is_none()
        };
        entries.into_iter().skip(1).filter(|e| is_other(e)).map(|entry| entry.path).collect()
    }
}
