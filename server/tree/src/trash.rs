//! Deleting a tree that nobody can see any more, by directory handle.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, accessat, fstat, openat, unlinkat},
    io::Errno,
};

use crate::tree::chmod_handle;

const READABLE: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The names in a directory, without `.` and `..`.
pub(crate) fn list(dir: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    Ok(entries(openat(dir, ".", READABLE, Mode::empty())?)?.into_iter().map(|e| e.0).collect())
}

fn entries(dir: impl AsFd) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let all = Dir::read_from(dir)?
        .map(|entry| entry.map(|e| (e.file_name().to_bytes().to_vec(), e.file_type())));
    all.filter(|entry| !matches!(entry, Ok((name, _)) if name == b"." || name == b"..")).collect()
}

/// Deletes `name` in `dir`, and everything below it if it is a directory. Never follows a symbolic
/// link, never crosses into another filesystem (`EXDEV`), and opens directories that their owner
/// closed. Goes on after a failure and reports the first. However deep the tree, it takes a
/// handful of descriptors.
pub(crate) fn delete(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        // Linux says EISDIR, others EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        done => return gone(done),
    }
    let device = fstat(dir)?.st_dev;
    let mut sweep = Sweep { device, first: Ok(()) };
    match sweep.delete(dir, name) {
        Err(Errno::NOENT) => Ok(()),
        done => done.and(sweep.first),
    }
}

/// A directory on the way down, whose files are gone.
struct Level {
    name: Vec<u8>,
    id: (u64, u64),
    /// The directories in it that are still there.
    left: Vec<Vec<u8>>,
}

struct Sweep {
    device: u64,
    /// The first failure.
    first: Result<(), Errno>,
}

impl Sweep {
    /// Goes down and up again by `..` rather than by a descriptor kept open for each level.
    fn delete(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let (mut here, top) = self.enter(dir, name)?;
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            if let Some(child) = level.left.pop() {
                match self.enter(here.as_fd(), &child) {
                    Ok((below, level)) => {
                        here = below;
                        levels.push(level);
                    }
                    failed => self.note(failed.map(drop)),
                }
                continue;
            }
            let Some(empty) = levels.pop() else { break };
            let Some(above) = levels.last() else { break };
            here = openat(&here, "..", READABLE, Mode::empty())?;
            if id(&here)? != above.id {
                // Somebody moved it away under us.
                return Err(Errno::AGAIN);
            }
            self.note(unlinkat(&here, &empty.name[..], AtFlags::REMOVEDIR));
        }
        self.note(unlinkat(dir, name, AtFlags::REMOVEDIR));
        Ok(())
    }

    /// Opens the directory `name` in `dir` and removes from it all that is not a directory.
    fn enter(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(OwnedFd, Level), Errno> {
        let here = open_directory(dir, name)?;
        let id = id(&here)?;
        if id.0 != self.device {
            return Err(Errno::XDEV);
        }
        let mut left = Vec::new();
        for (child, kind) in entries(&here)? {
            if kind == FileType::Directory {
                left.push(child);
                continue;
            }
            match unlinkat(&here, &child[..], AtFlags::empty()) {
                // Not every filesystem says what an entry is.
                Err(Errno::ISDIR) => left.push(child),
                done => self.note(done),
            }
        }
        Ok((here, Level { name: name.to_vec(), id, left }))
    }

    fn note(&mut self, done: Result<(), Errno>) {
        self.first = self.first.and(gone(done));
    }
}

/// What somebody else deleted is deleted.
fn gone(done: Result<(), Errno>) -> Result<(), Errno> {
    if done == Err(Errno::NOENT) { Ok(()) } else { done }
}

fn id(file: &OwnedFd) -> Result<(u64, u64), Errno> {
    fstat(file).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Opens a directory to empty it, giving its owner the permission to do so where that lacks.
fn open_directory(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    if accessat(dir, name, all, AtFlags::EACCESS) == Err(Errno::ACCESS) {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(dir, name, flags, Mode::empty())?;
        // Where even that is refused, opening it says why.
        let _ = chmod_handle(handle.as_fd(), 0o700);
    }
    openat(dir, name, READABLE, Mode::empty())
}
