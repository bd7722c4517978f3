//! Renaming a file or a directory within the tree.

use std::{fs::File, os::fd::AsFd as _};

use rustix::{
    fs::{FileType, OFlags, Stat, openat, renameat},
    io::Errno,
};

use super::{
    Change, Claim, Deed, Effects, Mutation, Outcome, directory::parent_or_make, remove::remove_file,
};
use crate::{
    content,
    error::{Error, Reason},
    path::RelPath,
    tree::{Dir, Fault, Last, Tree, rename_new},
};

/// Renames `from` to `to` in one step. Both mean symbolic links themselves.
#[derive(Debug)]
pub struct Rename {
    /// What is to be renamed.
    pub from: RelPath,
    /// Its new name.
    pub to: RelPath,
    /// Fail where `to` exists.
    pub must_create: bool,
    /// Make missing parent directories of `to`, with 0777 less `umask`.
    pub parents: bool,
    /// Where both are files of the same content and mode: remove `from`, leave `to` untouched.
    pub keep_unchanged: bool,
    /// The caller's umask.
    pub umask: u32,
}

impl Mutation for Rename {
    fn method(&self) -> &'static str {
        "rename"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![
            Claim::exclusive(&mut self.from, Last::Keep, Deed::Rename),
            Claim::exclusive(&mut self.to, Last::Keep, Deed::Rename),
        ]
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let refuse =
            |path: &RelPath, reason, why| Err(Error::new(reason, path.for_syscall(), why).into());
        let (from_dir, from) = tree.parent(&self.from)?;
        let Some(source) = tree.look(&from_dir, from, &self.from)? else {
            return refuse(&self.from, Reason::NotFound, "it does not exist");
        };
        if is_directory(&source) && self.to != self.from && self.to.is_within(&self.from) {
            let why = "a directory cannot be moved into itself";
            return refuse(&self.to, Reason::BadRequest, why);
        }
        let (to_dir, to) = parent_or_make(tree, &self.to, self.parents, self.umask, effects)?;
        let target = tree.look(&to_dir, to, &self.to)?;
        tree.guard(&self.to)?;
        let outcome = match &target {
            Some(_) if self.must_create => {
                return refuse(&self.to, Reason::Exists, "it exists already");
            }
            // rename(2) does nothing at all between two names of one file.
            Some(there) if (there.st_dev, there.st_ino) == (source.st_dev, source.st_ino) => {
                if self.from != self.to {
                    self.remove_source(tree, &from_dir, from)?;
                }
                Outcome::Unchanged
            }
            Some(there)
                if self.keep_unchanged
                    && self.is_same((&from_dir, from, &source), (&to_dir, to, there)) =>
            {
                self.remove_source(tree, &from_dir, from)?;
                Outcome::Unchanged
            }
            there => {
                self.rename(tree, (&from_dir, from), (&to_dir, to))?;
                if there.is_some() { Outcome::Replaced } else { Outcome::Created }
            }
        };
        if self.from != self.to {
            effects.record(&self.from, Outcome::Removed);
        }
        effects
            .changes
            .push(Change { other: Some(self.from.clone()), ..Change::new(&self.to, outcome) });
        effects.touched(&from_dir)?;
        effects.touched(&to_dir)
    }
}

type Entry<'a> = (&'a Dir<'a>, &'a [u8]);

impl Rename {
    fn rename(
        &self,
        tree: &Tree,
        (from_dir, from): Entry<'_>,
        (to_dir, to): Entry<'_>,
    ) -> Result<(), Fault> {
        let renamed = match self.must_create {
            true => rename_new((from_dir.as_fd(), from), (to_dir.as_fd(), to)),
            false => renameat(from_dir, from, to_dir, to),
        };
        renamed.map_err(|errno| {
            let (reason, what) = match errno {
                Errno::NOENT => return tree.vanished(&self.to),
                Errno::EXIST if self.must_create => (Reason::Exists, "it exists already"),
                Errno::NOTEMPTY | Errno::EXIST => {
                    (Reason::NotEmpty, "it is a directory that is not empty")
                }
                Errno::ISDIR => {
                    (Reason::IsADirectory, "it is a directory, and what is to replace it is not")
                }
                Errno::NOTDIR => {
                    (Reason::NotADirectory, "it is not a directory, and what is to replace it is")
                }
                errno => {
                    let what = format!("cannot rename '{}' to it", self.from);
                    return Error::io(self.to.for_syscall(), &what, errno).into();
                }
            };
            Error::new(reason, self.to.for_syscall(), what).into()
        })
    }

    fn remove_source(&self, tree: &Tree, dir: &Dir<'_>, name: &[u8]) -> Result<(), Fault> {
        // To compare contents takes its time.
        tree.guard(&self.from)?;
        remove_file(tree, dir, name)
            .map_err(|e| Error::io(self.from.for_syscall(), "cannot remove it", e).into())
    }

    fn is_same(&self, a: (&Dir<'_>, &[u8], &Stat), b: (&Dir<'_>, &[u8], &Stat)) -> bool {
        let open = |(dir, name, stat): (&Dir<'_>, &[u8], &Stat)| -> Option<File> {
            let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            regular
                .then(|| openat(dir, name, flags, rustix::fs::Mode::empty()).ok())?
                .map(File::from)
        };
        if (a.2.st_mode, a.2.st_size) != (b.2.st_mode, b.2.st_size) {
            return false;
        }
        matches!((open(a), open(b)), (Some(a), Some(b)) if content::same(&a, &b).unwrap_or(false))
    }
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}
