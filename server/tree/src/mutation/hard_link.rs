//! Making a second name for a file.

use std::os::fd::AsFd as _;

use rustix::{
    fs::{AtFlags, FileType, linkat},
    io::Errno,
};

use super::{Access, Change, Claim, Effects, Mutation, Outcome, directory::parent_or_make};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Fault, Last, Tree},
};

/// Makes `path` another name of `source`.
#[derive(Debug)]
pub struct HardLink {
    /// The existing file; a symbolic link is linked itself.
    pub source: RelPath,
    /// The new name.
    pub path: RelPath,
    /// Replace what is there, unless it is a directory.
    pub replace: bool,
    /// Make missing parent directories, with 0777 less `umask`.
    pub parents: bool,
    /// The caller's umask.
    pub umask: u32,
}

impl Mutation for HardLink {
    fn method(&self) -> &'static str {
        "link"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        let source = Claim { path: &mut self.source, access: Access::Shared, last: Last::Keep };
        vec![source, Claim::exclusive(&mut self.path, Last::Keep)]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let (from_dir, from) = tree.parent(&self.source)?;
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        let outcome = match linkat(&from_dir, from, &dir, name, AtFlags::empty()) {
            Ok(()) => Outcome::Created,
            Err(Errno::EXIST) => {
                let source = tree.look(&from_dir, from, &self.source)?;
                let there = tree.look(&dir, name, &self.path)?;
                let shown = self.path.for_syscall();
                match (source, there) {
                    (Some(a), Some(b))
                        if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) && self.replace =>
                    {
                        Outcome::Unchanged
                    }
                    (_, Some(b)) if FileType::from_raw_mode(b.st_mode) == FileType::Directory => {
                        return Err(
                            Error::new(Reason::IsADirectory, shown, "is a directory").into()
                        );
                    }
                    _ if !self.replace => {
                        return Err(Error::new(Reason::Exists, shown, "it exists already").into());
                    }
                    _ => {
                        let link = tree.staging().replace_by_link(
                            dir.as_fd(),
                            name,
                            |staging, temporary| {
                                linkat(&from_dir, from, staging, temporary, AtFlags::empty())
                            },
                        );
                        link.map_err(|e| self.failed(e))?;
                        Outcome::Replaced
                    }
                }
            }
            Err(errno) => return Err(self.failed(errno)),
        };
        effects
            .changes
            .push(Change { other: Some(self.source.clone()), ..Change::new(&self.path, outcome) });
        effects.touched(&dir)
    }
}

impl HardLink {
    fn failed(&self, errno: Errno) -> Fault {
        let (shown, what) = match errno {
            Errno::NOENT => (self.source.for_syscall(), "cannot link it"),
            Errno::PERM => (self.source.for_syscall(), "cannot link it (is it a directory?)"),
            _ => (self.path.for_syscall(), "cannot make the link"),
        };
        Error::io(shown, what, errno).into()
    }
}
