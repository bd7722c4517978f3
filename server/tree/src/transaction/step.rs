//! The steps of a commit: each one act on the tree, and each leaves evidence on the disk of whether
//! it was done, so that it can be done or undone any number of times.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::{
    fs::{
        AtFlags, CWD, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT, Uid,
        chownat, fstat, linkat, openat, renameat, renameat_with, statat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::{walk::Folder, xattr};
use crate::{
    fault,
    path::RelPath,
    tree::{Tree, chmod_handle, proc_path, rename_new},
};

/// What a step may change in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub mode: u32,
    pub mtime: Timespec,
}

/// User and group.
pub(super) type Owner = (u32, u32);

/// One act. `inode` says which thing it is about, and so whether it has happened; `old` what it
/// takes the place of, so that what somebody else put there later is left alone; `slot` is a name in
/// `gone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The upper directory's moves to where nothing is.
    Create { path: RelPath, inode: u64 },
    /// The upper directory's is exchanged with what is there.
    Replace { path: RelPath, inode: u64, old: u64, slot: u32 },
    /// What is there goes.
    Remove { path: RelPath, old: u64, slot: u32 },
    /// Where `old` and `new` differ, in place.
    Attributes { path: RelPath, inode: u64, old: Attributes, new: Attributes },
    /// A directory that stays changes its owner and group, and wears what the upper directory's
    /// does; what it wore is on a directory in `gone`. `mode` is what it has meanwhile: access
    /// control lists have a part in it.
    Dress { path: RelPath, inode: u64, slot: u32, mode: u32, old: Owner, new: Owner },
    /// The time of a directory in which something is about to change: set when all of that was
    /// undone.
    Before { path: RelPath, inode: u64, mtime: Timespec },
    /// The time of a directory when all in it was changed.
    After { path: RelPath, inode: u64, mtime: Timespec },
}

impl Step {
    /// What it is about.
    pub(super) fn path(&self) -> &RelPath {
        match self {
            Self::Create { path, .. }
            | Self::Replace { path, .. }
            | Self::Remove { path, .. }
            | Self::Attributes { path, .. }
            | Self::Dress { path, .. }
            | Self::Before { path, .. }
            | Self::After { path, .. } => path,
        }
    }

    /// Whether it takes more than one system call, between which a process may die.
    pub(super) fn is_compound(&self) -> bool {
        matches!(self, Self::Dress { .. })
    }

    /// Whether more than a directory's time depends on it.
    pub(super) fn is_essential(&self) -> bool {
        !matches!(self, Self::Before { .. } | Self::After { .. })
    }
}

/// Where the steps happen.
pub(super) struct Stage<'s> {
    tree: Folder<'s>,
    upper: Folder<'s>,
    gone: BorrowedFd<'s>,
    owned: &'s Tree,
}

type At<'a> = (BorrowedFd<'a>, &'a [u8]);

impl<'s> Stage<'s> {
    pub(super) fn new(
        owned: &'s Tree,
        root: BorrowedFd<'s>,
        upper: BorrowedFd<'s>,
        gone: BorrowedFd<'s>,
    ) -> Self {
        Self { tree: Folder::new(root), upper: Folder::new(upper), gone, owned }
    }

    /// Does the step, unless it is done.
    pub(super) fn run(&mut self, step: &Step) -> Result<(), Errno> {
        check(self.owned)?;
        match step {
            Step::Create { path, inode } => self.create(path, *inode),
            Step::Replace { path, inode, old, slot } => self.replace(path, *inode, *old, *slot),
            Step::Remove { path, old, slot } => self.remove(path, *old, *slot),
            Step::Attributes { path, inode, old, new } => self.set(path, *inode, old, new),
            Step::Dress { path, inode, mode, old, new, .. } => {
                let (dir, name) = self.upper.of(path)?;
                let from = xattr::place(dir, name);
                self.dress(path, *inode, *mode, &from, (*old, *new))
            }
            Step::Before { .. } => Ok(()),
            Step::After { path, inode, mtime } => self.set_time(path, *inode, *mtime),
        }
    }

