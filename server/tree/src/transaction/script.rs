//! The steps that carry out what was decided, in their order.
//!
//! First directories are opened to us that their owner closed, then everything moves, then the
//! times of directories are set, and at last they get new owners and attributes, are closed again
//! and get new modes. Whatever is done to a directory can so be taken back in the opposite order.

use std::{collections::HashSet, os::fd::BorrowedFd};

use rustix::{
    fs::{Access, AtFlags, Stat, Timespec, accessat},
    io::Errno,
};

use super::{
    CommitTerms,
    judge::{Fate, Verdict},
    plan::{How, Unit},
    settle,
    step::{Attributes, Step, carrier, inode_at},
    upper::later,
    walk::{self, Contents, Entry, Folder, OPEN, owner},
    xattr,
};
use crate::{error::Error, mutation::Unchanged, path::RelPath};

/// What is to be done with a directory that stays.
struct Wish {
    mode: bool,
    dress: bool,
    /// Entries change in it.
    busy: bool,
}

pub(super) struct Scribe<'a> {
    pub contents: &'a Contents,
    pub verdict: &'a Verdict,
    /// Entries that are another file than they were found to be.
    pub other: &'a HashSet<usize>,
    pub birth: Timespec,
    pub terms: &'a CommitTerms,
    pub upper: Folder<'a>,
    pub tree: Folder<'a>,
    /// Where what is removed goes.
    pub gone: BorrowedFd<'a>,
    pub opening: Vec<Step>,
    pub moves: Vec<Step>,
    pub closing: Vec<Step>,
    pub slots: u32,
}

