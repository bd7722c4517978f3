//! The directory of a transaction, and who deletes it.

use std::{
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fstat,
        mkdirat, mknodat, openat, renameat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::walk::OPEN;
use crate::{
    error::Error,
    path::{RelPath, STATE_DIR},
    transaction::{spare, step::chown_handle, walk::owner, xattr},
    tree::{DIRECTORY, Tree, chmod_handle, proc_path},
};

/// What the names of transactions begin with.
pub(super) const PREFIX: &str = "x-";

/// Where upper directories are kept for a look, below `.onewriter`.
const KEPT: &str = "failed";

/// The directory of one transaction in staging: `x-…/{upper,work,gone}`.
///
/// `upper` and `work` are for an overlay; `gone` takes what a commit removes. Dropped, it is
/// discarded.
#[derive(Debug)]
pub struct Upper {
    tree: Tree,
    name: String,
    top: OwnedFd,
    birth: Timespec,
    /// Whether nobody needs it any more once it is dropped.
    discards: bool,
}

impl Upper {
    /// Makes it. `upper` has the root's mode and times and in it a whiteout (char device 0/0) named
    /// `.onewriter`, which hides the state directory from an overlay's users.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn create(tree: &Tree) -> Result<Self, Error> {
        let fail = |e| Error::io(b".", "cannot make a transaction's directory in staging", e);
        let name = tree.staging().name(PREFIX);
        let spare = spare::take(tree, &name);
        let is_new = spare.is_none();
        let top = match spare {
            Some(top) => top,
            None => make(tree, &name).map_err(fail)?,
        };
        let tree = tree.try_clone().map_err(fail)?;
        let epoch = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut made = Self { tree, name, top, birth: epoch, discards: true };
        if is_new {
            made.furnish().map_err(fail)?;
        }
        made.dress().map_err(fail)?;
        Ok(made)
    }

    /// One that an earlier process left in staging, which keeps it; `None` if there is none.
    pub(super) fn find(tree: &Tree, name: &str) -> Result<Option<Self>, Error> {
        let fail = |e| Error::io(b".", "cannot open what a transaction left in staging", e);
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let top = match openat(tree.staging().handle(), name, flags, Mode::empty()) {
            Ok(top) => top,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        };
        let tree = tree.try_clone().map_err(fail)?;
        let birth = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(Some(Self { tree, name: name.to_owned(), top, birth, discards: false }))
    }

    /// What is in each.
    fn furnish(&self) -> Result<(), Errno> {
        for name in ["upper", "work", "gone"] {
            mkdirat(&self.top, name, Mode::RWXU)?;
        }
        let upper = self.dir("upper")?;
        mknodat(upper, STATE_DIR, FileType::CharacterDevice, Mode::empty(), 0)
    }

    /// What the root is like at this moment, and which moment that is.
    fn dress(&mut self) -> Result<(), Errno> {
        let (top, upper) = (self.tree.dir(b"")?, self.dir("upper")?);
        let root = fstat(&top)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: root.st_mtime, tv_nsec: root.st_mtime_nsec as _ },
        };
        utimensat(CWD, proc_path(upper.as_fd()), &times, AtFlags::empty())?;
        let dressed = dress_as(upper.as_fd(), top.as_fd(), &root);
        // One that cannot look like the root does not say what the root is to look like.
        if dressed.is_ok() {
            let _ = xattr::mark_copied(&xattr::place(upper.as_fd(), b"."));
        }
        chmod_handle(upper.as_fd(), root.st_mode & 0o7777)?;
        // Nobody else has a reason to change this one, while an overlay works in `work`. To set its
        // mode is to set its `ctime`.
        let gone = self.dir("gone")?;
        chmod_handle(gone.as_fd(), 0o700)?;
        let gone = fstat(gone)?;
        self.birth = Timespec { tv_sec: gone.st_ctime, tv_nsec: gone.st_ctime_nsec as _ };
        Ok(())
    }

    /// Its name in staging.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the upper directory is, absolute: for whoever fills it, or reads what was written.
    pub fn path(&self) -> PathBuf {
        self.tree.path().join(STATE_DIR).join("staging").join(&self.name).join("upper")
    }

    /// Moves the upper directory to `.onewriter/failed/NAME`, where nobody deletes it; where that
    /// is, absolute.
    ///
    /// # Errors
    /// What the filesystem says; then it is discarded.
    pub fn keep(self) -> Result<PathBuf, Error> {
        let keep = || {
            let state = self.tree.state();
            match mkdirat(state, KEPT, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                failed => return failed,
            }
            let kept = openat(state, KEPT, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            let upper = self.dir("upper")?;
            // It has the root's mode, which its owner may have closed to himself.
            let mode = fstat(&upper)?.st_mode & 0o7777;
            chmod_handle(upper.as_fd(), mode | OPEN)?;
            let _ = unlinkat(&upper, STATE_DIR, AtFlags::empty());
            renameat(&self.top, "upper", &kept, &*self.name)?;
            chmod_handle(upper.as_fd(), mode)
        };
        let path = self.tree.path().join(STATE_DIR).join(KEPT).join(&self.name);
        let shown = path.as_os_str().as_bytes();
        keep().map_err(|e| Error::io(shown, "cannot keep what a transaction left", e))?;
        Ok(path)
    }

    /// The tree that it belongs to.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// `x-…` itself.
    pub(super) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// One of the directories in it.
    pub(super) fn dir(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(&self.top, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
    }

    /// When it was made, by the filesystem's own clock.
    pub(super) fn birth(&self) -> Timespec {
        self.birth
    }

    /// From here on it holds what the tree needs back if the commit is not completed: whatever
    /// becomes of this process, it stays.
    pub(super) fn hold(&mut self) {
        self.discards = false;
    }

    /// The tree needs nothing of it any more.
    pub(super) fn release(&mut self) {
        self.discards = true;
    }

    /// Renames it to a name of what is to be deleted, in one step.
    pub(super) fn discard(&mut self) -> Result<(), Errno> {
        let staging = self.tree.staging();
        staging.discard(staging.handle(), self.name.as_bytes())?;
        self.discards = false;
        Ok(())
    }

    /// The same, where nobody has anything of it open: it may be used again.
    pub(super) fn discard_reusable(&mut self) -> Result<(), Errno> {
        self.tree.staging().discard_reusable(self.name.as_bytes())?;
        self.discards = false;
        Ok(())
    }
}

impl Drop for Upper {
    fn drop(&mut self) {
        if self.discards {
            let _ = self.discard();
        }
    }
}

fn make(tree: &Tree, name: &str) -> Result<OwnedFd, Errno> {
    mkdirat(tree.staging().handle(), name, Mode::RWXU)?;
    openat(tree.staging().handle(), name, DIRECTORY, Mode::empty())
}

/// Gives `upper` what the root wears, and to its owner.
fn dress_as(upper: BorrowedFd<'_>, root: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
    xattr::dress(&xattr::place(root, b"."), &xattr::place(upper, b"."))?;
    if owner(&fstat(upper)?) != owner(stat) {
        chown_handle(upper, owner(stat))?;
    }
    Ok(())
}

/// Whether `a` is later than `b`.
pub(super) fn later(a: Timespec, b: Timespec) -> bool {
    (a.tv_sec, a.tv_nsec) > (b.tv_sec, b.tv_nsec)
}

/// A failure that is of no path in particular.
pub(super) fn of_all(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::io(RelPath::ROOT.for_syscall(), what, errno)
}
