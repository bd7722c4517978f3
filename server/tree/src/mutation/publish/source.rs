//! Where content comes from.

use std::{ffi::OsString, fs::File, os::unix::ffi::OsStrExt as _};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat, fstat, open, openat, renameat,
        renameat_with, unlinkat,
    },
    io::Errno,
};

use crate::{
    error::{Error, Reason},
    mutation::{Access, Claim, Effects, Outcome},
    path::RelPath,
    staging::Staged,
    tree::{Dir, Fault, Last, Tree, describe},
};

/// Where content comes from.
#[derive(Debug)]
pub enum Source {
    /// A file of this machine, by an absolute path that may lie anywhere.
    Local {
        /// The path.
        path: OsString,
        /// Rename it into place where that is possible; else remove it when it was copied.
        consume: bool,
    },
    /// A file of the tree.
    InTree {
        /// The path.
        path: RelPath,
        /// As for `Local`.
        consume: bool,
    },
    /// A file in staging. It is always used up.
    Staged(Staged),
}

impl Source {
    /// Whether it is gone when it was published.
    pub(super) fn is_consumed(&self) -> bool {
        match self {
            Self::Local { consume, .. } | Self::InTree { consume, .. } => *consume,
            Self::Staged(_) => true,
        }
    }

    /// The lock that it needs: its own if it lies in the tree.
    pub(super) fn claim(&mut self) -> Option<Claim<'_>> {
        match self {
            Self::InTree { path, consume: true } => {
                Some(Claim { path, access: Access::Exclusive, last: Last::Keep })
            }
            Self::InTree { path, consume: false } => {
                Some(Claim { path, access: Access::Shared, last: Last::Follow })
            }
            Self::Local { .. } | Self::Staged(_) => None,
        }
    }

    /// Opens it for reading, to be published at `target`. Only regular files will do.
    pub(super) fn open(&self, tree: &Tree, target: &RelPath) -> Result<(File, Stat), Fault> {
        let file = match self {
            Self::Staged(staged) => staged
                .file()
                .try_clone()
                .map_err(|e| refuse(target, b"(staging)", &e.to_string()))?,
            Self::Local { path, .. } => open(path, READ, Mode::empty())
                .map_err(|e| refuse(target, path.as_bytes(), &unreadable(e)))?
                .into(),
            Self::InTree { path, consume } => self.open_in_tree(tree, path, *consume, target)?,
        };
        let stat = fstat(&file).map_err(|e| refuse(target, self.shown(), &unreadable(e)))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((file, stat)),
            kind => {
                let why = format!("is {}, not a regular file", describe(kind));
                Err(refuse(target, self.shown(), &why))
            }
        }
    }

    fn open_in_tree(
        &self,
        tree: &Tree,
        path: &RelPath,
        consume: bool,
        target: &RelPath,
    ) -> Result<File, Fault> {
        let (dir, name) = tree.parent(path).map_err(|fault| match fault {
            Fault::Failed(e) => refuse(target, e.component.as_deref().unwrap_or(&e.path), &e.what),
            Fault::Moved => Fault::Moved,
        })?;
        match openat(&dir, name, READ | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) => Ok(file.into()),
            // The content is meant, unless the name is to go: then what would become of the link?
            Err(Errno::LOOP) if !consume && tree.canonicalize(path, Last::Follow)? != *path => {
                Err(Fault::Moved)
            }
            Err(Errno::LOOP) => Err(refuse(target, path.as_bytes(), "is a symbolic link")),
            Err(errno) => Err(refuse(target, path.as_bytes(), &unreadable(errno))),
        }
    }

    /// Moves the source itself to `name` in `dir`.
    pub(super) fn rename(
        &mut self,
        tree: &Tree,
        dir: &Dir<'_>,
        name: &[u8],
        must_create: bool,
        effects: &mut Effects,
    ) -> Result<(), Step> {
        let rename = |from_dir: std::os::fd::BorrowedFd<'_>, from: &[u8]| match must_create {
            true => renameat_with(from_dir, from, dir, name, RenameFlags::NOREPLACE),
            false => renameat(from_dir, from, dir, name),
        };
        match self {
            Self::Local { path, .. } => rename(CWD, path.as_bytes())?,
            Self::InTree { path, .. } => {
                let (from_dir, from) = tree.parent(path)?;
                rename(std::os::fd::AsFd::as_fd(&from_dir), from)?;
                effects.record(path, Outcome::Removed);
                effects.touched(&from_dir)?;
            }
            Self::Staged(staged) => put(staged, dir, name, must_create)?,
        }
        Ok(())
    }

    /// Removes a source that is to be used up and was copied, or was not needed at all.
    pub(super) fn drop_used(
        &self,
        tree: &Tree,
        target: &RelPath,
        effects: &mut Effects,
    ) -> Result<(), Fault> {
        let fail =
            |e| Error::io(target.for_syscall(), "cannot remove the source that was used up", e);
        match self {
            Self::Local { path, consume: true } => {
                unlinkat(CWD, path, AtFlags::empty()).map_err(fail)?;
            }
            Self::InTree { path, consume: true } if path != target => {
                let (dir, name) = tree.parent(path)?;
                unlinkat(&dir, name, AtFlags::empty()).map_err(fail)?;
                effects.record(path, Outcome::Removed);
                effects.touched(&dir)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn shown(&self) -> &[u8] {
        match self {
            Self::Local { path, .. } => path.as_bytes(),
            Self::InTree { path, .. } => path.as_bytes(),
            Self::Staged(_) => b"(staging)",
        }
    }
}

/// A step of placing content: a system call's failure, or one that is explained already.
pub(super) enum Step {
    Errno(Errno),
    Fault(Fault),
}

impl From<Errno> for Step {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Fault> for Step {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Puts a staged file at `name` in `dir`, in the place of what is there unless it `must_create`.
pub(super) fn put(
    staged: &mut Staged,
    dir: &Dir<'_>,
    name: &[u8],
    must_create: bool,
) -> Result<(), Errno> {
    let dir = std::os::fd::AsFd::as_fd(dir);
    // A nameless file can take a free name at once. A named one is moved over whatever is there.
    if must_create || staged.name().is_none() {
        match staged.place_new(dir, name) {
            Err(Errno::EXIST) if !must_create => {}
            done => return done,
        }
    }
    staged.place_over(dir, name)
}

// NONBLOCK: opening a fifo must not wait for its other end.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

fn unreadable(errno: Errno) -> String {
    format!("cannot be read: {}", std::io::Error::from(errno))
}

fn refuse(target: &RelPath, source: &[u8], why: &str) -> Fault {
    Error::new(Reason::Source, target.for_syscall(), why).at(source).into()
}
