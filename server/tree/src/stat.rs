//! Looking at the tree. Nothing here needs a lock: a publish is one step, so that whoever opens a
//! path has the whole old file or the whole new one.

use std::fs::File;

use rustix::fs::{FileType, Mode, OFlags, Timespec, fstat, openat, readlinkat};

use crate::{
    error::{Error, Reason},
    path::RelPath,
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
    let path = tree.canonicalize(path, last)?;
    let shown = path.for_syscall();
    let file = match tree.open_at(path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok((path, None)),
        Err(e) => return Err(Error::io(shown, "cannot look at it", e)),
    };
    let found = fstat(&file).map_err(|e| Error::io(shown, "cannot look at it", e))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let target = (kind == FileType::Symlink)
        .then(|| readlinkat(&file, "", Vec::new()).map(|t| t.into_bytes()));
    let stat = Stat {
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
    };
    Ok((path, Some(stat)))
}

/// Opens a regular file for reading; symbolic links are followed, inside the root.
pub fn open_file(tree: &Tree, path: &RelPath) -> Result<(File, Stat), Error> {
    let (path, stat) = stat(tree, path, Last::Follow)?;
    let shown = path.for_syscall();
    let Some(stat) = stat else {
        return Err(Error::new(Reason::NotFound, shown, "it does not exist"));
    };
    match stat.kind {
        FileType::RegularFile => {}
        FileType::Directory => {
            return Err(Error::new(Reason::IsADirectory, shown, "is a directory"));
        }
        kind => {
            let why = format!("is {}, not a regular file", describe(kind));
            return Err(Error::new(Reason::Source, shown, why));
        }
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |name: &[u8]| match tree.parent(&path) {
        Ok((dir, _)) => openat(dir, name, flags, Mode::empty())
            .map_err(|e| Error::io(shown, "cannot open it", e)),
        Err(crate::Fault::Failed(error)) => Err(error),
        Err(crate::Fault::Moved) => {
            Err(Error::new(Reason::SymlinkRace, shown, "symbolic links on the way kept changing"))
        }
    };
    let file: File = open(path.name().unwrap_or(b"."))?.into();
    // The path may have been published anew since it was described: describe what was opened.
    let size = file.metadata().map(|m| m.len()).unwrap_or(stat.size);
    Ok((file, Stat { size, ..stat }))
}
