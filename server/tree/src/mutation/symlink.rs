//! Making a symbolic link.

use rustix::{
    fs::{FileType, readlinkat, symlinkat},
    io::Errno,
};

use super::{Claim, Effects, Mutation, Outcome, directory::parent_or_make};
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
        vec![Claim::exclusive(&mut self.path, Last::Keep)]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        let shown = self.path.for_syscall();
        let fail = |errno| Fault::from(Error::io(shown, "cannot make the symbolic link", errno));
        match symlinkat(&self.target[..], &dir, name) {
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
            return Err(Error::new(Reason::IsADirectory, shown, "is a directory").into());
        }
        if readlinkat(&dir, name, Vec::new()).is_ok_and(|says| says.as_bytes() == self.target) {
            effects.record(&self.path, Outcome::Unchanged);
            return Ok(());
        }
        tree.staging()
            .replace_by_link(std::os::fd::AsFd::as_fd(&dir), name, |staging, temporary| {
                symlinkat(&self.target[..], staging, temporary)
            })
            .map_err(fail)?;
        effects.record(&self.path, Outcome::Replaced);
        effects.touched(&dir)
    }
}
