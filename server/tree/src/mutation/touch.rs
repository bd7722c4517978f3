//! Setting times, making an empty file where there is none.

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens,
        openat, utimensat,
    },
    io::Errno,
};

use super::{Claim, Deed, Effects, Mutation, Outcome};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Fault, Last, Tree},
};

/// What to set a time to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The time at which it is done.
    Now,
    /// Leave it.
    Omit,
    /// This one.
    At(Timespec),
}

/// Sets the times of `path`; symbolic links are followed.
#[derive(Debug)]
pub struct Touch {
    /// Whose.
    pub path: RelPath,
    /// Do nothing where nothing is.
    pub no_create: bool,
    /// Access time.
    pub atime: Moment,
    /// Modification time.
    pub mtime: Moment,
    /// The caller's umask, for a new file of mode 0666 less it.
    pub umask: u32,
}

impl Mutation for Touch {
    fn method(&self) -> &'static str {
        "touch"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim::exclusive(&mut self.path, Last::Follow, Deed::Touch)]
    }

    fn makes_name_in(&self) -> Option<&[u8]> {
        let (parent, _) = self.path.split().filter(|_| !self.no_create)?;
        Some(parent)
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let shown = self.path.for_syscall();
        let fail = |errno| match errno {
            Errno::NOENT => tree.vanished(&self.path),
            errno => Error::io(shown, "cannot touch it", errno).into(),
        };
        let (dir, name) = match self.path.is_root() {
            true => (tree.dir(b"").map_err(fail)?, &b"."[..]),
            false => match tree.parent(&self.path) {
                Err(Fault::Failed(e)) if e.reason == Reason::NotFound && self.no_create => {
                    effects.record(&self.path, Outcome::Absent);
                    return Ok(());
                }
                found => found?,
            },
        };
        tree.guard(&self.path)?;
        let outcome = match tree.look(&dir, name, &self.path)? {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                return Err(Fault::Moved);
            }
            Some(_) if (self.atime, self.mtime) == (Moment::Omit, Moment::Omit) => {
                Outcome::Unchanged
            }
            Some(stat) => {
                utimensat(&dir, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
                effects.attributes(&dir, name, FileType::from_raw_mode(stat.st_mode))?;
                Outcome::Attributes
            }
            None if self.no_create => Outcome::Absent,
            None => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o666 & !self.umask);
                let file = match openat(&dir, name, flags, mode) {
                    Err(Errno::EXIST) => return Err(Fault::Moved),
                    made => made.map_err(fail)?,
                };
                effects.record(&self.path, Outcome::Created);
                effects.touched(&dir)?;
                if (self.atime, self.mtime) != (Moment::Now, Moment::Now) {
                    futimens(&file, &self.times()).map_err(fail)?;
                }
                return Ok(());
            }
        };
        effects.record(&self.path, outcome);
        Ok(())
    }
}

impl Touch {
    fn times(&self) -> Timestamps {
        let spec = |moment| match moment {
            Moment::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
            Moment::Omit => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            Moment::At(time) => time,
        };
        Timestamps { last_access: spec(self.atime), last_modification: spec(self.mtime) }
    }
}
