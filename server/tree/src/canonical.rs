//! Where a path really is: its symbolic links resolved one by one, by directory handle, and never
//! out of the root.

use std::{
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use rustix::{fs::readlinkat, io::Errno};

use crate::{
    error::{Error, Reason},
    path::{Printable, RelPath},
    tree::{Dir, Last, Tree},
};

/// How many symbolic links one path may lead through; the kernel's own limit.
const MAX_SYMLINKS: usize = 40;

/// A symbolic link on the way.
struct Link {
    place: RelPath,
    says: Vec<u8>,
    /// How many names are still pending when all that it says has been walked.
    end: usize,
}

/// A path that is being walked, name by name.
struct Walk<'t, 'p> {
    tree: &'t Tree,
    path: &'p RelPath,
    /// The names to come, the next one last.
    pending: Vec<Vec<u8>>,
    real: RelPath,
    /// The directory at `real`; `None` once there is none.
    dir: Option<Dir<'t>>,
    links: usize,
    link: Option<Link>,
    /// Why the last link does not lead to a directory.
    blocked: Option<Errno>,
}

impl Tree {
    /// The real place of `path`: symbolic links on the way resolved, and the last one too if it is
    /// to be followed. What does not exist yet stays as it is spelled.
    pub fn canonicalize(&self, path: &RelPath, last: Last) -> Result<RelPath, Error> {
        self.walk(path, last).map(|walk| walk.real)
    }

    /// As [`Tree::canonicalize`], for a path that is to become a directory: a symbolic link that
    /// leads to anything else, or to nothing, is in the way.
    pub(crate) fn canonicalize_directory(&self, path: &RelPath) -> Result<RelPath, Error> {
        let walk = self.walk(path, Last::Follow)?;
        match (&walk.link, walk.blocked) {
            (Some(link), Some(errno)) => {
                let says = Printable(&link.says);
                let why = match errno {
                    Errno::NOENT => "which does not exist",
                    Errno::NOTDIR => "which is not a directory",
                    _ => "which cannot be opened",
                };
                let what = format!("is a symbolic link to '{says}', {why}");
                Err(Error {
                    errno: Some(errno),
                    ..Error::new(Reason::NotADirectory, path.for_syscall(), what)
                        .at(link.place.as_bytes())
                })
            }
            _ => Ok(walk.real),
        }
    }

    fn walk<'t, 'p>(&'t self, path: &'p RelPath, last: Last) -> Result<Walk<'t, 'p>, Error> {
        let mut walk = Walk {
            tree: self,
            path,
            pending: path.components().rev().map(<[u8]>::to_vec).collect(),
            real: RelPath::ROOT,
            dir: self.dir(b"").ok(),
            links: 0,
            link: None,
            blocked: None,
        };
        while let Some(name) = walk.pending.pop() {
            walk.step(&name, last)?;
        }
        Ok(walk)
    }

    /// An absolute path, relative to the root, if it begins with the root's own path and has no
    /// `..` in it. Looks at nothing but the words.
    pub fn below_root_as_spelled(&self, absolute: &[u8]) -> Option<Vec<u8>> {
        let below = strip_root(absolute, self.path().as_os_str().as_bytes())?;
        (!below.split(|&b| b == b'/').any(|name| name == b"..")).then_some(below)
    }

    /// An absolute path, relative to the root; `None` if it lies outside. Empty for the root.
    /// Symbolic links outside of the root are seen through; what does not exist stays as spelled, with a
    /// slash at its end where it asks for a directory.
    pub fn below_root(&self, absolute: &[u8]) -> Option<Vec<u8>> {
        self.below_root_as_spelled(absolute).or_else(|| {
            let asks_for_directory = absolute.ends_with(b"/") || absolute.ends_with(b"/.");
            let absolute = Path::new(OsStr::from_bytes(absolute));
            let mut above = absolute.ancestors();
            let (known, real) = above.find_map(|a| Some((a, std::fs::canonicalize(a).ok()?)))?;
            let rest = absolute.strip_prefix(known).ok()?;
            let mut real = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
            if asks_for_directory {
                real.push(""); // A path's own parts do not tell.
            }
            self.below_root_as_spelled(&real.into_os_string().into_vec())
        })
    }
}

impl Walk<'_, '_> {
    fn step(&mut self, name: &[u8], last: Last) -> Result<(), Error> {
        match name {
            b"." => return self.check_directory(),
            b".." => return self.up(),
            _ => {}
        }
        let shown = self.path.for_syscall();
        let here = self.real.child(name).map_err(|e| Error { path: shown.to_vec(), ..e })?;
        if self.pending.is_empty() && last == Last::Keep {
            self.real = here;
            return Ok(());
        }
        match self.dir.as_ref().map(|dir| readlinkat(dir, name, Vec::new())) {
            Some(Ok(says)) => {
                self.follow(Link { place: here, says: says.into_bytes(), end: self.pending.len() })
            }
            _ => {
                self.down(here, name);
                Ok(())
            }
        }
    }

    fn down(&mut self, here: RelPath, name: &[u8]) {
        self.real = here;
        let Some(dir) = &self.dir else { return };
        match dir.below(name) {
            Ok(below) => self.dir = Some(below),
            // Not a directory, or nothing at all: what comes after it is for the mutation to judge.
            Err(errno) => {
                self.dir = None;
                let of_link = self.link.as_ref().is_some_and(|l| self.pending.len() >= l.end);
                self.blocked = of_link.then_some(errno);
            }
        }
    }

    /// `.`, which only symbolic links say: there must be a directory.
    fn check_directory(&self) -> Result<(), Error> {
        if self.dir.is_none() {
            let why = format!("leads through '{}', which is not a directory there is", self.real);
            return Err(self.error(Reason::NotFound, why));
        }
        Ok(())
    }

    /// `..`, which only symbolic links say.
    fn up(&mut self) -> Result<(), Error> {
        self.check_directory()?;
        let Some(parent) = self.real.parent() else { return Err(self.outside()) };
        self.dir = self.tree.dir(parent.as_bytes()).ok();
        self.real = parent;
        Ok(())
    }

    fn follow(&mut self, link: Link) -> Result<(), Error> {
        let link = self.link.insert(link);
        self.links += 1;
        if self.links > MAX_SYMLINKS {
            let why = format!("leads through more than {MAX_SYMLINKS} symbolic links");
            return Err(self.error(Reason::SymlinkLoop, why));
        }
        let target = if link.says.starts_with(b"/") {
            let Some(below) = self.tree.below_root(&link.says) else { return Err(self.outside()) };
            self.real = RelPath::ROOT;
            self.dir = self.tree.dir(b"").ok();
            below
        } else {
            link.says.clone()
        };
        // A slash at the end asks for a directory, as a dot does.
        if target.ends_with(b"/") {
            self.pending.push(b".".to_vec());
        }
        let names = target.split(|&b| b == b'/').filter(|n| !n.is_empty());
        self.pending.extend(names.rev().map(<[u8]>::to_vec));
        Ok(())
    }

    fn outside(&self) -> Error {
        let says = self.link.as_ref().map_or(&b".."[..], |link| &link.says);
        let why = format!(
            "is a symbolic link to '{}', which leads out of the build root",
            Printable(says)
        );
        self.error(Reason::OutsideRoot, why)
    }

    /// A failure of the link that was followed last.
    fn error(&self, reason: Reason, why: String) -> Error {
        let error = Error::new(reason, self.path.for_syscall(), why);
        match &self.link {
            Some(link) => error.at(link.place.as_bytes()),
            None => error,
        }
    }
}

/// What comes after `root` in `absolute`, without slashes at its front.
pub(crate) fn strip_root(absolute: &[u8], root: &[u8]) -> Option<Vec<u8>> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let rest = absolute.strip_prefix(root)?;
    match rest.first() {
        None => Some(Vec::new()),
        Some(b'/') => Some(rest.iter().copied().skip_while(|&b| b == b'/').collect()),
        Some(_) => None,
    }
}
