//! The epoch of a root's owner, on the root's own disk: whoever takes it over makes the file
//! `.onewriter/epoch/NUMBER`, and removes those of lower numbers. The number only grows, whoever is
//! late: a lower file that comes after a higher one means nothing. It is also by this directory that
//! a daemon without a cluster knows that the root belongs to one.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
};

use onewriter_core::epochs;
use onewriter_tree::Tree;
use rustix::{
    fs::{AtFlags, Mode, OFlags, fsync, openat, statat, unlinkat},
    io::Errno,
};

/// The directory in `.onewriter/`.
pub(crate) const DIR: &str = "epoch";

/// Why a root cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EpochError {
    /// Two names for one root would have two owners.
    #[error(
        "the build root is called '{theirs}' in its cluster, not '{ours}': start with --name {theirs} (or, if that cluster is no more, remove .onewriter/{DIR})"
    )]
    Name {
        /// By which it was owned until now.
        theirs: String,
        /// By which it was to be owned.
        ours: String,
    },
    /// Somebody with a higher epoch was there first.
    #[error("another daemon has taken the build root over, with the epoch {0}")]
    Overtaken(u64),
    /// The disk.
    #[error("cannot write .onewriter/{DIR}")]
    Io(#[from] io::Error),
}

impl From<Errno> for EpochError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// The epochs of a root.
#[derive(Debug)]
pub(crate) struct Epochs {
    dir: OwnedFd,
    name: String,
}

/// This owner's epoch on the disk.
#[derive(Debug)]
pub(super) struct Mark {
    dir: OwnedFd,
    file: String,
}

impl Epochs {
    /// Of the root that is called `name` in its cluster.
    pub(crate) fn open(tree: &Tree, name: &str) -> Result<Self, EpochError> {
        let epochs = Self { dir: epochs::make(tree, DIR)?, name: name.to_owned() };
        // From now on no daemon without a cluster takes it, whether it was owned before or not.
        if epochs::list(&epochs.dir)?.is_empty() {
            match epochs.make(0, "nobody yet") {
                Ok(()) | Err(EpochError::Overtaken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match told(&epochs.dir)? {
            Some(theirs) if theirs != name => {
                Err(EpochError::Name { theirs, ours: name.to_owned() })
            }
            _ => Ok(epochs),
        }
    }

    /// The highest that there was; 0: none.
    pub(super) fn highest(&self) -> Result<u64, EpochError> {
        Ok(epochs::list(&self.dir)?.into_iter().max().unwrap_or(0))
    }

    /// Begins the `epoch` of the owner at `address`.
    pub(super) fn claim(&self, epoch: u64, address: &str) -> Result<Mark, EpochError> {
        self.make(epoch, address)?;
        // Looked for only now: of two that are about to begin, the lower one sees the higher.
        let all = epochs::list(&self.dir)?;
        if let Some(higher) = all.iter().copied().find(|there| *there > epoch) {
            return Err(EpochError::Overtaken(higher));
        }
        for lower in all.into_iter().filter(|there| *there < epoch) {
            match unlinkat(&self.dir, lower.to_string(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Mark { dir: rustix::io::fcntl_dupfd_cloexec(&self.dir, 0)?, file: epoch.to_string() })
    }

    fn make(&self, epoch: u64, address: &str) -> Result<(), EpochError> {
        let file = epoch.to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = openat(&self.dir, &*file, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP);
        let mut made = File::from(made.map_err(|errno| match errno {
            Errno::EXIST => EpochError::Overtaken(epoch),
            errno => errno.into(),
        })?);
        made.write_all(format!("{}\n{address}\n", self.name).as_bytes())?;
        fsync(&made)?;
        fsync(&self.dir)?;
        Ok(())
    }
}

impl Mark {
    /// Whether nobody has begun a later one.
    pub(super) fn stands(&self) -> bool {
        statat(&self.dir, &*self.file, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

/// The name of the root in the cluster that it belongs to, if it does.
pub(crate) fn name(tree: &Tree) -> io::Result<Option<String>> {
    match epochs::open(tree, DIR) {
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(dir) => told(&dir),
    }
}

fn told(dir: &OwnedFd) -> io::Result<Option<String>> {
    let Some(last) = epochs::list(dir)?.into_iter().max() else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut text = String::new();
    match openat(dir, last.to_string(), flags, Mode::empty()) {
        // A later one has just begun.
        Err(Errno::NOENT) => return Ok(None),
        opened => File::from(opened?).read_to_string(&mut text)?,
    };
    Ok(text.lines().next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_only_grow_whoever_is_late() {
        let dir = tempfile::tempdir().unwrap();
        Tree::init(dir.path()).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        assert_eq!(name(&tree).unwrap(), None);
        let epochs = Epochs::open(&tree, "tree").unwrap();
        assert_eq!(epochs.highest().unwrap(), 0);
        assert_eq!(name(&tree).unwrap().as_deref(), Some("tree"), "though nobody owns it yet");
        let first = epochs.claim(3, "https://a:1").unwrap();
        assert!(first.stands());
        let second = epochs.claim(5, "https://b:1").unwrap();
        assert!(!first.stands() && second.stands());
        for late in [4, 5] {
            assert!(matches!(epochs.claim(late, "https://c:1"), Err(EpochError::Overtaken(5))));
        }
        assert!(second.stands());
        assert_eq!(epochs.highest().unwrap(), 5);
        assert_eq!(name(&tree).unwrap().as_deref(), Some("tree"));
        assert!(matches!(Epochs::open(&tree, "other"), Err(EpochError::Name { .. })));
        Epochs::open(&tree, "tree").unwrap();
    }
}
