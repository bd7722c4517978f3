//! The confined filesystem: a build root by its directory handle, and nothing outside of it.
//!
//! Every path is resolved by the kernel beneath the root's handle with symbolic links refused
//! (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`), so that one that is planted between a
//! check and its use is noticed rather than followed. A path with links on it is first turned into
//! the place where it really is, by [`Tree::canonicalize`]; that place is also the key of its lock.

use std::{
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, fstat, linkat,
        mkdirat, open, openat, openat2, readlinkat, renameat, renameat_with, statat, unlinkat,
    },
    io::Errno,
    process::umask,
};

use crate::{
    canonical::strip_root,
    error::{Error, Reason},
    fence::Fence,
    path::{RelPath, STATE_DIR, for_syscall},
    staging::Staging,
};

/// A build root.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
    state: OwnedFd,
    staging: Arc<Staging>,
    pub(crate) fence: Option<Arc<dyn Fence>>,
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

impl Dir<'_> {
    /// The directory `name` in this one. `ENOTDIR` for anything else, symbolic links too.
    pub(crate) fn below<'t>(&self, name: &[u8]) -> Result<Dir<'t>, Errno> {
        openat(self, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map(Dir::Below)
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
        let state = open_state(&root)
            .map_err(fail("'.onewriter' cannot be opened as a directory of the root itself"))?;
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
        let state = open_state(&root).map_err(fail(
            "it is not a build root (it has no directory '.onewriter' of its own)",
        ))?;
        let staging = Staging::open(&state).map_err(fail("cannot open '.onewriter/staging'"))?;
        let path = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        Ok(Self { root, path, state, staging: Arc::new(staging), fence: None })
    }

    /// All of the filesystem, for one process that works without a build root. What has to wait
    /// does so in the deepest directory on the way to `path` that exists, under a name that begins
    /// with `.onewriter-`. Sets the umask to 0, as [`Tree::open`] does.
    ///
    /// # Errors
    /// What keeps that directory from being opened.
    pub fn without_root(path: &Path) -> Result<Self, Error> {
        umask(Mode::empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut opened = path.ancestors().skip(1).map(|dir| (dir, open(dir, flags, Mode::empty())));
        let (dir, opened) = opened
            .find(|(_, opened)| !matches!(opened, Err(Errno::NOENT | Errno::NOTDIR)))
            .unwrap_or((Path::new("/"), Err(Errno::NOENT)));
        let fail =
            |errno| Error::io(dir.as_os_str().as_bytes(), "cannot open the directory", errno);
        let state = opened.map_err(fail)?;
        let staging = Staging::beside(state.try_clone().map_err(|_| fail(Errno::MFILE))?);
        let root = open("/", DIRECTORY, Mode::empty()).map_err(fail)?;
        Ok(Self { root, path: "/".into(), state, staging: Arc::new(staging), fence: None })
    }

    /// The directory `dir` and what is below it, whether it is a build root or not. Where it is none,
    /// what has to wait does so in `dir` itself, under a name that begins with `.onewriter-`. Sets the
    /// umask to 0, as [`Tree::open`] does.
    ///
    /// # Errors
    /// What keeps it from being opened.
    pub fn of_directory(dir: &Path) -> Result<Self, Error> {
        if dir.join(STATE_DIR).exists() {
            return Self::open(dir);
        }
        umask(Mode::empty());
        let fail =
            |errno| Error::io(dir.as_os_str().as_bytes(), "cannot open the directory", errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let state = open(dir, flags, Mode::empty()).map_err(fail)?;
        let staging = Staging::beside(state.try_clone().map_err(|_| fail(Errno::MFILE))?);
        let root = open(dir, DIRECTORY, Mode::empty()).map_err(fail)?;
        let path = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        Ok(Self { root, path, state, staging: Arc::new(staging), fence: None })
    }

    /// Another set of handles of the same root, for somebody who outlives this one.
    pub(crate) fn try_clone(&self) -> Result<Self, Errno> {
        let clone = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 0);
        Ok(Self {
            root: clone(&self.root)?,
            path: self.path.clone(),
            state: clone(&self.state)?,
            staging: Arc::clone(&self.staging),
            fence: self.fence.clone(),
        })
    }

    /// With the staging directory that there is now.
    pub(crate) fn reopen_staging(self) -> Result<Self, Errno> {
        let staging = Arc::new(Staging::open(&self.state)?);
        Ok(Self { staging, ..self })
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

    /// Fails if the root, or its staging, was removed: then nothing below it means anything.
    pub(crate) fn check_root(&self, path: &RelPath) -> Result<(), Error> {
        let gone = if self.is_gone() {
            "the build root was removed"
        } else if fstat(self.staging.handle()).is_ok_and(|stat| stat.st_nlink == 0) {
            "the build root's '.onewriter' was removed"
        } else {
            return Ok(());
        };
        Err(Error::new(Reason::RootGone, path.for_syscall(), gone))
    }

    /// The fault of a step that found its directory gone after it had been opened: look again from
    /// the top, unless the top itself is gone.
    pub(crate) fn vanished(&self, path: &RelPath) -> Fault {
        self.check_root(path).map_or_else(Fault::Failed, |()| Fault::Moved)
    }

    /// Whether `path` is a directory at this moment, symbolic links inside the root followed. One
    /// system call; a `false` may also mean that it takes a closer look to tell.
    pub fn is_directory(&self, path: &RelPath) -> bool {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path.for_syscall(), DIRECTORY, Mode::empty(), resolve).is_ok()
    }

    /// Whether the kernel remembers a directory at `path`, on which there is no symbolic link. It does
    /// not ask the filesystem, which would have to wait for whoever changes the directory above.
    pub(crate) fn remembers_directory(&self, path: &RelPath) -> bool {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED;
        match openat2(&self.root, path.for_syscall(), DIRECTORY, Mode::empty(), resolve) {
            // Before Linux 5.12 it cannot be asked that.
            Err(Errno::INVAL) => self.dir(path.as_bytes()).is_ok(),
            found => found.is_ok(),
        }
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
            Errno::NOENT | Errno::NOTDIR | Errno::ACCESS => {}
            errno => return Error::io(shown, "cannot open its directory", errno).into(),
        }
        if let Err(gone) = self.check_root(path) {
            return gone.into();
        }
        let mut above = &b"."[..];
        for end in component_ends(parent) {
            let part = &parent[..end];
            let kind = self.open_at(part, OFlags::PATH | OFlags::NOFOLLOW).and_then(fstat);
            let error = match kind.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::Directory) => {
                    above = part;
                    continue;
                }
                Ok(FileType::Symlink) | Err(Errno::LOOP) => return Fault::Moved,
                Ok(kind) => not_a_directory(shown, kind).at(part),
                // What was in the way stood before it, and is gone.
                Err(Errno::NOENT) if errno == Errno::NOTDIR => return Fault::Moved,
                Err(Errno::NOENT) => Error::new(Reason::NotFound, shown, "does not exist").at(part),
                // What cannot be searched is the directory above it.
                Err(Errno::ACCESS) => {
                    Error::io(shown, "cannot be searched", Errno::ACCESS).at(above)
                }
                Err(errno) => Error::io(shown, "cannot be looked at", errno).at(part),
            };
            return error.into();
        }
        // Whoever was in the way is gone again: the tree changed while we looked.
        Fault::Moved
    }

    /// Where in the tree the open `file` lies at this moment, by whatever name it was opened;
    /// `None` if outside.
    pub(crate) fn place_of(&self, file: BorrowedFd<'_>) -> Option<Vec<u8>> {
        let real = readlinkat(CWD, proc_path(file), Vec::new()).ok()?;
        let root = readlinkat(CWD, proc_path(self.root.as_fd()), Vec::new()).ok()?;
        strip_root(real.as_bytes(), root.as_bytes())
    }

    /// What is at `name` in `dir`, symbolic links not followed; `None` if nothing is. `path` is for
    /// the error.
    pub(crate) fn look(
        &self,
        dir: &Dir<'_>,
        name: &[u8],
        path: &RelPath,
    ) -> Result<Option<Stat>, Fault> {
        match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => self.check_root(path).map(|()| None).map_err(Fault::from),
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
pub(crate) fn proc_path(file: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Changes the mode of exactly what `file` refers to, which may be an `O_PATH` handle.
pub(crate) fn chmod_handle(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
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

/// `.onewriter`, which must lie in the root itself: a symbolic link in its place, as a checkout may
/// bring along, would have the daemon write wherever it leads.
fn open_state(root: &OwnedFd) -> Result<OwnedFd, Errno> {
    openat(root, STATE_DIR, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Something that is in the way of a directory.
pub(crate) fn not_a_directory(path: &[u8], kind: FileType) -> Error {
    Error::new(Reason::NotADirectory, path, format!("is {}, not a directory", describe(kind)))
}

/// Renames where nothing has the new name; `EEXIST` if something has.
pub(crate) fn rename_new(
    (from_dir, from): (BorrowedFd<'_>, &[u8]),
    (to_dir, to): (BorrowedFd<'_>, &[u8]),
) -> Result<(), Errno> {
    match renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE) {
        // NFS and some others know no such flag.
        Err(Errno::INVAL) => rename_new_by_link((from_dir, from), (to_dir, to)),
        done => done,
    }
}

/// A link refuses to replace anything, too; a directory, which cannot be linked, is moved over an
/// empty one that is made for it.
pub(crate) fn rename_new_by_link(
    (from_dir, from): (BorrowedFd<'_>, &[u8]),
    (to_dir, to): (BorrowedFd<'_>, &[u8]),
) -> Result<(), Errno> {
    let stat = statat(from_dir, from, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        linkat(from_dir, from, to_dir, to, AtFlags::empty())?;
        return unlinkat(from_dir, from, AtFlags::empty());
    }
    mkdirat(to_dir, to, Mode::RWXU)?;
    renameat(from_dir, from, to_dir, to).inspect_err(|_| {
        let _ = unlinkat(to_dir, to, AtFlags::REMOVEDIR);
    })
}

fn root_refused() -> Error {
    Error::new(
        Reason::BadRequest,
        b".",
        "the build root itself cannot be created, replaced or removed",
    )
}
