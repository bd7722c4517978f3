//! Removing a file, a directory, or a whole tree.

use std::os::fd::AsFd as _;

use rustix::{
    fs::{AtFlags, FileType, fstat, unlinkat},
    io::Errno,
};

use super::{Claim, Deed, Effects, Mutation, Outcome};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    trash,
    tree::{Dir, Fault, Last, Tree, chmod_handle},
};

/// Removes what is at `path`; a symbolic link itself.
#[derive(Debug)]
pub struct Remove {
    /// What is to go. The root itself is refused.
    pub path: RelPath,
    /// A directory goes with everything below it, in one step.
    pub recursive: bool,
    /// Nothing there is no error.
    pub allow_missing: bool,
    /// An empty directory goes too.
    pub directory: bool,
}

impl Mutation for Remove {
    fn method(&self) -> &'static str {
        "remove"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim::exclusive(&mut self.path, Last::Keep, Deed::Remove)]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let (dir, name) = match tree.parent(&self.path) {
            Err(Fault::Failed(e)) if e.reason == Reason::NotFound && self.allow_missing => {
                effects.record(&self.path, Outcome::Absent);
                return Ok(());
            }
            found => found?,
        };
        let shown = self.path.for_syscall();
        let found = tree.look(&dir, name, &self.path)?;
        tree.guard(&self.path)?;
        let removed = match found {
            None if self.allow_missing => {
                effects.record(&self.path, Outcome::Absent);
                return Ok(());
            }
            None => return Err(Error::new(Reason::NotFound, shown, "it does not exist").into()),
            Some(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
                remove_file(tree, &dir, name)
            }
            Some(_) if self.recursive => remove_tree(tree, &dir, name),
            Some(_) if self.directory => unlinkat(&dir, name, AtFlags::REMOVEDIR),
            Some(_) => {
                return Err(Error::new(Reason::IsADirectory, shown, "it is a directory").into());
            }
        };
        match removed {
            Ok(()) => {
                effects.record(&self.path, Outcome::Removed);
                effects.touched(&dir)
            }
            Err(Errno::NOENT) => Err(tree.vanished(&self.path)),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                Err(Error::new(Reason::NotEmpty, shown, "the directory is not empty").into())
            }
            Err(errno) => Err(Error::io(shown, "cannot remove it", errno).into()),
        }
    }
}

/// Removes what is no directory. The caller has just asked whether the tree is still ours.
pub(super) fn remove_file(tree: &Tree, dir: &Dir<'_>, name: &[u8]) -> Result<(), Errno> {
    // What a lost owner removes cannot get into a staging that is gone.
    match tree.is_fenced() {
        true => remove_tree(tree, dir, name),
        false => unlinkat(dir, name, AtFlags::empty()),
    }
}

/// In one step into staging, from where it is deleted later. Where that is not possible (a
/// directory of a lower overlay layer, or on another filesystem), entry by entry in its place.
fn remove_tree(tree: &Tree, dir: &Dir<'_>, name: &[u8]) -> Result<(), Errno> {
    match tree.staging().discard(dir.as_fd(), name) {
        Err(Errno::XDEV) => trash::delete(dir.as_fd(), name),
        // To move a directory, one must be allowed to write to it.
        Err(Errno::ACCESS) => discard_unlocked(tree, dir, name),
        done => done,
    }
}

/// Moves a directory that its owner closed, as they are opened below it when it is deleted.
fn discard_unlocked(tree: &Tree, dir: &Dir<'_>, name: &[u8]) -> Result<(), Errno> {
    let closed = dir.below(name)?;
    let mode = fstat(&closed)?.st_mode & 0o7777;
    if mode & 0o200 != 0 || chmod_handle(closed.as_fd(), mode | 0o700).is_err() {
        return Err(Errno::ACCESS);
    }
    tree.staging().discard(dir.as_fd(), name).inspect_err(|_| {
        let _ = chmod_handle(closed.as_fd(), mode);
    })
}
