//! The confined filesystem: a build root by its directory handle, and nothing outside of it.
//!
//! Every path is resolved by the kernel beneath the root's handle with symbolic links refused
//! (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`), so that one that is planted between a
//! check and its use is noticed rather than followed. A path with links on it is first turned into
//! the place where it really is, by [`Tree::canonicalize`]; that place is also the key of its lock.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, open, openat,
        openat2, readlinkat, statat,
    },
    io::Errno,
    process::umask,
};

use crate::{
    error::{Error, Reason},
    path::{RelPath, STATE_DIR, for_syscall},
    staging::Staging,
};

/// How many symbolic links one path may lead through; the kernel's own limit.
const MAX_SYMLINKS: usize = 40;

/// A build root.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
    state: OwnedFd,
    staging: Arc<Staging>,
}

/// Why a step could not be done: its place is elsewhere, or it failed.
#[derive(Debug)]
pub enum Fault {
    /// A symbolic link stands on the way (or at the end, where one is to be followed), or somebody
    /// changed the tree between two looks at it: find the real place with [`Tree::canonicalize`],
    /// take its lock, and try again.
    Moved,
    /// It failed for good.
    Failed(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What to do about a symbolic link at the end of a path. Those on the way are always followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The link itself is meant.
    Keep,
    /// What it leads to is meant.
    Follow,
}

/// A handle of a directory of the tree.
#[derive(Debug)]
pub(crate) enum Dir<'t> {
    Root(BorrowedFd<'t>),
    Below(OwnedFd),
}

impl AsFd for Dir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

impl Tree {
    /// Makes `dir` a build root: `.onewriter/` with a `.gitignore` of `*` and an empty staging
    /// directory. Safe to do any number of times at once; `false` if it was one already.
    pub fn init(dir: &Path) -> Result<bool, Error> {
        let shown = dir.as_os_str().as_bytes();
        let fail = |what: &'static str| move |errno| Error::io(shown, what, errno);
        let root =
            open(dir, DIRECTORY, Mode::empty()).map_err(fail("cannot open the directory"))?;
        let made = match mkdirat(&root, STATE_DIR, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(fail("cannot make '.onewriter'")(errno)),
        };
        let state = openat(&root, STATE_DIR, DIRECTORY, Mode::empty())
            .map_err(fail("cannot open '.onewriter'"))?;
        Staging::make(&state).map_err(fail("cannot make '.onewriter/staging'"))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match openat(&state, ".gitignore", flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => rustix::io::write(&file, b"*\n")
                .map(|_| made)
                .map_err(fail("cannot write '.onewriter/.gitignore'")),
            Err(Errno::EXIST) => Ok(made),
            Err(errno) => Err(fail("cannot write '.onewriter/.gitignore'")(errno)),
        }
    }

    /// Opens a build root that [`Tree::init`] made.
    ///
    /// Sets the process's umask to 0, for good: every mode comes from a request, never from the
    /// environment of the process that serves it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        umask(Mode::empty());
        let shown = dir.as_os_str().as_bytes();
        let fail = |what: &'static str| move |errno| Error::io(shown, what, errno);
        let root =
            open(dir, DIRECTORY, Mode::empty()).map_err(fail("cannot open the build root"))?;
        let state = openat(&root, STATE_DIR, DIRECTORY, Mode::empty())
            .map_err(fail("it is not a build root (it has no '.onewriter')"))?;
        let staging = Staging::open(&state).map_err(fail("cannot open '.onewriter/staging'"))?;
        let path = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        Ok(Self { root, path, state, staging: Arc::new(staging) })
    }

