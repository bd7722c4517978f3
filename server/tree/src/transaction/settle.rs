//! Making what is in an upper directory what it is to be in the tree, before any of it gets there.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, Stat, Uid, chownat, fchmod, fstat, linkat, mkdirat, openat,
        renameat, statat, unlinkat,
    },
    io::Errno,
};

use super::{
    judge::{Fate, Verdict},
    plan::{How, Unit},
    step::{Owner, chown_handle, inode_at, set_mtime},
    walk::{self, Contents, Entry, Folder, Kind},
    xattr,
};
use crate::{
    content,
    error::Error,
    path::RelPath,
    tree::{DIRECTORY, chmod_handle},
};

/// The name in the transaction's directory of what is about to be renamed over something in
/// `upper`.
const FRESH: &str = "fresh";

/// What the names there begin with of directories that were replaced.
const STALE: &str = "stale-";

pub(super) struct Settler<'a> {
    pub contents: &'a Contents,
    pub verdict: &'a Verdict,
    /// The transaction's directory.
    pub top: BorrowedFd<'a>,
    pub upper: Folder<'a>,
    pub tree: Folder<'a>,
    /// Place copies of files, in directories of their own.
    pub copy: bool,
    /// Where a file of several names was copied to first.
    pub copied: HashMap<u64, RelPath>,
    /// Entries that are another file than they were.
    pub other: HashSet<usize>,
}

impl Settler<'_> {
    /// Returns the entries that have become another file than the one that was found there.
    pub(super) fn settle(mut self, units: &[Unit]) -> Result<HashSet<usize>, Error> {
        for (unit, fate) in units.iter().zip(&self.verdict.fates) {
            if !matches!(fate, Fate::Create | Fate::Replace { .. }) {
                continue;
            }
            let end = match unit.how {
                How::Whole => self.contents.entries[unit.entry].end,
                _ => unit.entry + 1,
            };
            // The other way round: a directory gets its mode and time when all in it is settled.
            for index in (unit.entry..end).rev() {
                let entry = &self.contents.entries[index];
                self.entry(index, entry).map_err(|errno| {
                    Error::io(entry.path.for_syscall(), "cannot prepare it for its place", errno)
                })?;
            }
        }
        Ok(self.other)
    }

    fn entry(&mut self, index: usize, entry: &Entry) -> Result<(), Errno> {
        match entry.kind {
            // In a directory that is not merged there is nothing to be removed.
            Kind::Whiteout => {
                let (dir, name) = self.upper.of(&entry.path)?;
                return match unlinkat(dir, name, AtFlags::empty()) {
                    Err(Errno::NOENT) => Ok(()),
                    done => done,
                };
            }
            Kind::Directory { .. } => {
                if self.copy {
                    self.fresh_directory(index, entry)?;
                }
                return self.directory(entry);
            }
            Kind::Other(_) => {}
        }
        if let Some((path, inode)) = self.verdict.links.get(&index) {
            self.other.insert(index);
            match self.link(entry, path, *inode) {
                // One that may not have (more) links: the command's own will do.
                Err(Errno::PERM | Errno::MLINK) => {}
                done => return done,
            }
        }
        if !entry.is_file() {
            return Ok(());
        }
        if self.copy {
            self.other.insert(index);
            return self.copy(entry);
        }
        if !entry.marked {
            return Ok(());
        }
        let (dir, name) = self.upper.of(&entry.path)?;
        xattr::strip(&xattr::place(dir, name))
    }

    fn directory(&mut self, entry: &Entry) -> Result<(), Errno> {
        let (dir, name) = self.upper.of(&entry.path)?;
        xattr::strip(&xattr::place(dir, name))?;
        let now = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if walk::mtime(&now) == entry.mtime() && now.st_mode == entry.stat.st_mode {
            return Ok(());
        }
        let handle = openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        set_mtime(handle.as_fd(), entry.mtime())?;
        chmod_handle(handle.as_fd(), entry.mode())
    }

    /// Has all in the directory `entry` move to a new one, which nobody else stands in: who still
    /// sees the old one through an overlay would else write to the tree when it is there.
    fn fresh_directory(&mut self, index: usize, entry: &Entry) -> Result<(), Errno> {
        mkdirat(self.top, FRESH, Mode::RWXU)?;
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let fresh = openat(self.top, FRESH, flags, Mode::empty())?;
        let (parent, name) = self.upper.of(&entry.path)?;
        let old = openat(parent, name, flags, Mode::empty())?;
        let (below, mut at) = (self.contents.below(index), index + 1);
        while below.contains(&at) {
            let child = &self.contents.entries[at];
            at = child.end;
            if child.kind != Kind::Whiteout
                && let Some((_, name)) = child.path.split()
            {
                let closed = child.is_directory() && child.mode() & walk::OPEN != walk::OPEN;
                if closed {
                    open_to_move(old.as_fd(), name, child.mode() | walk::OPEN)?;
                }
                renameat(&old, name, &fresh, name)?;
                if closed {
                    open_to_move(fresh.as_fd(), name, child.mode())?;
                }
            }
        }
        own_as(fresh.as_fd(), &entry.stat)?;
        xattr::copy(&xattr::place(parent, name), &xattr::place(self.top, FRESH.as_bytes()))?;
        chmod_handle(fresh.as_fd(), entry.mode() | walk::OPEN)?;
        renameat(parent, name, self.top, format!("{STALE}{index}"))?;
        renameat(self.top, FRESH, parent, name)
    }

    /// Has `entry` be a link of what is at `path` in the tree.
    fn link(&mut self, entry: &Entry, path: &RelPath, inode: u64) -> Result<(), Errno> {
        let (dir, name) = self.upper.of(&entry.path)?;
        if inode_at((dir, name))? == Some(inode) {
            return Ok(());
        }
        let (from, from_name) = self.tree.of(path)?;
        make_room(self.top)?;
        linkat(from, from_name, self.top, FRESH, AtFlags::empty())?;
        renameat(self.top, FRESH, dir, name)
    }

    /// Has `entry` be a copy of itself, which nobody else has open.
    fn copy(&mut self, entry: &Entry) -> Result<(), Errno> {
        if let Some(first) = self.copied.get(&entry.stat.st_ino) {
            let mut again = Folder::new(self.upper.base());
            let (from, from_name) = again.of(first)?;
            make_room(self.top)?;
            linkat(from, from_name, self.top, FRESH, AtFlags::empty())?;
        } else {
            self.copy_fresh(entry)?;
        }
        let (dir, name) = self.upper.of(&entry.path)?;
        renameat(self.top, FRESH, dir, name)?;
        if entry.stat.st_nlink > 1 {
            self.copied.entry(entry.stat.st_ino).or_insert_with(|| entry.path.clone());
        }
        Ok(())
    }

    fn copy_fresh(&mut self, entry: &Entry) -> Result<(), Errno> {
        make_room(self.top)?;
        let (dir, name) = self.upper.of(&entry.path)?;
        let from = open_to_read(dir, name, entry)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let to: File = openat(self.top, FRESH, flags, Mode::RUSR | Mode::WUSR)?.into();
        content::copy(&from, &to, entry.stat.st_size as u64)?;
        own_as(to.as_fd(), &entry.stat)?;
        xattr::copy(&xattr::place(dir, name), &xattr::place(self.top, FRESH.as_bytes()))?;
        fchmod(&to, Mode::from_raw_mode(entry.mode()))?;
        set_mtime(to.as_fd(), entry.mtime())
    }
}

