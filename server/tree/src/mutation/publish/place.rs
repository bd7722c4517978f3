//! Putting new content in its place.

use std::{fs::File, os::fd::AsFd as _};

use rustix::{
    fs::{Gid, Mode, Uid, fchmod, fchown, fstat},
    io::Errno,
};

use crate::{
    staging::Staged,
    tree::{Dir, Fault},
};

/// What is put there.
#[derive(Debug)]
pub(super) enum Content {
    /// A copy of the source, which waits in staging.
    Copy(Staged),
    /// The source itself, which is moved; open.
    Source(File),
}

/// What a new file is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Put {
    pub replaces: bool,
    pub bytes: u64,
    pub mode: u32,
    /// The owner to take over from the file that is replaced.
    pub owner: Option<(Uid, Gid)>,
}

impl Put {
    /// A file from staging gets the group that one made in a set-gid directory gets.
    pub(super) fn inherit_group(&self, file: &File, dir: &Dir<'_>) {
        let (Ok(above), Ok(now)) = (fstat(dir), fstat(file)) else { return };
        let inherits = above.st_mode & Mode::SGID.as_raw_mode() != 0 && self.owner.is_none();
        if inherits && above.st_gid != now.st_gid {
            // Who may not give the file to that group keeps it. A change of group clears set-id
            // bits.
            let given = fchown(file, None, Some(Gid::from_raw(above.st_gid)));
            if given.is_ok() && self.mode & 0o6000 != 0 {
                let _ = fchmod(file, Mode::from_raw_mode(self.mode));
            }
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
/// Whether it met something there; one that has a name in staging is moved without a look.
pub(super) fn place(
    staged: &mut Staged,
    dir: &Dir<'_>,
    name: &[u8],
    must_create: bool,
    durable: bool,
) -> Result<bool, Errno> {
    // A nameless file can take a free name at once.
    let nameless = staged.name().is_none();
    if must_create || nameless {
        match staged.place_new(dir.as_fd(), name) {
            Err(Errno::EXIST) if !must_create => {}
            done => return done.map(|()| false),
        }
    }
    staged.place_over(dir.as_fd(), name, durable).map(|()| nameless)
}
