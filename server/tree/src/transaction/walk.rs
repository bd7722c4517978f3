//! Looking through a directory: what is in an upper one, or in one of the tree that is to go.

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, fstat, major, minor,
        openat2, statat,
    },
    io::Errno,
};

use super::{failed::Failed, xattr};
use crate::{
    error::Error,
    path::{RelPath, STATE_DIR, for_syscall},
    trash,
    tree::{DIRECTORY, chmod_handle},
};

/// What the owner of a directory needs to work in it.
pub(super) const OPEN: u32 = 0o700;

/// What an entry of an upper directory asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The path is to be removed.
    Whiteout,
    /// A directory; `opaque`: not merged with what is there; `copied`: of one of the tree, so that
    /// something could be put in it.
    Directory { opaque: bool, copied: bool },
    /// Anything else is to be there.
    Other(FileType),
}

/// Something in a directory that was walked.
#[derive(Debug)]
pub(super) struct Entry {
    pub path: RelPath,
    pub kind: Kind,
    /// As it was found: a directory's mode may have been opened since.
    pub stat: Stat,
    /// Whether overlayfs may have left a mark on it, if it is no directory.
    pub marked: bool,
    /// The attributes of a directory that overlayfs copied from the tree.
    pub dress: Option<xattr::Dress>,
    /// The index after the last entry below it.
    pub end: usize,
}

impl Entry {
    pub(super) fn mode(&self) -> u32 {
        self.stat.st_mode & 0o7777
    }

    pub(super) fn mtime(&self) -> Timespec {
        mtime(&self.stat)
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory { .. })
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == Kind::Other(FileType::RegularFile)
    }
}

pub(super) fn mtime(stat: &Stat) -> Timespec {
    Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ }
}

pub(super) fn ctime(stat: &Stat) -> Timespec {
    Timespec { tv_sec: stat.st_ctime, tv_nsec: stat.st_ctime_nsec as _ }
}

/// Owner and group.
pub(super) fn owner(stat: &Stat) -> (u32, u32) {
    (stat.st_uid, stat.st_gid)
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    kind(stat) == FileType::Directory
}

/// All that an upper directory holds: the root first, each directory before what is in it.
#[derive(Debug)]
pub(super) struct Contents {
    pub entries: Vec<Entry>,
    index: HashMap<RelPath, usize>,
}

impl Contents {
    /// Walks `upper`. Directories that their owner closed are opened, and stay so: what mode they
    /// had is in their entries.
    pub(super) fn of(upper: BorrowedFd<'_>) -> Result<Self, Error> {
        let entries =
            Walk { base: upper, of_upper: true, entries: Vec::new() }.run(RelPath::ROOT)?;
        let index = entries.iter().enumerate().map(|(i, entry)| (entry.path.clone(), i)).collect();
        Ok(Self { entries, index })
    }

    /// The entry of a path.
    pub(super) fn at(&self, path: &RelPath) -> Option<&Entry> {
        self.index_of(path).map(|i| &self.entries[i])
    }

    /// Where in the entries a path is.
    pub(super) fn index_of(&self, path: &RelPath) -> Option<usize> {
        self.index.get(path).copied()
    }

    /// The indices of what is below an entry.
    pub(super) fn below(&self, index: usize) -> std::ops::Range<usize> {
        index + 1..self.entries[index].end
    }
}

/// What is in the directory `path` of the tree, which comes first. What cannot be read is left out.
pub(super) fn below(root: BorrowedFd<'_>, path: &RelPath) -> Result<Vec<Entry>, Error> {
    Walk { base: root, of_upper: false, entries: Vec::new() }.run(path.clone())
}

struct Walk<'w> {
    base: BorrowedFd<'w>,
    of_upper: bool,
    entries: Vec<Entry>,
}

/// A directory on the way down, and those in it that are still to be walked.
struct Level {
    index: usize,
    left: Vec<(RelPath, Stat)>,
}

