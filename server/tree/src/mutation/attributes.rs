//! Setting mode, owner and times in place.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
        chownat, fstat, openat, utimensat,
    },
    io::Errno,
};

use super::{Claim, Deed, Effects, Mutation, Outcome};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Fault, Last, Tree, chmod_handle, proc_path},
};

/// A change of the twelve permission bits: new = (old & keep) | set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// Bits that stay as they are; 0 to set the mode exactly.
    pub keep: u32,
    /// Bits that are set.
    pub set: u32,
}

/// Sets what is given of the attributes of `path`; symbolic links are followed.
#[derive(Debug)]
pub struct SetAttributes {
    /// Whose.
    pub path: RelPath,
    /// Permission bits.
    pub mode: Option<ModeChange>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Access time.
    pub atime: Option<Timespec>,
    /// Modification time.
    pub mtime: Option<Timespec>,
}

impl Mutation for SetAttributes {
    fn method(&self) -> &'static str {
        "attributes"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim::exclusive(&mut self.path, Last::Follow, Deed::SetAttributes)]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let shown = self.path.for_syscall();
        let fail = |what: &'static str| move |errno| Fault::from(Error::io(shown, what, errno));
        let (parent, name) = match self.path.is_root() {
            true => (tree.dir(b"").map_err(fail("cannot open it"))?, &b"."[..]),
            false => tree.parent(&self.path)?,
        };
        // Everything is done to this very file, whatever comes to stand at its name meanwhile.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, name, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => tree.check_root(&self.path).map_or_else(Fault::Failed, |()| {
                Error::new(Reason::NotFound, shown, "it does not exist").into()
            }),
            errno => fail("cannot change it")(errno),
        })?;
        let stat = fstat(&file).map_err(fail("cannot look at it"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return Err(Fault::Moved);
        }
        tree.guard(&self.path)?;
        let mut changed = false;
        let done = self.set(&file, &stat, &mut changed);
        // Also where a later step failed: an owner may be changed, and then the mode refused.
        if changed {
            effects.record(&self.path, Outcome::Attributes);
            effects.attributes(&parent, name, kind)?;
        } else if done.is_ok() {
            effects.record(&self.path, Outcome::Unchanged);
        }
        done.map_err(|(what, errno)| fail(what)(errno))
    }
}

type Failed = (&'static str, Errno);

impl SetAttributes {
    /// Owner first: to change it clears set-id bits.
    fn set(&self, file: &OwnedFd, stat: &Stat, changed: &mut bool) -> Result<(), Failed> {
        if self.uid.is_some() || self.gid.is_some() {
            let (uid, gid) = (self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw));
            chownat(file, "", uid, gid, AtFlags::EMPTY_PATH)
                .map_err(|e| ("cannot change its owner", e))?;
            *changed = true;
        }
        if let Some(change) = self.mode {
            let mode = (stat.st_mode & 0o7777 & change.keep) | (change.set & 0o7777);
            chmod_handle(file.as_fd(), mode).map_err(|e| ("cannot change its mode", e))?;
            *changed = true;
        }
        if self.atime.is_some() || self.mtime.is_some() {
            let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let times = Timestamps {
                last_access: self.atime.unwrap_or(omit),
                last_modification: self.mtime.unwrap_or(omit),
            };
            utimensat(CWD, proc_path(file.as_fd()), &times, AtFlags::empty())
                .map_err(|e| ("cannot set its times", e))?;
            *changed = true;
        }
        Ok(())
    }
}
