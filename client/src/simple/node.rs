//! What stands at a path: as it is on the disk, or as it will be.

use onewriter_proto::v1::Time;
use rustix::fs::{FileType, Stat};

/// What stands at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The twelve permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u64,
    /// Device and inode; `None` for what is not there yet.
    pub(super) inode: Option<(u64, u64)>,
    /// Access and modification time, where they are known.
    pub(super) times: Option<(Time, Time)>,
    /// Where it lies on the disk, relative to the root; `None` for what is not there yet.
    pub(super) disk: Option<Vec<u8>>,
    /// What a line wrote into it itself.
    pub(super) content: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    File,
    Directory,
    /// A symbolic link that says this.
    Link(Vec<u8>),
    Other,
}

/// Set-id and sticky bits, about whose fate tools and kernels have rules of their own.
pub(super) const SPECIAL: u32 = 0o7000;

impl Node {
    /// Nothing.
    pub(super) fn missing() -> Self {
        Self::new(Kind::Missing, 0, (0, 0))
    }

    /// What a command makes.
    pub(super) fn new(kind: Kind, mode: u32, (uid, gid): (u32, u32)) -> Self {
        Self { kind, mode, uid, gid, links: 1, inode: None, times: None, disk: None, content: None }
    }

    /// What is on the disk.
    pub(super) fn found(stat: &Stat, kind: Kind, disk: Vec<u8>) -> Self {
        let time = |seconds, nanoseconds: u64| Time { seconds, nanoseconds: nanoseconds as u32 };
        Self {
            mode: stat.st_mode & 0o7777,
            links: stat.st_nlink,
            inode: Some((stat.st_dev, stat.st_ino)),
            times: Some((
                time(stat.st_atime, stat.st_atime_nsec),
                time(stat.st_mtime, stat.st_mtime_nsec),
            )),
            disk: Some(disk),
            ..Self::new(kind, 0, (stat.st_uid, stat.st_gid))
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    pub(super) fn is_link(&self) -> bool {
        matches!(self.kind, Kind::Link(_))
    }

    pub(super) fn is_special(&self) -> bool {
        self.mode & SPECIAL != 0
    }

    /// Whether both are names of one file.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.inode.is_some() && self.inode == other.inode
    }
}

/// What a file type is to a line.
pub(super) fn kind(stat: &Stat, says: impl FnOnce() -> Option<Vec<u8>>) -> Option<Kind> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link(says()?),
        _ => Kind::Other,
    })
}