impl Scribe<'_> {
    pub(super) fn write(mut self, units: &[Unit]) -> Result<Vec<Step>, Error> {
        // The directories in which entries change.
        let mut busy = HashSet::new();
        for (unit, fate) in units.iter().zip(&self.verdict.fates) {
            let entry = &self.contents.entries[unit.entry];
            let moves = self.moves.len();
            self.unit(unit.entry, entry, *fate).map_err(|errno| {
                Error::io(entry.path.for_syscall(), "cannot prepare its place", errno)
            })?;
            let moved = self.moves.len() > moves && !matches!(fate, Fate::Keep { .. });
            busy.extend(entry.path.parent().filter(|_| moved));
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (unit, fate) in units.iter().zip(&self.verdict.fates) {
            let (How::Merge { mode, dress, appeared }, Fate::Merge { there }) = (unit.how, fate)
            else {
                continue;
            };
            let entry = &self.contents.entries[unit.entry];
            let busy = busy.contains(&entry.path);
            self.merged(entry, there, Wish { mode, dress, busy }).map_err(|errno| {
                Error::io(entry.path.for_syscall(), "cannot look at the directory", errno)
            })?;
            self.times(entry, there, busy, appeared, (&mut before, &mut after));
        }
        self.closing.reverse();
        Ok([self.opening, before, self.moves, after, self.closing].concat())
    }

    fn unit(&mut self, index: usize, entry: &Entry, fate: Fate) -> Result<(), Errno> {
        let path = entry.path.clone();
        match fate {
            Fate::Nothing | Fate::Merge { .. } => {}
            Fate::Keep { there } => {
                if let Some(new) = kept(entry, &there, self.terms) {
                    let (inode, old) = (there.st_ino, attributes(&there));
                    self.moves.push(Step::Attributes { path, inode, old, new });
                }
            }
            Fate::Create => {
                let inode = self.placed(index, entry)?;
                self.moves.push(Step::Create { path, inode });
            }
            Fate::Replace { there } => {
                let inode = self.placed(index, entry)?;
                self.loosen(&path, &there)?;
                let slot = self.slot();
                self.moves.push(Step::Replace { path, inode, old: there.st_ino, slot });
            }
            Fate::Remove { there } => {
                self.loosen(&path, &there)?;
                let slot = self.slot();
                self.moves.push(Step::Remove { path, old: there.st_ino, slot });
            }
        }
        Ok(())
    }

    fn slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots
    }

    /// Which thing is placed. A directory that its owner may not write to cannot be moved by him
    /// (its `..` changes): it is closed when it is in its place.
    fn placed(&mut self, index: usize, entry: &Entry) -> Result<u64, Errno> {
        if !entry.is_directory() && !self.other.contains(&index) {
            return Ok(entry.stat.st_ino);
        }
        let (dir, name) = self.upper.of(&entry.path)?;
        let inode = inode_at((dir, name))?.ok_or(Errno::NOENT)?;
        if entry.is_directory() && is_closed((dir, name), entry.mode(), Access::WRITE_OK)? {
            let (old, new) = (entry.mode() | OPEN, entry.mode());
            settle::open_to_move(dir, name, old)?;
            self.closing.push(mode_step(&entry.path, inode, entry.mtime(), old, new));
        }
        Ok(inode)
    }

    /// Lets a directory of the tree be moved away.
    fn loosen(&mut self, path: &RelPath, there: &Stat) -> Result<(), Errno> {
        let mode = there.st_mode & 0o7777;
        if walk::is_directory(there) && is_closed(self.tree.of(path)?, mode, Access::WRITE_OK)? {
            let step = mode_step(path, there.st_ino, walk::mtime(there), mode, mode | OPEN);
            self.opening.push(step);
        }
        Ok(())
    }

    /// A directory that stays: its mode, owner and attributes, and that things can be changed in it.
    fn merged(&mut self, entry: &Entry, there: &Stat, wish: Wish) -> Result<(), Errno> {
        let old = there.st_mode & 0o7777;
        let new = if wish.mode { entry.mode() } else { old };
        let (inode, mtime, path) = (there.st_ino, walk::mtime(there), &entry.path);
        let needs = Access::WRITE_OK | Access::EXEC_OK;
        let mut open = old;
        if (wish.busy || wish.dress) && is_closed(self.tree.of(path)?, old, needs)? {
            open = old | OPEN;
            self.opening.push(mode_step(path, inode, mtime, old, open));
        }
        if open != new {
            self.closing.push(mode_step(path, inode, mtime, open, new));
        }
        if wish.dress {
            let slot = self.slot();
            let (old, new) = (owner(there), owner(&entry.stat));
            let (dir, name) = self.tree.of(path)?;
            let owner = (old != new).then_some(old);
            settle::carry(self.gone, &carrier(slot), &xattr::place(dir, name), owner)?;
            let path = path.clone();
            self.closing.push(Step::Dress { path, inode, slot, mode: open, old, new });
        }
        Ok(())
    }

    /// A directory that nobody else changed gets the time that the command gave it.
    fn times(
        &mut self,
        entry: &Entry,
        there: &Stat,
        busy: bool,
        appeared: bool,
        (before, after): (&mut Vec<Step>, &mut Vec<Step>),
    ) {
        let (old, new) = (walk::mtime(there), entry.mtime());
        let is_ours = !appeared && !later(old, self.birth);
        if !busy && (old == new || !is_ours) {
            return;
        }
        let (path, inode) = (&entry.path, there.st_ino);
        before.push(Step::Before { path: path.clone(), inode, mtime: old });
        if is_ours {
            after.push(Step::After { path: path.clone(), inode, mtime: new });
        }
    }
}

/// Whether its owner is kept from a directory that he needs. Who is privileged is not.
fn is_closed(
    (dir, name): (BorrowedFd<'_>, &[u8]),
    mode: u32,
    needs: Access,
) -> Result<bool, Errno> {
    if mode & 0o300 == 0o300 {
        return Ok(false);
    }
    match accessat(dir, name, needs, AtFlags::EACCESS) {
        Ok(()) => Ok(false),
        Err(Errno::ACCESS) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn mode_step(path: &RelPath, inode: u64, mtime: Timespec, old: u32, new: u32) -> Step {
    let attributes = |mode| Attributes { mode, mtime };
    Step::Attributes { path: path.clone(), inode, old: attributes(old), new: attributes(new) }
}

fn attributes(stat: &Stat) -> Attributes {
    Attributes { mode: stat.st_mode & 0o7777, mtime: walk::mtime(stat) }
}

/// What is to be changed of something whose content stays.
pub(super) fn kept(entry: &Entry, there: &Stat, terms: &CommitTerms) -> Option<Attributes> {
    let old = attributes(there);
    let touch = terms.unchanged_at(&entry.path) == Unchanged::Touch;
    let mtime = if touch { entry.mtime() } else { old.mtime };
    let new = Attributes { mode: entry.mode(), mtime };
    (new != old).then_some(new)
}