    /// Takes the step back, unless it is not done.
    pub(super) fn undo(&mut self, step: &Step) -> Result<(), Errno> {
        check(self.owned)?;
        match step {
            Step::Create { path, inode } => {
                let (upper, tree) = (self.upper.of(path)?, self.tree.of(path)?);
                if !has(tree, *inode)? {
                    return Ok(());
                }
                if has(upper, *inode)? {
                    // Where it takes a link and an unlink to move a file.
                    return unlinkat(tree.0, tree.1, AtFlags::empty());
                }
                rename_new(tree, upper)
            }
            Step::Replace { path, inode, slot, .. } => self.undo_replace(path, *inode, *slot),
            Step::Remove { path, slot, .. } => {
                let slot = slot.to_string();
                if !is_there((self.gone, slot.as_bytes()))? {
                    return Ok(());
                }
                rename_new((self.gone, slot.as_bytes()), self.tree.of(path)?)
            }
            Step::Attributes { path, inode, old, new } => self.set(path, *inode, new, old),
            Step::Dress { path, inode, slot, mode, old, new } => {
                let from = xattr::place(self.gone, carrier(*slot).as_bytes());
                self.dress(path, *inode, *mode, &from, (*new, *old))
            }
            Step::Before { path, inode, mtime } => self.set_time(path, *inode, *mtime),
            Step::After { .. } => Ok(()),
        }
    }

    fn create(&mut self, path: &RelPath, inode: u64) -> Result<(), Errno> {
        let (upper, tree) = (self.upper.of(path)?, self.tree.of(path)?);
        match rename_new(upper, tree) {
            Err(Errno::EXIST | Errno::NOENT) if has(tree, inode)? => {
                if has(upper, inode)? {
                    unlinkat(upper.0, upper.1, AtFlags::empty())?;
                }
                Ok(())
            }
            done => done,
        }
    }

    fn replace(&mut self, path: &RelPath, inode: u64, old: u64, slot: u32) -> Result<(), Errno> {
        let (upper, tree) = (self.upper.of(path)?, self.tree.of(path)?);
        let slot = slot.to_string();
        let gone = (self.gone, slot.as_bytes());
        match inode_at(tree)? {
            Some(there) if there == inode => return Ok(()),
            Some(there) if there != old => return Err(Errno::STALE),
            _ => {}
        }
        match exchange(upper, tree) {
            Err(errno) if errno == Errno::NOENT || cannot_exchange(errno) => {}
            done => return done,
        }
        if rename_over(upper, tree, gone)? {
            return Ok(());
        }
        check(self.owned)?;
        match rename_new(tree, gone) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        crate::fault::point("replace.between")?;
        rename_new(upper, tree)
    }

    fn remove(&mut self, path: &RelPath, old: u64, slot: u32) -> Result<(), Errno> {
        let tree = self.tree.of(path)?;
        let slot = slot.to_string();
        let gone = (self.gone, slot.as_bytes());
        match inode_at(tree)? {
            Some(there) if there == old => rename_new(tree, gone),
            Some(_) if !is_there(gone)? => Err(Errno::STALE),
            // Done before, or somebody else did it.
            _ => Ok(()),
        }
    }

    fn undo_replace(&mut self, path: &RelPath, inode: u64, slot: u32) -> Result<(), Errno> {
        let (upper, tree) = (self.upper.of(path)?, self.tree.of(path)?);
        let slot = slot.to_string();
        let gone = (self.gone, slot.as_bytes());
        let placed = has(tree, inode)?;
        if let Some(old) = inode_at(gone)? {
            if has(tree, old)? {
                return unlinkat(gone.0, gone.1, AtFlags::empty());
            }
            if placed {
                if rename_over(gone, tree, upper)? {
                    return Ok(());
                }
                rename_new(tree, upper)?;
            }
            return rename_new(gone, tree);
        }
        if !placed {
            return Ok(());
        }
        match exchange(upper, tree) {
            // There was nothing any more when it was to be replaced.
            Err(Errno::NOENT) => rename_new(tree, upper),
            done => done,
        }
    }

    fn set(
        &mut self,
        path: &RelPath,
        inode: u64,
        old: &Attributes,
        new: &Attributes,
    ) -> Result<(), Errno> {
        self.with(path, inode, |file| {
            if old.mode != new.mode {
                chmod_handle(file, new.mode)?;
            }
            if old.mtime != new.mtime { set_mtime(file, new.mtime) } else { Ok(()) }
        })
    }

