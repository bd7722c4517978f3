//! One daemon for one root: a lock that is held for life.
//!
//! The kernel releases it when the process ends, however it ends, so that neither a stale file nor
//! a process id that was given away again can be mistaken for a daemon.

use std::{fs::File, io::Read as _, os::fd::OwnedFd};

use onewriter_tree::Tree;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, ftruncate, openat},
    io::Errno,
};

/// The file in `.onewriter/` that the owner of the root holds locked. Its content, the owner's
/// process id, is for people to read; nothing is ever decided by it.
pub const LOCK_FILE: &str = "lock";

/// Held by the one daemon of a root; or shared among those that a cluster decides between, which keep
/// one from it that knows of no cluster. (Of those, one may be stopped and still hold it.)
#[derive(Debug)]
pub struct Ownership {
    _locked: OwnedFd,
}

/// Why a root cannot be owned.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Another process owns it.
    #[error("another daemon{} owns this build root", owner.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Taken {
        /// Its process id, as it wrote it down.
        owner: Option<u32>,
    },
    /// It is a copy of what a server elsewhere has, and commands work in it.
    #[error("commands for a server elsewhere are under way in this build root, which is a copy")]
    Copy,
    /// The lock file cannot be opened or locked.
    #[error("cannot lock '.onewriter/{LOCK_FILE}'")]
    Io(#[source] std::io::Error),
}

impl From<Errno> for OwnershipError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Ownership {
    /// Takes the root, or says who has it. Never waits.
    pub fn take(tree: &Tree) -> Result<Self, OwnershipError> {
        let file = lock(tree, FlockOperation::NonBlockingLockExclusive)?;
        ftruncate(&file, 0)?;
        rustix::io::write(&file, format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Self { _locked: file })
    }

    /// Keeps those away who would [`Ownership::take`] it. Never waits.
    pub fn share(tree: &Tree) -> Result<Self, OwnershipError> {
        let file = lock(tree, FlockOperation::NonBlockingLockShared)?;
        Ok(Self { _locked: file })
    }
}

fn lock(tree: &Tree, how: FlockOperation) -> Result<OwnedFd, OwnershipError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(tree.state(), LOCK_FILE, flags, Mode::from_raw_mode(0o600))?;
    match flock(&file, how) {
        Ok(()) => Ok(file),
        // One daemon alone holds it alone.
        Err(Errno::WOULDBLOCK) if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() => {
            Err(OwnershipError::Copy)
        }
        Err(Errno::WOULDBLOCK) => Err(OwnershipError::Taken { owner: read_pid(file) }),
        Err(errno) => Err(errno.into()),
    }
}

fn read_pid(file: OwnedFd) -> Option<u32> {
    let mut text = String::new();
    File::from(file).take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        Tree::init(dir.path()).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let first = Ownership::take(&tree).unwrap();
        match Ownership::take(&tree) {
            Err(OwnershipError::Taken { owner }) => assert_eq!(owner, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        assert!(Ownership::share(&tree).is_err(), "it knows of no cluster");
        drop(first);
        let command = openat(tree.state(), LOCK_FILE, OFlags::RDWR, Mode::empty()).unwrap();
        flock(&command, FlockOperation::LockShared).unwrap();
        assert!(matches!(Ownership::take(&tree), Err(OwnershipError::Copy)));
        drop(command);
        Ownership::take(&tree).unwrap();
    }

    #[test]
    fn members_of_a_cluster_share_a_root_with_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        Tree::init(dir.path()).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let members = [Ownership::share(&tree).unwrap(), Ownership::share(&tree).unwrap()];
        assert!(Ownership::take(&tree).is_err());
        drop(members);
        Ownership::take(&tree).unwrap();
    }
}
