//! Whether this process may still change the tree.
//!
//! One daemon for a root is a matter of a lock where there is one machine. Where several could own it,
//! the right to write ends by itself, and another process may have it a moment later. So it is asked
//! for right before each act, by [`Tree::guard`]; and since a process can be stopped between the
//! question and the act, what matters most is made so that it fails then: content, removed things and
//! new links go through staging, which a successor takes away ([`Tree::renew_staging`]) before it
//! serves anybody.

use std::{fmt, sync::Arc};

use rustix::{
    fs::{AtFlags, Mode, RenameFlags, mkdirat, renameat, renameat_with, statat},
    io::Errno,
};

use crate::{
    error::{Error, Reason},
    path::RelPath,
    staging::{self, Staging},
    trash,
    tree::Tree,
};

/// The right to change a tree, which may end at any time.
pub trait Fence: Send + Sync + fmt::Debug {
    /// Whether it is held at this moment. Asked before every act: a few microseconds at most. Once it
    /// was lost, it is lost for good.
    fn holds(&self) -> bool;
}

/// What old staging directories are called while they are being deleted.
const OLD: &str = "staging-";

/// How often somebody who still puts things into an old one is put up with.
const ATTEMPTS: usize = 8;

impl Tree {
    /// From now on it is changed only while `fence` holds.
    #[must_use]
    pub fn fenced(mut self, fence: Arc<dyn Fence>) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Whether the right to change it may end.
    pub fn is_fenced(&self) -> bool {
        self.fence.is_some()
    }

    /// Whether it may be changed at this moment.
    pub(crate) fn is_ours(&self) -> bool {
        self.fence.as_ref().is_none_or(|fence| fence.holds())
    }

    /// The number of what is at `path`, symbolic links not followed; `None` if nothing is, or it cannot be
    /// looked at.
    pub fn inode(&self, path: &RelPath) -> Option<u64> {
        let (dir, name) = self.parent(path).ok()?;
        let found = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(found.st_ino)
    }

    /// Fails if the tree must not be changed any more; `path` is for the error.
    ///
    /// # Errors
    /// `NOT_OWNER`.
    pub fn guard(&self, path: &RelPath) -> Result<(), Error> {
        if self.is_ours() {
            return Ok(());
        }
        let why = "this daemon does not own the build root any more; nothing was changed here";
        Err(Error::new(Reason::NotOwner, path.for_syscall(), why))
    }

    /// `error`; or, where somebody else owns the tree by now, that: what failed then, as for want of a staging
    /// directory, is nothing that its caller could mend.
    pub fn or_lost(&self, error: Error) -> Error {
        match self.guard(&RelPath::ROOT) {
            Ok(()) => error,
            Err(lost) => Error { path: error.path, index: error.index, ..lost },
        }
    }

    /// The tree with an empty staging directory. The old one is deleted, and all that was in it: whoever
    /// still has it open can move nothing from there into the tree, nor from the tree to there.
    ///
    /// # Errors
    /// What keeps it from being deleted; then the tree must not be changed.
    pub fn renew_staging(&self) -> Result<Self, Error> {
        let fail = |errno| {
            let what = "cannot clear '.onewriter/staging' of what an earlier owner left";
            Error::io(b".", what, errno)
        };
        let aside = Staging::fresh_name(OLD);
        mkdirat(self.state(), &*aside, Mode::RWXU).map_err(fail)?;
        match renameat_with(
            self.state(),
            &*aside,
            self.state(),
            staging::NAME,
            RenameFlags::EXCHANGE,
        ) {
            // NFS, and some others: nobody is served at this moment.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let old = Staging::fresh_name(OLD);
                renameat(self.state(), staging::NAME, self.state(), &*old).map_err(fail)?;
                renameat(self.state(), &*aside, self.state(), staging::NAME).map_err(fail)?;
            }
            done => done.map_err(fail)?,
        }
        // Those too that a process left which was killed while it did this.
        for name in trash::list(self.state()).map_err(fail)? {
            if name.starts_with(OLD.as_bytes()) {
                self.delete_old(&name).map_err(fail)?;
            }
        }
        let tree = self.try_clone().map_err(fail)?;
        tree.reopen_staging().map_err(fail)
    }

    fn delete_old(&self, name: &[u8]) -> Result<(), Errno> {
        let mut done = trash::delete(self.state(), name);
        for _ in 1..ATTEMPTS {
            match done {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::AGAIN) => {
                    done = trash::delete(self.state(), name);
                }
                done => return done,
            }
        }
        done
    }
}
