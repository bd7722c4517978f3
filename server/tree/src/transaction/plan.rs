//! Which parts of an upper directory are one step each, and so which locks they need.

use std::os::fd::AsFd as _;

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, StatxFlags, Timespec, openat, statat, statx},
    io::Errno,
};

use super::{
    History,
    upper::{later, of_all},
    walk::{Contents, Entry, Folder, Kind, ctime, kind, owner},
    xattr,
};
use crate::{
    error::Error,
    mutation::Access,
    path::RelPath,
    trash,
    tree::{DIRECTORY, Tree},
};

/// How an entry gets into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// A directory that is there and stays. `appeared`: others made it since the transaction began.
    /// `mode`, `dress`: whether its mode, and its owner or attributes, are to change.
    Merge { mode: bool, dress: bool, appeared: bool },
    /// A directory with all that is below it, in one step.
    Whole,
    /// Anything else.
    Single,
}

/// An entry that is not below one that goes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub entry: usize,
    pub how: How,
}

/// What a plan is made by.
pub(super) struct Planner<'a> {
    pub tree: &'a Tree,
    pub contents: &'a Contents,
    pub history: &'a dyn History,
    pub birth: Timespec,
}

impl Planner<'_> {
    /// The units, as the tree is now.
    pub(super) fn plan(&self) -> Result<Vec<Unit>, Error> {
        let root = self.tree.dir(b"").map_err(of_all("cannot open the build root"))?;
        let mut folder = Folder::new(root.as_fd());
        let mut units = Vec::new();
        let mut at = 0;
        while let Some(entry) = self.contents.entries.get(at) {
            let how = self
                .how(entry, &mut folder)
                .map_err(|errno| Error::io(entry.path.for_syscall(), "cannot look at it", errno))?;
            units.push(Unit { entry: at, how });
            at = if how == How::Whole { entry.end } else { at + 1 };
        }
        Ok(units)
    }

    fn how(&self, entry: &Entry, folder: &mut Folder<'_>) -> Result<How, Errno> {
        let Kind::Directory { opaque, .. } = entry.kind else { return Ok(How::Single) };
        let there = folder.look(&entry.path)?;
        let Some(there) = there.filter(|stat| kind(stat) == FileType::Directory) else {
            return Ok(How::Whole);
        };
        let who = self.history.changed(&entry.path);
        let appeared = !entry.path.is_root() && self.appeared(entry, folder, who.is_some())?;
        if opaque && !appeared && !entry.path.is_root() {
            return Ok(How::Whole);
        }
        if appeared || who.is_some() {
            return Ok(How::Merge { mode: false, dress: false, appeared });
        }
        let mode = entry.mode() != there.st_mode & 0o7777;
        Ok(How::Merge { mode, dress: is_dressed_anew(entry, &there, folder)?, appeared })
    }

    /// Whether the directory was not there when the transaction began. A command that makes a
    /// directory leaves an opaque one, whether it removed another before or found nothing; the
    /// first replaces what is there, the second must not.
    fn appeared(
        &self,
        entry: &Entry,
        folder: &mut Folder<'_>,
        changed: bool,
    ) -> Result<bool, Errno> {
        let (dir, name) = folder.of(&entry.path)?;
        let born = statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME);
        if let Ok(born) = born
            && born.stx_mask & StatxFlags::BTIME.bits() != 0
        {
            let btime =
                Timespec { tv_sec: born.stx_btime.tv_sec, tv_nsec: born.stx_btime.tv_nsec as _ };
            if later(btime, self.birth) {
                return Ok(true);
            }
        }
        // One that another transaction brought may be older than this one. But then all that is
        // in it came with it, or later.
        Ok(changed && !self.holds_old_things(entry, folder)?)
    }

    fn holds_old_things(&self, entry: &Entry, folder: &mut Folder<'_>) -> Result<bool, Errno> {
        let (dir, name) = folder.of(&entry.path)?;
        let handle = openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        for name in trash::list(handle.as_fd())? {
            let found = statat(&handle, &name[..], AtFlags::SYMLINK_NOFOLLOW);
            let is_old = |stat: Stat| !later(ctime(&stat), self.birth);
            let known = entry.path.child(&name).is_ok_and(|p| self.history.changed(&p).is_some());
            if !known && found.is_ok_and(is_old) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The locks of a plan. A directory that stays is only to stay.
    pub(super) fn locks(&self, units: &[Unit]) -> Vec<(RelPath, Access)> {
        let lock = |unit: &Unit| {
            let access = match unit.how {
                How::Merge { mode: false, dress: false, .. } => Access::Shared,
                _ => Access::Exclusive,
            };
            (self.contents.entries[unit.entry].path.clone(), access)
        };
        units.iter().map(lock).collect()
    }
}

/// Whether the command gave a directory of the tree to somebody else, or other attributes.
fn is_dressed_anew(entry: &Entry, there: &Stat, folder: &mut Folder<'_>) -> Result<bool, Errno> {
    let Some(dress) = &entry.dress else { return Ok(false) };
    if owner(&entry.stat) != owner(there) {
        return Ok(true);
    }
    let (dir, name) = folder.of(&entry.path)?;
    xattr::wears_other(&xattr::place(dir, name), dress)
}
