//! Making a directory, and those on the way to it.

use std::os::fd::AsFd as _;

use rustix::{
    fs::{FileType, Mode, mkdirat},
    io::Errno,
};

use super::{Claim, Deed, Effects, Mutation, Outcome};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Dir, Fault, Last, Tree, chmod_handle, component_ends, not_a_directory},
};

/// Makes a directory. One that exists is left as it is, and is no error.
#[derive(Debug)]
pub struct MakeDirectory {
    /// Where. The root itself always exists.
    pub path: RelPath,
    /// Its mode, exactly; `None` means 0777 less the umask.
    pub mode: Option<u32>,
    /// The caller's umask.
    pub umask: u32,
    /// Make those on the way, with 0777 less the umask.
    pub parents: bool,
    /// Fail where it exists, even as a directory.
    pub must_create: bool,
}

impl Mutation for MakeDirectory {
    fn method(&self) -> &'static str {
        "mkdir"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim::exclusive(&mut self.path, Last::Follow, Deed::MakeDirectory)]
    }

    fn resolve(&mut self, tree: &Tree) -> Result<(), Error> {
        self.path = tree.canonicalize_directory(&self.path)?;
        Ok(())
    }

    fn shortcut(&self, tree: &Tree, effects: &mut Effects) -> bool {
        let there =
            !self.must_create && !self.path.is_root() && tree.remembers_directory(&self.path);
        if there {
            effects.record(&self.path, Outcome::Existed);
        }
        there
    }

    fn makes_name_in(&self) -> Option<&[u8]> {
        self.path.split().map(|(parent, _)| parent)
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        if self.path.is_root() {
            tree.check_root(&self.path)?;
            return match self.must_create {
                true => Err(exists(&self.path)),
                false => {
                    effects.record(&self.path, Outcome::Existed);
                    Ok(())
                }
            };
        }
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        let mode = self.mode.unwrap_or(0o777 & !self.umask);
        let made = make_one(tree, &dir, name, &self.path, mode, effects)?;
        if made {
            return if mode & 0o6000 != 0 { self.chmod(&dir, name, mode) } else { Ok(()) };
        }
        if self.must_create {
            return Err(exists(&self.path));
        }
        effects.record(&self.path, Outcome::Existed);
        Ok(())
    }
}

impl MakeDirectory {
    /// mkdir(2) ignores the set-id bits.
    fn chmod(&self, dir: &Dir<'_>, name: &[u8], mode: u32) -> Result<(), Fault> {
        dir.below(name).and_then(|made| chmod_handle(made.as_fd(), mode)).map_err(|e| {
            Error::io(self.path.for_syscall(), "cannot set the directory's mode", e).into()
        })
    }
}

/// The directory that `path` is to be made in, and its last component. With `parents` the missing
/// ones are made.
pub(super) fn parent_or_make<'t, 'p>(
    tree: &'t Tree,
    path: &'p RelPath,
    parents: bool,
    umask: u32,
    effects: &mut Effects,
) -> Result<(Dir<'t>, &'p [u8]), Fault> {
    let (parent, name) = match path.split() {
        Some(split) if parents => split,
        _ => return tree.parent(path),
    };
    match tree.dir(parent) {
        Err(Errno::NOENT) => {}
        found => return Ok((found.map_err(|e| tree.explain(path, parent, e))?, name)),
    }
    let mut dir = tree.dir(b"").map_err(|e| tree.explain(path, b"", e))?;
    let mut start = 0;
    for end in component_ends(parent) {
        let step = &parent[start..end];
        start = end + 1;
        let below = match dir.below(step) {
            Err(Errno::NOENT) => {
                let here = RelPath::parse(&parent[..end])?;
                // Whatever the umask says, whoever makes a directory on the way can go on in it.
                make_one(tree, &dir, step, &here, 0o777 & !umask | 0o300, effects)
                    .map_err(|fault| blame(fault, path))?;
                dir.below(step)
            }
            opened => opened,
        };
        dir = match below {
            // Somebody removes what we make.
            Err(Errno::NOENT) => return Err(tree.vanished(path)),
            below => below.map_err(|e| tree.explain(path, parent, e))?,
        };
    }
    Ok((dir, name))
}

/// Makes `name` in `dir`; `false` if a directory was there. mkdir(2) itself decides who was first:
/// several requests may hold the directory shared as their ancestor, and all want it.
fn make_one(
    tree: &Tree,
    dir: &Dir<'_>,
    name: &[u8],
    path: &RelPath,
    mode: u32,
    effects: &mut Effects,
) -> Result<bool, Fault> {
    tree.guard(path)?;
    match mkdirat(dir, name, Mode::from_raw_mode(mode)) {
        Ok(()) => {
            effects.record(path, Outcome::Created);
            effects.touched(dir)?;
            return Ok(true);
        }
        Err(Errno::EXIST) => {}
        // The parent was removed behind our back.
        Err(Errno::NOENT) => return Err(tree.vanished(path)),
        Err(e) => return Err(Error::io(path.for_syscall(), "cannot make the directory", e).into()),
    }
    let Some(stat) = tree.look(dir, name, path)? else { return Err(Fault::Moved) };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(false),
        FileType::Symlink => Err(Fault::Moved),
        kind => Err(not_a_directory(path.for_syscall(), kind).at(path.for_syscall()).into()),
    }
}

/// The path that was asked for, where the failure is that of one on the way to it.
fn blame(fault: Fault, path: &RelPath) -> Fault {
    match fault {
        Fault::Failed(error) => Fault::Failed(Error { path: path.for_syscall().to_vec(), ..error }),
        symlink => symlink,
    }
}

fn exists(path: &RelPath) -> Fault {
    Error::new(Reason::Exists, path.for_syscall(), "it exists already").into()
}
