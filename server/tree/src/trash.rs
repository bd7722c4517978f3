//! Deleting a tree that nobody can see any more, by directory handle.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, chmodat, fstat, openat, unlinkat},
    io::Errno,
};

/// Deeper than any path that one system call can name; each level holds a descriptor open.
const MAX_DEPTH: usize = 2100;

/// The names in a directory, without `.` and `..`.
pub(crate) fn list(dir: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = openat(dir, ".", flags, Mode::empty())?;
    names(&readable)
}

fn names(dir: impl std::os::fd::AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let entries =
        Dir::read_from(dir)?.map(|entry| entry.map(|e| e.file_name().to_bytes().to_vec()));
    entries.filter(|name| !matches!(name.as_deref(), Ok(b"." | b".."))).collect()
}

/// Deletes `name` in `dir`, and everything below it if it is a directory. Never follows a symbolic
/// link, never crosses into another filesystem (`EXDEV`), and opens directories that their owner
/// closed. Goes on after a failure and reports the first.
pub(crate) fn delete(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        // Linux says EISDIR, others EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) | Ok(()) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    let device = fstat(dir)?.st_dev;
    delete_directory(dir, name, device, 0)
}

fn delete_directory(
    dir: BorrowedFd<'_>,
    name: &[u8],
    device: u64,
    depth: usize,
) -> Result<(), Errno> {
    if depth > MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let below = open_directory(dir, name)?;
    if fstat(&below)?.st_dev != device {
        return Err(Errno::XDEV);
    }
    let mut first = Ok(());
    for entry in Dir::read_from(&below)? {
        let entry = entry?;
        let child = entry.file_name().to_bytes();
        if child == b"." || child == b".." {
            continue;
        }
        let deleted = match entry.file_type() {
            FileType::Directory => delete_directory(as_fd(&below), child, device, depth + 1),
            _ => unlink_any(as_fd(&below), child, device, depth + 1),
        };
        first = first.and(deleted);
    }
    first?;
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn unlink_any(dir: BorrowedFd<'_>, name: &[u8], device: u64, depth: usize) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => delete_directory(dir, name, device, depth),
        Err(Errno::NOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Opens a directory to empty it, giving its owner the permission to do so where that lacks.
fn open_directory(dir: BorrowedFd<'_>, name: &[u8]) -> Result<std::os::fd::OwnedFd, Errno> {
    use rustix::fs::{Access, accessat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let usable =
        accessat(dir, name, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    if usable == Err(Errno::ACCESS) {
        let handle =
            openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let _ =
            chmodat(rustix::fs::CWD, crate::tree::proc_path(&handle), Mode::RWXU, AtFlags::empty());
    }
    openat(dir, name, flags, Mode::empty())
}

fn as_fd(fd: &std::os::fd::OwnedFd) -> BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(fd)
}
