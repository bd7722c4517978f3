//! The store's directory: `SPACE/ab/abcd…` for what it holds, `incoming/` for what arrives.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, mkdirat,
        openat, renameat, statat, unlinkat, utimensat,
    },
    io::Errno,
    time::{ClockId, clock_gettime},
};

use crate::{
    digest::{from_hex, to_hex},
    index::{Key, Space},
};

/// Below `.onewriter/`.
const NAME: &str = "cas";

const INCOMING: &str = "incoming";

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The store's directories, by handle.
#[derive(Debug)]
pub(crate) struct Disk {
    top: OwnedFd,
    incoming: OwnedFd,
    /// What its names in `incoming/` begin with. Nobody else's do: a daemon that lost the root, and goes
    /// on later, must not take what its successor receives for its own.
    prefix: String,
    next: AtomicU64,
}

/// A file that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) size: u64,
    /// When it was last used, as it was written down.
    pub(crate) used: i64,
    /// When it was last changed in any way; a use that is written down is a change, too.
    pub(crate) changed: i64,
}

impl Disk {
    /// Opens the store's directory in `state`, which is made where it is missing. What an earlier
    /// daemon was receiving is cleared away: the caller owns the root.
    pub(crate) fn open(state: BorrowedFd<'_>) -> Result<Self, Errno> {
        let top = made(state, NAME)?;
        for space in Space::ALL {
            made(&top, space.name())?;
        }
        let incoming = made(&top, INCOMING)?;
        let prefix = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let disk = Self { top, incoming, prefix, next: AtomicU64::new(0) };
        for name in names(&disk.incoming)? {
            unlinkat(&disk.incoming, &*name, AtFlags::empty())?;
        }
        Ok(disk)
    }

    /// Whether the store's directory is there.
    pub(crate) fn is_made(state: BorrowedFd<'_>) -> bool {
        statat(state, NAME, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// All that the store holds. Whatever else lies there is no business of the store's.
    pub(crate) fn list(&self) -> Result<Vec<Found>, Errno> {
        let mut found = Vec::new();
        for space in Space::ALL {
            let dir = openat(&self.top, space.name(), DIRECTORY, Mode::empty())?;
            for name in names(&dir)? {
                let Ok(part) = openat(&dir, &*name, DIRECTORY, Mode::empty()) else { continue };
                for name in names(&part)? {
                    let Some(hash) = from_hex(&name) else { continue };
                    let stat = statat(&part, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
                    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                        let (size, key) = (stat.st_size as u64, Key { space, hash });
                        let (used, changed) = (stat.st_mtime, stat.st_ctime);
                        found.push(Found { key, size, used, changed });
                    }
                }
            }
        }
        Ok(found)
    }

    /// The size of what is there, if it is.
    pub(crate) fn size(&self, key: Key) -> Result<Option<u64>, Errno> {
        match statat(&self.top, path(key), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.st_size as u64)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens what is there for reading, if it is.
    pub(crate) fn file(&self, key: Key) -> Result<Option<File>, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.top, path(key), flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// A new file for what arrives, and its name.
    pub(crate) fn receive(&self) -> Result<(File, String), Errno> {
        let name = format!("{}-{}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.incoming, &*name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok((file.into(), name))
    }

    /// Gives what has arrived its name, in the place of what has it. Nobody writes to it any more.
    pub(crate) fn keep(&self, file: &File, name: &str, key: Key) -> Result<(), Errno> {
        fchmod(file, Mode::RUSR)?;
        let rename = || renameat(&self.incoming, name, &self.top, path(key));
        match rename() {
            Err(Errno::NOENT) => {
                match mkdirat(&self.top, directory(key), Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                rename()
            }
            done => done,
        }
    }

    /// Deletes what arrived.
    pub(crate) fn refuse(&self, name: &str) {
        // It was renamed, or the next daemon clears it away.
        let _ = unlinkat(&self.incoming, name, AtFlags::empty());
    }

    /// Deletes what the store holds.
    pub(crate) fn delete(&self, key: Key) {
        // What cannot be deleted is found again by the next daemon.
        let _ = unlinkat(&self.top, path(key), AtFlags::empty());
    }

    /// Writes down when it was used, in seconds since 1970.
    pub(crate) fn date(&self, key: Key, used: i64) {
        let omitted = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let used = Timespec { tv_sec: used, tv_nsec: 0 };
        let times = Timestamps { last_access: omitted, last_modification: used };
        // It is for the order of eviction only.
        let _ = utimensat(&self.top, path(key), &times, AtFlags::SYMLINK_NOFOLLOW);
    }
}

fn directory(key: Key) -> String {
    format!("{}/{:02x}", key.space.name(), key.hash[0])
}

fn path(key: Key) -> String {
    format!("{}/{}", directory(key), to_hex(&key.hash))
}

/// Makes a directory unless it is there, and opens it.
fn made(dir: impl rustix::fd::AsFd, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(&dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => openat(&dir, name, DIRECTORY, Mode::empty()),
        Err(errno) => Err(errno),
    }
}

/// The names in a directory that are text.
fn names(dir: impl rustix::fd::AsFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// When the machine started, in seconds since 1970; a second later rather than earlier.
pub(crate) fn started() -> i64 {
    now() - clock_gettime(ClockId::Boottime).tv_sec
}

/// Reads all of a file from its beginning, wherever it stands.
pub(crate) fn read_through(file: &File, mut take: impl FnMut(&[u8])) -> Result<(), io::Error> {
    use std::os::unix::fs::FileExt as _;
    let (mut buffer, mut at) = (vec![0; 128 << 10], 0);
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                take(&buffer[..n]);
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
