//! Looking at the tree. Nothing here needs a lock: a publish is one step, so that whoever opens a
//! path has the whole old file or the whole new one.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, Timespec, fstat, openat, readlinkat},
    io::Errno,
};

use crate::{
    error::{Error, Reason},
    mutation::{MAX_RESOLUTIONS, moving},
    path::{RelPath, STATE_DIR},
    trash,
    tree::{Last, Tree, describe},
};

pub use rustix::fs::FileType as FileKind;

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Where it really is.
    pub path: RelPath,
    /// What it is.
    pub kind: FileKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// In bytes.
    pub size: u64,
    /// Inode number.
    pub inode: u64,
    /// Number of names.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timespec,
    /// What a symbolic link says.
    pub target: Option<Vec<u8>>,
}

/// Describes `path`; `None` in place of it if nothing is there. Also says where it really is.
pub fn stat(tree: &Tree, path: &RelPath, last: Last) -> Result<(RelPath, Option<Stat>), Error> {
    let (real, found) = open_any(tree, path, last, OFlags::PATH | OFlags::NOFOLLOW)?;
    Ok((real, found.map(|(_, stat)| stat)))
}

/// Opens a regular file for reading; symbolic links are followed, inside the root.
pub fn open_file(tree: &Tree, path: &RelPath) -> Result<(File, Stat), Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let refuse =
        |path: &RelPath, reason, why: &str| Err(Error::new(reason, path.for_syscall(), why));
    let (real, file, stat) = match open_any(tree, path, Last::Follow, flags) {
        Ok((real, Some((file, stat)))) => (real, file, stat),
        Ok((real, None)) => return refuse(&real, Reason::NotFound, "it does not exist"),
        // A socket.
        Err(e) if e.errno == Some(Errno::NXIO) => {
            return refuse(path, Reason::Source, "it is not a regular file");
        }
        Err(error) => return Err(error),
    };
    match stat.kind {
        FileType::RegularFile => Ok((file.into(), stat)),
        FileType::Directory => refuse(&real, Reason::IsADirectory, "it is a directory"),
        kind => {
            let why = format!("it is {}, not a regular file", describe(kind));
            refuse(&real, Reason::Source, &why)
        }
    }
}

/// Describes what is in the directory at `path`, by name; `None` if there is no directory.
pub fn list(tree: &Tree, path: &RelPath) -> Result<Option<Vec<Stat>>, Error> {
    let fail = |errno| Error::io(path.for_syscall(), "cannot list it", errno);
    let dir = match tree.open_at(path.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(fail(errno)),
    };
    let mut names = trash::list(dir.as_fd()).map_err(fail)?;
    names.retain(|name| name != STATE_DIR.as_bytes());
    names.sort();
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match openat(&dir, &*name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        {
            Ok(handle) => found.push(describe_open(&handle, &path.child(&name)?)?),
            // Somebody removed it just now.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(fail(errno)),
        }
    }
    Ok(Some(found))
}

/// Opens what `path` leads to, and describes that very thing; `None` if nothing is there.
fn open_any(
    tree: &Tree,
    path: &RelPath,
    last: Last,
    flags: OFlags,
) -> Result<(RelPath, Option<(OwnedFd, Stat)>), Error> {
    for _ in 0..MAX_RESOLUTIONS {
        let real = tree.canonicalize(path, last)?;
        match tree.open_at(real.as_bytes(), flags) {
            Ok(file) => {
                let stat = describe_open(&file, &real)?;
                if last == Last::Keep || stat.kind != FileType::Symlink {
                    return Ok((real, Some((file, stat))));
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {
                tree.check_root(path)?;
                return Ok((real, None));
            }
            // A symbolic link came to stand there, or on the way.
            Err(Errno::LOOP) => {}
            Err(e) => return Err(Error::io(real.for_syscall(), "cannot open it", e)),
        }
    }
    Err(moving(path))
}

fn describe_open(file: &OwnedFd, path: &RelPath) -> Result<Stat, Error> {
    let found = fstat(file).map_err(|e| Error::io(path.for_syscall(), "cannot look at it", e))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let target = (kind == FileType::Symlink)
        .then(|| readlinkat(file, "", Vec::new()).map(|t| t.into_bytes()));
    Ok(Stat {
        kind,
        mode: found.st_mode & 0o7777,
        size: found.st_size as u64,
        inode: found.st_ino,
        links: found.st_nlink,
        uid: found.st_uid,
        gid: found.st_gid,
        mtime: Timespec { tv_sec: found.st_mtime, tv_nsec: found.st_mtime_nsec as _ },
        target: target.and_then(Result::ok),
        path: path.clone(),
    })
}
