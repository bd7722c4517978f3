//! Filling a transaction's upper directory with what comes from another machine, where a command has
//! left it in one.
//!
//! Every path is resolved below the upper directory, no symbolic link being followed: whatever is
//! sent, nothing is written elsewhere.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, futimens, linkat, mkdirat,
        mknodat, symlinkat,
    },
    io::Errno,
};

use super::{
    upper::{Upper, of_all},
    walk::{Folder, OPEN, kind},
    xattr,
};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    staging::Staged,
    tree::{Tree, chmod_handle},
};

/// A hand in a transaction's upper directory.
#[derive(Debug)]
pub struct Filler {
    tree: Tree,
    upper: OwnedFd,
    /// Directories that are to be closed to their owner when all is in them.
    closed: Vec<(RelPath, u32)>,
}

/// The mode that something is to have.
#[derive(Clone, Copy, Debug)]
pub struct Wear {
    /// The twelve permission bits.
    pub mode: u32,
    /// Only where the tree has nothing of that kind at the path: else its mode stays.
    pub yields: bool,
}

impl Upper {
    /// A hand in it, which may outlive it; what it does then is lost.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn filler(&self) -> Result<Filler, Error> {
        let upper = self.dir("upper").map_err(of_all("cannot open a transaction's directory"))?;
        let tree = self.tree().try_clone().map_err(of_all("cannot open the build root"))?;
        Ok(Filler { tree, upper, closed: Vec::new() })
    }
}

impl Filler {
    /// Makes a directory; an `opaque` one replaces what is there, with all that is in it.
    ///
    /// # Errors
    /// Where something is at the path already, or it has no directory; what the filesystem says.
    pub fn directory(&mut self, path: &RelPath, wear: Wear, opaque: bool) -> Result<(), Error> {
        let mode = self.mode(path, wear, FileType::Directory)? & 0o7777;
        self.at(path, |dir, name| {
            mkdirat(dir, name, Mode::from_raw_mode(OPEN))?;
            if opaque {
                xattr::mark_opaque(&xattr::place(dir, name))?;
            }
            let made = rustix::fs::openat(dir, name, crate::tree::DIRECTORY, Mode::empty())?;
            chmod_handle(made.as_fd(), mode | OPEN)
        })?;
        if mode & OPEN != OPEN {
            self.closed.push((path.clone(), mode));
        }
        Ok(())
    }

    /// Puts a file there.
    ///
    /// # Errors
    /// As for [`Filler::directory`].
    pub fn file(
        &self,
        path: &RelPath,
        mut staged: Staged,
        wear: Wear,
        mtime: Option<Timespec>,
    ) -> Result<(), Error> {
        let mode = self.mode(path, wear, FileType::RegularFile)?;
        self.at(path, |dir, name| {
            rustix::fs::fchmod(staged.file(), Mode::from_raw_mode(mode & 0o7777))?;
            if let Some(last_modification) = mtime {
                let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
                futimens(staged.file(), &Timestamps { last_access, last_modification })?;
            }
            staged.place_new(dir, name)
        })
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// As for [`Filler::directory`].
    pub fn symlink(&self, path: &RelPath, target: &[u8]) -> Result<(), Error> {
        self.at(path, |dir, name| symlinkat(target, dir, name))
    }

    /// Gives the file at `to`, which has come before, another name.
    ///
    /// # Errors
    /// As for [`Filler::directory`].
    pub fn link(&self, path: &RelPath, to: &RelPath) -> Result<(), Error> {
        let mut from = Folder::new(self.upper.as_fd());
        self.at(path, |dir, name| {
            let (from, old) = from.of(to)?;
            linkat(from, old, dir, name, AtFlags::empty())
        })
    }

    /// Notes that what is there is to go.
    ///
    /// # Errors
    /// As for [`Filler::directory`].
    pub fn remove(&self, path: &RelPath) -> Result<(), Error> {
        self.at(path, |dir, name| mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0))
    }

    /// All is in it.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn finish(&mut self) -> Result<(), Error> {
        // The innermost first: through a closed one there is no way.
        for (path, mode) in std::mem::take(&mut self.closed).into_iter().rev() {
            self.at(&path, |dir, name| {
                let closed = rustix::fs::openat(dir, name, crate::tree::DIRECTORY, Mode::empty())?;
                chmod_handle(closed.as_fd(), mode)
            })?;
        }
        Ok(())
    }

    fn at(
        &self,
        path: &RelPath,
        act: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<(), Errno>,
    ) -> Result<(), Error> {
        let refuse = |why: &str| Error::new(Reason::BadRequest, path.for_syscall(), why);
        if path.is_root() {
            return Err(refuse("the build root itself is no part of a transaction"));
        }
        let mut folder = Folder::new(self.upper.as_fd());
        let done = folder.of(path).and_then(|(dir, name)| act(dir, name));
        done.map_err(|errno| match errno {
            Errno::EXIST => refuse("it is in the transaction already"),
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
                refuse("what it needs (its directory, or the file that it is to be a name of) did not come before it")
            }
            errno => Error::io(path.for_syscall(), "cannot keep what is to become of it", errno),
        })
    }

    fn mode(&self, path: &RelPath, wear: Wear, of: FileType) -> Result<u32, Error> {
        if !wear.yields {
            return Ok(wear.mode);
        }
        let fail = |errno| Error::io(path.for_syscall(), "cannot look at it", errno);
        let root = self.tree.dir(b"").map_err(fail)?;
        let there = Folder::new(root.as_fd()).look(path).map_err(fail)?;
        let own = there.filter(|stat| kind(stat) == of);
        Ok(own.map_or(wear.mode, |stat| stat.st_mode))
    }
}