    /// The root as an absolute path without symbolic links, as it was when it was opened. For
    /// people to read, and to compare other absolute paths with; never to open anything by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `.onewriter/`.
    pub fn state(&self) -> BorrowedFd<'_> {
        self.state.as_fd()
    }

    /// `.onewriter/staging/`.
    pub fn staging(&self) -> &Arc<Staging> {
        &self.staging
    }

    /// Whether the directory still exists. One that was removed keeps its handle, and nothing else.
    pub fn is_gone(&self) -> bool {
        fstat(&self.root).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// Whether `path` is a directory at this moment, symbolic links inside the root followed. One
    /// system call; a `false` may also mean that it takes a closer look to tell.
    pub fn is_directory(&self, path: &RelPath) -> bool {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path.for_syscall(), DIRECTORY, Mode::empty(), resolve).is_ok()
    }

    /// Opens what lies at `path`, which must hold no symbolic link (unless `flags` say
    /// `PATH | NOFOLLOW`, which opens a link at the end itself).
    pub(crate) fn open_at(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&self.root, for_syscall(path), flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// The directory at `path`.
    pub(crate) fn dir(&self, path: &[u8]) -> Result<Dir<'_>, Errno> {
        if path.is_empty() {
            return Ok(Dir::Root(self.root.as_fd()));
        }
        self.open_at(path, DIRECTORY).map(Dir::Below)
    }

    /// The directory that holds `path`, and the last component. The root itself is refused.
    pub(crate) fn parent<'t, 'p>(
        &'t self,
        path: &'p RelPath,
    ) -> Result<(Dir<'t>, &'p [u8]), Fault> {
        let (parent, name) = path.split().ok_or_else(root_refused)?;
        match self.dir(parent) {
            Ok(dir) => Ok((dir, name)),
            Err(errno) => Err(self.explain(path, parent, errno)),
        }
    }

    /// Why the directory `parent` of `path` could not be opened: which component, and what it is.
    pub(crate) fn explain(&self, path: &RelPath, parent: &[u8], errno: Errno) -> Fault {
        let shown = path.for_syscall();
        match errno {
            Errno::LOOP => return Fault::Moved,
            Errno::NOENT | Errno::NOTDIR => {}
            errno => return Error::io(shown, "cannot open its directory", errno).into(),
        }
        if self.is_gone() {
            return Error::new(Reason::RootGone, shown, "the build root was removed").into();
        }
        for end in component_ends(parent) {
            let part = &parent[..end];
            match self.open_at(part, OFlags::PATH | OFlags::NOFOLLOW).and_then(fstat) {
                Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => {}
                    FileType::Symlink => return Fault::Moved,
                    kind => {
                        return Error::new(
                            Reason::NotADirectory,
                            shown,
                            format!("is {}, not a directory", describe(kind)),
                        )
                        .at(part)
                        .into();
                    }
                },
                Err(Errno::LOOP) => return Fault::Moved,
                Err(Errno::NOENT) => {
                    return Error::new(Reason::NotFound, shown, "does not exist").at(part).into();
                }
                Err(errno) => return Error::io(shown, "cannot look at it", errno).at(part).into(),
            }
        }
        // Whoever was in the way is gone again: the tree changed while we looked.
        Fault::Moved
    }

    /// The real place of `path`: symbolic links on the way resolved, and the last one too if it is
    /// to be followed. What does not exist yet stays as it is spelled.
    pub fn canonicalize(&self, path: &RelPath, last: Last) -> Result<RelPath, Error> {
        let shown = path.for_syscall();
        let mut pending: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        let mut real = RelPath::ROOT;
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == b".." {
                real = real.parent().ok_or_else(|| outside(shown, b"..", b".."))?;
                continue;
            }
            let here = real.child(&name).map_err(|e| Error { path: shown.to_vec(), ..e })?;
            if pending.is_empty() && last == Last::Keep {
                return Ok(here);
            }
            let found = match self.dir(real.as_bytes()) {
                Ok(dir) => readlinkat(&dir, &name[..], Vec::new()),
                Err(errno) => Err(errno),
            };
            let target = match found {
                Ok(target) => target.into_bytes(),
                // Not a link, or nothing at all: what comes after it is for the mutation to judge.
                Err(_) => {
                    real = here;
                    continue;
                }
            };
            links += 1;
            if links > MAX_SYMLINKS {
                let why = "leads through more than 40 symbolic links";
                return Err(Error::new(Reason::SymlinkLoop, shown, why).at(here.as_bytes()));
            }
            let target = if target.starts_with(b"/") {
                real = RelPath::ROOT;
                self.below_root(&target).ok_or_else(|| outside(shown, here.as_bytes(), &target))?
            } else {
                target
            };
            let names = target.split(|&b| b == b'/').filter(|n| !n.is_empty() && *n != b".");
            pending.extend(names.rev().map(<[u8]>::to_vec));
        }
        Ok(real)
    }

    /// An absolute path, relative to the root, if it begins with the root's own path and has no
    /// `..` in it. Looks at nothing but the words.
    pub fn below_root_as_spelled(&self, absolute: &[u8]) -> Option<Vec<u8>> {
        let below = strip_root(absolute, self.path.as_os_str().as_bytes())?;
        (!below.split(|&b| b == b'/').any(|name| name == b"..")).then_some(below)
    }

    /// An absolute path, relative to the root; `None` if it lies outside. Empty for the root.
    pub fn below_root(&self, absolute: &[u8]) -> Option<Vec<u8>> {
        self.below_root_as_spelled(absolute).or_else(|| {
            let real = std::fs::canonicalize(OsStr::from_bytes(absolute)).ok()?;
            strip_root(&real.into_os_string().into_vec(), self.path.as_os_str().as_bytes())
        })
    }

    /// What is at `name` in `dir`, symbolic links not followed; `None` if nothing is.
    pub(crate) fn look(
        &self,
        dir: &Dir<'_>,
        name: &[u8],
        path: &RelPath,
    ) -> Result<Option<Stat>, Fault> {
        match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io(path.for_syscall(), "cannot look at it", errno).into()),
        }
    }
}

/// Where each component of `path` ends, outermost first.
pub(crate) fn component_ends(path: &[u8]) -> impl Iterator<Item = usize> {
    let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    slashes.chain(std::iter::once(path.len()))
}

/// How handles of directories are opened: only to name what is in them.
pub(crate) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The name by which /proc knows an open file: the way to act on exactly it by system calls that
/// take a path.
pub(crate) fn proc_path(file: impl AsFd) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Changes the mode of exactly what `file` refers to, which may be an `O_PATH` handle.
pub(crate) fn chmod_handle(file: impl AsFd, mode: u32) -> Result<(), Errno> {
    rustix::fs::chmodat(CWD, proc_path(file), Mode::from_raw_mode(mode), AtFlags::empty())
}

/// A file type in words, as in "a regular file".
pub fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Unknown => "something of an unknown kind",
    }
}

fn root_refused() -> Error {
    Error::new(
        Reason::BadRequest,
        b".",
        "the build root itself cannot be created, replaced or removed",
    )
}

fn outside(path: &[u8], component: &[u8], target: &[u8]) -> Error {
    let target = crate::path::Printable(target);
    Error::new(Reason::OutsideRoot, path, format!("leads out of the build root, to '{target}'"))
        .at(component)
}

fn strip_root(absolute: &[u8], root: &[u8]) -> Option<Vec<u8>> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let rest = absolute.strip_prefix(root)?;
    match rest.first() {
        None => Some(Vec::new()),
        Some(b'/') => Some(rest.iter().copied().skip_while(|&b| b == b'/').collect()),
        Some(_) => None,
    }
}