    /// From and to whom it goes is known; what it is to wear is on the directory `from`.
    fn dress(
        &mut self,
        path: &RelPath,
        inode: u64,
        mode: u32,
        from: &[u8],
        (old, new): (Owner, Owner),
    ) -> Result<(), Errno> {
        self.with(path, inode, |dir| {
            // A mode that came later may be there already, and keep its owner out.
            chmod_handle(dir, mode)?;
            xattr::dress(from, &xattr::place(dir, b"."))?;
            fault::point("commit.dress")?;
            if old != new {
                chown_handle(dir, new)?;
            }
            chmod_handle(dir, mode)
        })
    }

    fn set_time(&mut self, path: &RelPath, inode: u64, mtime: Timespec) -> Result<(), Errno> {
        match self.with(path, inode, |file| set_mtime(file, mtime)) {
            // Who may change what is in a directory need not own it; its time is not worth more.
            Err(Errno::PERM | Errno::ACCESS) => Ok(()),
            done => done,
        }
    }

    /// Acts on the very thing that is meant, if it is (still, or already) at `path`.
    fn with(
        &mut self,
        path: &RelPath,
        inode: u64,
        act: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let (dir, name) = self.tree.of(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(dir, name, flags, Mode::empty()) {
            Ok(file) if fstat(&file)?.st_ino == inode => act(file.as_fd()),
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// `ESTALE` where the tree is not ours any more: a successor makes good what is on record.
fn check(owned: &Tree) -> Result<(), Errno> {
    if owned.is_ours() { Ok(()) } else { Err(Errno::STALE) }
}

/// Sets the modification time of exactly what `file` refers to, which may be an `O_PATH` handle.
pub(super) fn set_mtime(file: BorrowedFd<'_>, mtime: Timespec) -> Result<(), Errno> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access, last_modification: mtime };
    utimensat(CWD, proc_path(file), &times, AtFlags::empty())
}

/// Gives away exactly what `file` refers to, which may be an `O_PATH` handle.
pub(super) fn chown_handle(file: BorrowedFd<'_>, (user, group): Owner) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    chownat(CWD, proc_path(file), Some(user), Some(group), AtFlags::empty())
}

/// The name in `gone` of the directory that carries what another one wore.
pub(super) fn carrier(slot: u32) -> String {
    format!("worn-{slot}")
}

fn exchange(a: At<'_>, b: At<'_>) -> Result<(), Errno> {
    #[cfg(test)]
    crate::fault::point("exchange").map_err(|_| Errno::INVAL)?;
    renameat_with(a.0, a.1, b.0, b.1, RenameFlags::EXCHANGE)
}

/// Has `new` take the place of what is `there`, which is kept as `aside`, so that something always
/// is there. `false`, and nothing has happened, where that cannot be: a directory has no two names.
fn rename_over(new: At<'_>, there: At<'_>, aside: At<'_>) -> Result<bool, Errno> {
    match linkat(there.0, there.1, aside.0, aside.1, AtFlags::empty()) {
        Ok(()) => {}
        // Kept before.
        Err(Errno::EXIST) if inode_at(aside)? == inode_at(there)? => {}
        Err(_) => return Ok(false),
    }
    crate::fault::point("replace.between")?;
    match renameat(new.0, new.1, there.0, there.1) {
        Ok(()) => Ok(true),
        Err(failed) => {
            unlinkat(aside.0, aside.1, AtFlags::empty())?;
            if failed == Errno::NOTDIR || failed == Errno::ISDIR { Ok(false) } else { Err(failed) }
        }
    }
}

fn cannot_exchange(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

fn has(at: At<'_>, inode: u64) -> Result<bool, Errno> {
    inode_at(at).map(|found| found == Some(inode))
}

fn is_there(at: At<'_>) -> Result<bool, Errno> {
    inode_at(at).map(|found| found.is_some())
}

/// Which thing is there; `None` if nothing is.
pub(super) fn inode_at((dir, name): At<'_>) -> Result<Option<u64>, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat.st_ino)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
