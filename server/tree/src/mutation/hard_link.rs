//! Making a second name for a file.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::{
    fs::{AtFlags, FileType, Stat, linkat},
    io::Errno,
};

use super::{Access, Change, Claim, Deed, Effects, Mutation, Outcome, directory::parent_or_make};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Dir, Fault, Last, Tree},
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
        let source = Claim {
            path: &mut self.source,
            access: Access::Shared,
            last: Last::Keep,
            deed: Deed::HardLink,
        };
        vec![source, Claim::exclusive(&mut self.path, Last::Keep, Deed::HardLink)]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let (from_dir, from) = tree.parent(&self.source)?;
        let refuse = |path: &RelPath, reason, why: &str| {
            Err(Error::new(reason, path.for_syscall(), why).into())
        };
        let Some(source) = tree.look(&from_dir, from, &self.source)? else {
            return refuse(&self.source, Reason::NotFound, "it does not exist");
        };
        if is_directory(&source) {
            let why = "it is a directory, which cannot have a second name";
            return refuse(&self.source, Reason::IsADirectory, why);
        }
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        tree.guard(&self.path)?;
        let outcome = match tree.look(&dir, name, &self.path)? {
            None => match self.link_new(tree, (&from_dir, from), (&dir, name)) {
                Ok(()) => Outcome::Created,
                // Somebody else made it just now.
                Err(Errno::EXIST) => return Err(Fault::Moved),
                Err(errno) => return Err(self.failed(tree, errno)),
            },
            Some(_) if !self.replace => {
                return refuse(&self.path, Reason::Exists, "it exists already");
            }
            Some(there) if is_directory(&there) => {
                return refuse(&self.path, Reason::IsADirectory, "it is a directory");
            }
            Some(there) if (there.st_dev, there.st_ino) == (source.st_dev, source.st_ino) => {
                Outcome::Unchanged
            }
            Some(_) => {
                let link = |staging: BorrowedFd<'_>, temporary: &str| {
                    linkat(&from_dir, from, staging, temporary, AtFlags::empty())
                };
                tree.staging()
                    .place_link((dir.as_fd(), name), true, link)
                    .map_err(|errno| self.failed(tree, errno))?;
                Outcome::Replaced
            }
        };
        effects
            .changes
            .push(Change { other: Some(self.source.clone()), ..Change::new(&self.path, outcome) });
        effects.touched(&dir)
    }
}

impl HardLink {
    fn link_new(
        &self,
        tree: &Tree,
        (from_dir, from): (&Dir<'_>, &[u8]),
        (dir, name): (&Dir<'_>, &[u8]),
    ) -> Result<(), Errno> {
        if !tree.is_fenced() {
            return linkat(from_dir, from, dir, name, AtFlags::empty());
        }
        tree.staging().place_link((dir.as_fd(), name), false, |staging, temporary| {
            linkat(from_dir, from, staging, temporary, AtFlags::empty())
        })
    }

    fn failed(&self, tree: &Tree, errno: Errno) -> Fault {
        let what = match errno {
            Errno::NOENT => return tree.vanished(&self.path),
            Errno::PERM => {
                "cannot make the link (is it a file of somebody else, or on a filesystem without?)"
            }
            _ => "cannot make the link",
        };
        Error::io(self.path.for_syscall(), what, errno).into()
    }
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}
