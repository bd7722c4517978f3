//! Where content comes from.

use std::{
    ffi::OsString,
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, renameat, statat, unlinkat},
    io::Errno,
};

use super::place::{Step, place};
use crate::{
    error::{Error, Reason},
    mutation::{Access, Claim, Deed, Effects, Outcome, moving, remove::remove_file},
    path::RelPath,
    staging::Staged,
    tree::{Dir, Fault, Last, Tree, describe, rename_new},
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
                Some(Claim::exclusive(path, Last::Keep, Deed::Rename))
            }
            Self::InTree { path, consume: false } => {
                let (access, last) = (Access::Shared, Last::Follow);
                Some(Claim { path, access, last, deed: Deed::Read })
            }
            Self::Local { .. } | Self::Staged(_) => None,
        }
    }

    /// Opens it for reading, to be published at `target`. Only regular files will do, and a
    /// symbolic link to one only if it is not to be used up: what would become of the link?
    pub(super) fn open(&mut self, tree: &Tree, target: &RelPath) -> Result<(File, Stat), Fault> {
        let file = match self {
            Self::Staged(staged) => staged
                .file()
                .try_clone()
                .map_err(|e| refuse(target, STAGED, &format!("cannot be read: {e}")))?,
            Self::Local { path, consume } => {
                let file = open_at(CWD, path.as_bytes(), *consume)
                    .map_err(|why| refuse(target, path.as_bytes(), &why))?;
                if let Some(below) = tree.place_of(file.as_fd()) {
                    // Spelled like one outside, it lies in the tree after all: its lock is needed.
                    *self = Self::InTree { path: RelPath::parse(&below)?, consume: *consume };
                    return Err(Fault::Moved);
                }
                file
            }
            Self::InTree { path, consume } => open_in_tree(tree, path, *consume, target)?,
        };
        let stat = fstat(&file).map_err(|e| refuse(target, self.shown(), &unreadable(e)))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((file, stat)),
            kind => Err(refuse(target, self.shown(), &not_regular(kind))),
        }
    }

    /// Whether it is the very name that it is to be published at.
    pub(super) fn is_at(&self, target: &RelPath) -> bool {
        matches!(self, Self::InTree { path, .. } if path == target)
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
        let rename = |from_dir: BorrowedFd<'_>, from: &[u8]| match must_create {
            true => rename_new((from_dir, from), (dir.as_fd(), name)),
            false => renameat(from_dir, from, dir, name),
        };
        match self {
            Self::Local { path, .. } => rename(CWD, path.as_bytes())?,
            Self::InTree { path, .. } => {
                let (from_dir, from) = tree.parent(path)?;
                rename(from_dir.as_fd(), from)?;
                effects.record(path, Outcome::Removed);
                effects.touched(&from_dir)?;
            }
            Self::Staged(staged) => {
                place(staged, dir, name, must_create, effects.is_durable())?;
            }
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
                // What it was for is done: nothing may send us back to do it again.
                let (dir, name) = tree.parent(path).map_err(|fault| match fault {
                    Fault::Failed(error) => error,
                    Fault::Moved => moving(path),
                })?;
                tree.guard(path)?;
                remove_file(tree, &dir, name).map_err(fail)?;
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
            Self::Staged(_) => STAGED,
        }
    }
}

// NONBLOCK: opening a fifo must not wait for its other end.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What a source in staging is called.
const STAGED: &[u8] = b"(staging)";

fn open_in_tree(
    tree: &Tree,
    path: &RelPath,
    consume: bool,
    target: &RelPath,
) -> Result<File, Fault> {
    let (dir, name) = tree.parent(path).map_err(|fault| match fault {
        Fault::Failed(e) if e.reason != Reason::RootGone => {
            refuse(target, e.component.as_deref().unwrap_or(&e.path), &e.what)
        }
        fault => fault,
    })?;
    match openat(&dir, name, READ | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(Errno::LOOP) if !consume => Err(Fault::Moved),
        Err(errno) => Err(refuse(target, path.as_bytes(), &why_not(&dir, name, true, errno))),
    }
}

/// Opens a local source; else says why not.
fn open_at(dir: BorrowedFd<'_>, path: &[u8], nofollow: bool) -> Result<File, String> {
    let last = if nofollow { OFlags::NOFOLLOW } else { OFlags::empty() };
    match openat(dir, path, READ | last, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(errno) => Err(why_not(dir, path, nofollow, errno)),
    }
}

/// Why what could not be opened could not: because of what it is, if it is no regular file.
fn why_not(dir: impl AsFd, name: &[u8], nofollow: bool, errno: Errno) -> String {
    let last = if nofollow { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    match statat(dir, name, last).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(kind) if kind != FileType::RegularFile => not_regular(kind),
        _ => unreadable(errno),
    }
}

fn not_regular(kind: FileType) -> String {
    format!("is {}, not a regular file", describe(kind))
}

fn unreadable(errno: Errno) -> String {
    match errno {
        Errno::NOENT => "does not exist".into(),
        Errno::ACCESS => "cannot be read: permission denied".into(),
        errno => format!("cannot be read: {}", std::io::Error::from(errno)),
    }
}

fn refuse(target: &RelPath, source: &[u8], why: &str) -> Fault {
    Error::new(Reason::Source, target.for_syscall(), why).at(source).into()
}