/// Gives what was made the owners of what it is made after.
fn own_as(made: BorrowedFd<'_>, like: &Stat) -> Result<(), Errno> {
    let now = fstat(made)?;
    if (now.st_uid, now.st_gid) == (like.st_uid, like.st_gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    // The handle of a directory may be one that only names it.
    chownat(made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
}

/// Opens a file whose owner may have closed it to himself.
fn open_to_read(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let handle = openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
            chmod_handle(handle.as_fd(), entry.mode() | 0o400)?;
            openat(dir, name, flags, Mode::empty()).map(File::from)
        }
        opened => opened.map(File::from),
    }
}

/// Removes what an attempt that failed left.
fn make_room(top: BorrowedFd<'_>) -> Result<(), Errno> {
    match unlinkat(top, FRESH, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// Sets the mode of a directory of the upper one: its owner needs it open to move it.
pub(super) fn open_to_move(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<(), Errno> {
    let handle = openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
    chmod_handle(handle.as_fd(), mode)
}

/// Has the directory `name` in `gone` wear what `from` does. Given an owner, it belongs to him: to
/// whom it cannot be given now, it could not be given back later.
pub(super) fn carry(
    gone: BorrowedFd<'_>,
    name: &str,
    from: &[u8],
    owner: Option<Owner>,
) -> Result<(), Errno> {
    match mkdirat(gone, name, Mode::RWXU) {
        // An attempt that failed left it.
        Ok(()) | Err(Errno::EXIST) => {}
        failed => return failed,
    }
    xattr::dress(from, &xattr::place(gone, name.as_bytes()))?;
    let Some(owner) = owner else { return Ok(()) };
    let handle = openat(gone, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
    chown_handle(handle.as_fd(), owner)
}
