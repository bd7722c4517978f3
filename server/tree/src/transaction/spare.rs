//! Directories of transactions that are over, emptied and used again.
//!
//! To make one takes five inodes, and to delete it frees them. Filesystems do not like that: ext4
//! passes over an inode that was freed in the last minute, one by one, and so a build of many
//! transactions would make each the slower the more there were before. Spare ones wait in
//! `.onewriter/spare`, outside of staging, in which nothing is that is not in use.
//!
//! Only one whose client vouched that nobody has anything of it open is used again.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, statat},
    io::Errno,
};

use super::{
    record, walk,
    xattr::{self, place},
};
use crate::{
    path::STATE_DIR,
    staging::Staging,
    trash,
    tree::{DIRECTORY, Tree},
};

/// Below `.onewriter`.
const SPARE: &str = "spare";

/// As many as a large machine runs recipes at a time; more are deleted.
const MOST: usize = 64;

/// The spare ones of a root.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<String>>);

impl Spares {
    fn pop(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn has_room(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() < MOST
    }

    fn push(&self, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}

/// Moves a spare one into staging, as `name`, if there is one.
pub(super) fn take(tree: &Tree, name: &str) -> Option<OwnedFd> {
    let staging = tree.staging();
    let spare = staging.spares().pop()?;
    let from = openat(tree.state(), SPARE, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    renameat(&from, &*spare, staging.handle(), name).ok()?;
    openat(staging.handle(), name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).ok()
}

/// Empties `name`, which lies discarded in staging, and keeps it to be used again.
///
/// # Errors
/// Where there are enough, or it is not as it should be: then it is to be deleted.
pub(crate) fn keep(state: BorrowedFd<'_>, staging: &Staging, name: &str) -> Result<(), Errno> {
    if !staging.spares().has_room() {
        return Err(Errno::NOSPC);
    }
    let flags = DIRECTORY | OFlags::NOFOLLOW;
    let top = openat(staging.handle(), name, flags, Mode::empty())?;
    let dir = |name: &str| openat(&top, name, flags, Mode::empty());
    let upper = dir("upper")?;
    empty(dir("work")?.as_fd(), b"")?;
    empty(dir("gone")?.as_fd(), b"")?;
    empty(upper.as_fd(), STATE_DIR.as_bytes())?;
    let whiteout = statat(&upper, STATE_DIR, AtFlags::SYMLINK_NOFOLLOW)?;
    if !walk::is_whiteout(&whiteout) {
        return Err(Errno::INVAL);
    }
    xattr::strip(&place(upper.as_fd(), b"."))?;
    forget_record(&top)?;
    match mkdirat(state, SPARE, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let spare = openat(state, SPARE, flags, Mode::empty())?;
    renameat(staging.handle(), name, &spare, name)?;
    staging.spares().push(name.to_owned());
    Ok(())
}

/// Deletes the spare ones of earlier daemons: nobody knows how far they were emptied.
pub(crate) fn clear(state: BorrowedFd<'_>) -> Result<(), Errno> {
    trash::delete(state, SPARE.as_bytes())
}

/// Deletes all in a directory but `kept`.
fn empty(dir: BorrowedFd<'_>, kept: &[u8]) -> Result<(), Errno> {
    let names = trash::list(dir)?;
    names.iter().filter(|name| **name != kept).try_for_each(|name| trash::delete(dir, name))
}

/// An empty record says that nothing has begun.
fn forget_record(top: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(top, record::FILE, flags, Mode::empty()) {
        Ok(file) => rustix::fs::ftruncate(File::from(file), 0),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}
