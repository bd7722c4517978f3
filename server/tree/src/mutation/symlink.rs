//! Making a symbolic link.

use std::os::fd::AsFd as _;

use rustix::{
    fs::{FileType, readlinkat, symlinkat},
    io::Errno,
};

use super::{Claim, Deed, Effects, Mutation, Outcome, directory::parent_or_make};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Fault, Last, Tree},
};

/// Makes a symbolic link that says `target`, which is never resolved.
#[derive(Debug)]
pub struct Symlink {
    /// Where the link is to be.
    pub path: RelPath,
    /// What it says; not empty, no NUL.
    pub target: Vec<u8>,
    /// Replace what is there, unless it is a directory.
    pub replace: bool,
    /// Make missing parent directories, with 0777 less `umask`.
    pub parents: bool,
    /// The caller's umask.
    pub umask: u32,
}

impl Mutation for Symlink {
    fn method(&self) -> &'static str {
        "symlink"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim::exclusive(&mut self.path, Last::Keep, Deed::Symlink)]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        if self.target.is_empty() || self.target.contains(&0) {
            let why = "a symbolic link must say something, without NUL bytes";
            return Err(Error::new(Reason::BadRequest, self.path.for_syscall(), why).into());
        }
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        let shown = self.path.for_syscall();
        let fail = |errno| match errno {
            Errno::NOENT => tree.vanished(&self.path),
            errno => Error::io(shown, "cannot make the symbolic link", errno).into(),
        };
        tree.guard(&self.path)?;
        let made = match tree.is_fenced() {
            true => tree.staging().place_link((dir.as_fd(), name), false, |staging, temporary| {
                symlinkat(&self.target[..], staging, temporary)
            }),
            false => symlinkat(&self.target[..], &dir, name),
        };
        match made {
            Ok(()) => {
                effects.record(&self.path, Outcome::Created);
                return effects.touched(&dir);
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(fail(errno)),
        }
        if !self.replace {
            return Err(Error::new(Reason::Exists, shown, "it exists already").into());
        }
        if let Some(stat) = tree.look(&dir, name, &self.path)?
            && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        {
            return Err(Error::new(Reason::IsADirectory, shown, "it is a directory").into());
        }
        if readlinkat(&dir, name, Vec::new()).is_ok_and(|says| says.as_bytes() == self.target) {
            effects.record(&self.path, Outcome::Unchanged);
            return Ok(());
        }
        tree.guard(&self.path)?;
        tree.staging()
            .place_link((dir.as_fd(), name), true, |staging, temporary| {
                symlinkat(&self.target[..], staging, temporary)
            })
            .map_err(fail)?;
        effects.record(&self.path, Outcome::Replaced);
        effects.touched(&dir)
    }
}
