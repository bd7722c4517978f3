//! A worker's copy of a root: a root of its own, in which commands for a daemon elsewhere run.
//!
//! Two locks lie in its `.onewriter`, both given back by the kernel however a command ends. All
//! commands share the one of the daemon that the root might have, which therefore does not start
//! while they run; and one changes the copy at a time. Who finds nobody else clears away what was
//! left by those that were killed.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use onewriter_tree::{
    Tree,
    transaction::{self, Upper},
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, openat},
    io::Errno,
};

use crate::{failure::Failure, place::Place};

/// What a daemon holds for as long as it owns a root.
const DAEMON: &str = "lock";

/// Held together by all commands that work in a copy.
const USED: &str = "copy-used";

/// Held by the one that changes the copy; one byte longer each time.
const CHANGED: &str = "copy-changed";

/// The copy, in use.
#[derive(Debug)]
pub(super) struct Copy {
    root: PathBuf,
    tree: Tree,
    changed: OwnedFd,
    _no_daemon: OwnedFd,
    _used: OwnedFd,
}

impl Copy {
    /// Uses the root at `place` as a copy. Sets the umask to 0.
    pub(super) fn open(place: &Place) -> Result<Self, Failure> {
        let root = place.root().to_owned();
        let tree = Tree::open(&root)?;
        let file = |name| opened(&tree, name);
        let no_daemon = file(DAEMON)?;
        match flock(&no_daemon, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(owned(&root)),
            Err(errno) => return Err(cannot(&root, "be used", &errno)),
        }
        let (used, changed) = (file(USED)?, file(CHANGED)?);
        if flock(&used, FlockOperation::NonBlockingLockExclusive).is_ok() {
            clear(&tree)?;
        }
        flock(&used, FlockOperation::LockShared)
            .map_err(|errno| cannot(&root, "be used", &errno))?;
        Ok(Self { root, tree, changed, _no_daemon: no_daemon, _used: used })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory for the changes of a command.
    pub(super) fn begin(&self) -> Result<Upper, Failure> {
        Ok(Upper::create(&self.tree)?)
    }

    /// How often it was changed.
    pub(super) fn version(&self) -> u64 {
        rustix::fs::fstat(&self.changed).map_or(0, |stat| stat.st_size as u64)
    }

    /// Changes it, while no other command does.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&Tree) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // A lock belongs to what was opened: another command's is another.
        let fail = |errno: Errno| cannot(&self.root, "be changed", &errno);
        flock(&self.changed, FlockOperation::LockExclusive).map_err(fail)?;
        // Before anything is: who looks meanwhile is not to take it for what it was.
        let counted = rustix::fs::ftruncate(&self.changed, self.version() + 1).map_err(fail);
        // Modes are exact only with an umask of 0, which this sets.
        let done = counted.and_then(|()| change(&Tree::open(&self.root)?));
        let _ = flock(&self.changed, FlockOperation::Unlock);
        self.sweep();
        done
    }

    /// Deletes what was removed: there is no daemon that will.
    pub(super) fn sweep(&self) {
        for name in self.tree.staging().leftovers(false).unwrap_or_default() {
            let _ = self.tree.staging().delete(&name);
        }
    }
}

/// Keeps what waits in a copy's staging from being cleared away, for as long as it lives.
pub(crate) fn in_use(tree: &Tree) -> Result<OwnedFd, Failure> {
    let used = opened(tree, USED)?;
    flock(&used, FlockOperation::LockShared)
        .map_err(|errno| cannot(tree.path(), "be used", &errno))?;
    Ok(used)
}

fn opened(tree: &Tree, name: &str) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(tree.state(), name, flags, Mode::from_raw_mode(0o600));
    file.map_err(|errno| cannot(tree.path(), "be used", &errno))
}

/// Completes, or undoes, and then deletes what killed commands left.
fn clear(tree: &Tree) -> Result<(), Failure> {
    transaction::recover_all(tree)?;
    let _ = transaction::clear_spares(tree);
    for name in tree.staging().leftovers(true).unwrap_or_default() {
        let _ = tree.staging().delete(&name);
    }
    Ok(())
}

fn owned(root: &Path) -> Failure {
    Failure::Barred {
        message: format!(
            "'{}' has a daemon of its own, and so is no copy of what a server elsewhere has",
            root.display()
        ),
        hint: "leave out --server and ONEWRITER_SERVER, by which that daemon is asked; or end it: 'onewriter stop' without them",
    }
}

fn cannot(root: &Path, what: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::Io(format!("the copy at '{}' cannot {what}: {why}", root.display()))
}