impl Walk<'_> {
    /// Opens each directory from the top, so that the depth costs no descriptors.
    fn run(mut self, top: RelPath) -> Result<Vec<Entry>, Error> {
        let found = statat(self.base, top.for_syscall(), AtFlags::SYMLINK_NOFOLLOW);
        let stat = found.map_err(|e| cannot_read(&top, e))?;
        let mut levels = vec![self.enter(top, stat)?];
        while let Some(level) = levels.last_mut() {
            if let Some((path, stat)) = level.left.pop() {
                levels.push(self.enter(path, stat)?);
            } else {
                self.entries[level.index].end = self.entries.len();
                levels.pop();
            }
        }
        Ok(self.entries)
    }

    /// Notes a directory, and all in it that are none.
    fn enter(&mut self, path: RelPath, stat: Stat) -> Result<Level, Error> {
        let index = self.entries.len();
        let kind = Kind::Directory { opaque: false, copied: false };
        let entry = Entry { path: path.clone(), kind, stat, marked: true, dress: None, end: 0 };
        self.entries.push(entry);
        let left = match self.read(index) {
            Ok(left) => left,
            Err(Failed::Errno(_)) if !self.of_upper => Vec::new(),
            Err(Failed::Errno(errno)) => return Err(cannot_read(&path, errno)),
            Err(Failed::Error(error)) => return Err(error),
        };
        Ok(Level { index, left })
    }

    fn read(&mut self, index: usize) -> Result<Vec<(RelPath, Stat)>, Failed> {
        let path = self.entries[index].path.clone();
        let dir = open_below(self.base, path.as_bytes())?;
        let mut impure = true;
        if self.of_upper {
            let mode = self.entries[index].mode();
            if mode & OPEN != OPEN {
                chmod_handle(dir.as_fd(), mode | OPEN)?;
            }
            let found = xattr::look(&xattr::place(dir.as_fd(), b"."))?;
            let (opaque, copied) = (found.opaque, found.dress.is_some());
            self.entries[index].kind = Kind::Directory { opaque, copied };
            self.entries[index].dress = found.dress;
            impure = found.impure;
        }
        let mut names = trash::list(dir.as_fd())?;
        names.sort_unstable();
        let mut directories = Vec::new();
        for name in names {
            // The whiteout that hides the state directory; and that of a root inside of this one,
            // which no path can name.
            if name == STATE_DIR.as_bytes() && (path.is_root() || !self.of_upper) {
                continue;
            }
            let stat = statat(&dir, &name[..], AtFlags::SYMLINK_NOFOLLOW)?;
            let path = path.child(&name)?;
            match kind(&stat) {
                FileType::Directory => directories.push((path, stat)),
                other => self.entries.push(Entry {
                    path,
                    kind: kind_of(other, &stat),
                    // A second name of a marked file makes no directory impure.
                    marked: impure || stat.st_nlink > 1,
                    stat,
                    dress: None,
                    end: self.entries.len() + 1,
                }),
            }
        }
        directories.reverse();
        Ok(directories)
    }
}

fn kind_of(kind: FileType, stat: &Stat) -> Kind {
    if is_whiteout(stat) { Kind::Whiteout } else { Kind::Other(kind) }
}

/// Whether it says that something is to be removed.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    let device = (major(stat.st_rdev), minor(stat.st_rdev));
    kind(stat) == FileType::CharacterDevice && device == (0, 0)
}

fn cannot_read(path: &RelPath, errno: Errno) -> Error {
    Error::io(path.for_syscall(), "cannot look through the directory", errno)
}

/// The directory at `path` below `base`, no symbolic link being followed.
fn open_below(base: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = DIRECTORY | OFlags::NOFOLLOW;
    openat2(base, for_syscall(path), flags, Mode::empty(), resolve)
}

/// A way to the directories that hold paths below one directory, which remembers the last: paths
/// come in such an order that it is mostly the same again.
pub(super) struct Folder<'f> {
    base: BorrowedFd<'f>,
    open: Option<(Vec<u8>, OwnedFd)>,
}

impl<'f> Folder<'f> {
    pub(super) fn new(base: BorrowedFd<'f>) -> Self {
        Self { base, open: None }
    }

    /// The directory below which it goes.
    pub(super) fn base(&self) -> BorrowedFd<'f> {
        self.base
    }

    /// The directory that holds `path`, and the name there; the top itself is `.`.
    pub(super) fn of<'p>(
        &mut self,
        path: &'p RelPath,
    ) -> Result<(BorrowedFd<'_>, &'p [u8]), Errno> {
        let Some((parent, name)) = path.split() else { return Ok((self.base, b".")) };
        if parent.is_empty() {
            return Ok((self.base, name));
        }
        let found = match self.open.take() {
            Some((at, dir)) if at == parent => (at, dir),
            _ => (parent.to_vec(), open_below(self.base, parent)?),
        };
        let open = self.open.insert(found);
        Ok((open.1.as_fd(), name))
    }

    /// What is at `path`; `None` if nothing is, or the way there is none of directories.
    pub(super) fn look(&mut self, path: &RelPath) -> Result<Option<Stat>, Errno> {
        let found = self.of(path).and_then(|(dir, name)| {
            if name == b"." { fstat(dir) } else { statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) }
        });
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}
