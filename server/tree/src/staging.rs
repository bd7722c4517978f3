//! Where content waits, on the root's own filesystem, until it is renamed into place.
//!
//! No temporary name appears anywhere else in the tree. A [`Staged`] file is owned: dropped before
//! it was placed, it is gone. Names say whose they are: `s-` the daemon's, which lie in directories
//! of its own, `b-`; `c-` a client's (locked by it while it writes), `x-` a transaction's directory,
//! `t-` what was removed and waits to be deleted.

use std::{
    ffi::OsStr,
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{
        AtFlags, CWD, FlockOperation, IFlags, Mode, OFlags, RenameFlags, flock, fstat,
        ioctl_getflags, ioctl_setflags, linkat, mkdirat, openat, renameat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
};

use crate::{
    content,
    transaction::spare::{self, Spares},
    trash,
    tree::{DIRECTORY, proc_path, rename_new},
};

/// The directory's name in `.onewriter/`.
pub(crate) const NAME: &str = "staging";

/// The prefix of transactions' directories that are over and may be used again.
const REUSABLE: &str = "t-x-";

/// The prefix of the directories over which the daemon's files are spread.
const BAY_PREFIX: &str = "b-";

/// The prefix of what the daemon makes.
const OUR_PREFIX: &str = "s-";

/// How many directories the daemon's files are spread over.
const BAYS: usize = 16;

/// The prefix of names that clients write into staging.
const CLIENT_PREFIX: &str = "c-";

/// Unique among the names of this process; the process id makes them unique among processes.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The staging directory of one root.
#[derive(Debug)]
pub struct Staging {
    dir: OwnedFd,
    /// Where the daemon's files wait: see [`Staging::spread`].
    bays: OnceLock<Vec<OwnedFd>>,
    /// What all names in it begin with.
    prefix: &'static str,
    discarded: AtomicU64,
    spares: Spares,
}

/// What names begin with that have to lie beside what is published: hidden from patterns, and
/// nothing that anybody else would take.
const BESIDE: &str = ".onewriter-";

impl Staging {
    pub(crate) fn make(state: &OwnedFd) -> Result<(), Errno> {
        match mkdirat(state, NAME, Mode::from_raw_mode(0o700)) {
            Err(Errno::EXIST) | Ok(()) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(crate) fn open(state: &OwnedFd) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(state, NAME, flags, Mode::empty()).map(|dir| Self::new(dir, ""))
    }

    /// For want of a directory of its own: `dir`, in which other things lie too.
    pub(crate) fn beside(dir: OwnedFd) -> Self {
        Self::new(dir, BESIDE)
    }

    fn new(dir: OwnedFd, prefix: &'static str) -> Self {
        let (bays, spares) = (OnceLock::new(), Spares::default());
        Self { dir, bays, prefix, discarded: AtomicU64::new(0), spares }
    }

    /// From now on, what [`Staging::create_own`] makes is spread over directories that lie far from
    /// each other on the disk, where the filesystem is one that has use for that. A publish that
    /// replaces a file makes one inode and frees another, and ext4 passes over those freed in the
    /// last minute one by one, in the block group of the directory: a publish takes 25 us where those
    /// are spread, and 80 to 320 where they are not.
    ///
    /// For the daemon, which lives long: the next one deletes the directories.
    pub fn spread(&self) -> Result<(), Errno> {
        // By this flag, ext4 places each directory below in a block group of its own, and so also
        // what transactions write. Other filesystems do not know it.
        let flags = ioctl_getflags(&self.dir)?;
        ioctl_setflags(&self.dir, flags | IFlags::TOPDIR)?;
        let bay = || {
            let name = self.name(BAY_PREFIX);
            mkdirat(&self.dir, &*name, Mode::RWXU)?;
            openat(&self.dir, &*name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
        };
        let bays = (0..BAYS).map(|_| bay()).collect::<Result<_, _>>()?;
        let _ = self.bays.set(bays);
        Ok(())
    }

    pub(crate) fn name(&self, whose: &str) -> String {
        Self::fresh_name(&[self.prefix, whose].concat())
    }

    /// A name that nothing in staging has.
    pub fn fresh_name(prefix: &str) -> String {
        let nonce = NEXT.fetch_add(1, Ordering::Relaxed);
        let born = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let born = born.map_or(0, |d| d.as_nanos() as u64);
        format!("{prefix}{}-{born:x}-{nonce:x}", rustix::process::getpid())
    }

    /// A new file under a name in staging, open for reading and writing, which another process may
    /// [adopt](Staging::adopt).
    pub fn create_for_others(self: &Arc<Self>) -> Result<Staged, Errno> {
        loop {
            let staged = self.create_in(None, self.name(CLIENT_PREFIX))?;
            flock(&staged.file, FlockOperation::LockExclusive)?;
            // A daemon that starts may have deleted it before it was locked.
            if fstat(&staged.file)?.st_nlink > 0 {
                return Ok(staged);
            }
        }
    }

    /// The same for this process alone.
    pub fn create_own(self: &Arc<Self>) -> Result<Staged, Errno> {
        let bay = self.bays.get().map(|bays| NEXT.load(Ordering::Relaxed) as usize % bays.len());
        match self.create_in(bay, self.name(OUR_PREFIX)) {
            // Somebody has cleared staging.
            Err(Errno::NOENT) if bay.is_some() => self.create_in(None, self.name(OUR_PREFIX)),
            done => done,
        }
    }

    fn create_in(self: &Arc<Self>, bay: Option<usize>, name: String) -> Result<Staged, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(self.bay(bay), &*name, flags, Mode::from_raw_mode(0o600))?;
        Ok(Staged { file: file.into(), name: Some(name), bay, staging: Arc::clone(self) })
    }

    fn bay(&self, bay: Option<usize>) -> &OwnedFd {
        bay.and_then(|bay| self.bays.get()?.get(bay)).unwrap_or(&self.dir)
    }

    /// A new file without a name, in `dir`: it inherits what that directory hands down (group,
    /// access lists, project) and cannot be left behind. Not every filesystem has such.
    pub(crate) fn nameless(self: &Arc<Self>, dir: impl AsFd) -> Result<Staged, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(dir, ".", flags, Mode::from_raw_mode(0o600))?;
        Ok(Staged { file: file.into(), name: None, bay: None, staging: Arc::clone(self) })
    }

    /// Takes over a file that a client wrote into staging.
    pub fn adopt(self: &Arc<Self>, name: &[u8]) -> Result<Staged, Errno> {
        let text = std::str::from_utf8(name)
            .ok()
            .filter(|n| !n.contains('/'))
            .filter(|name| self.is_clients(name.as_bytes()));
        let text = text.ok_or(Errno::INVAL)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = openat(&self.dir, text, flags, Mode::empty())?.into();
        Ok(Staged { file, name: Some(text.to_owned()), bay: None, staging: Arc::clone(self) })
    }

    /// Moves `name` out of `dir` into staging, where it is one of the [`Staging::leftovers`].
    pub(crate) fn discard(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        self.discard_as("t-", dir, name)
    }

    /// The same of a transaction's directory, which may be used again.
    pub(crate) fn discard_reusable(&self, name: &[u8]) -> Result<(), Errno> {
        self.discard_as(REUSABLE, self.dir.as_fd(), name)
    }

    fn discard_as(&self, whose: &str, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        renameat(dir, name, &self.dir, self.name(whose))?;
        self.discarded.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    /// A name in staging that `make` gives to a new link, moved to `name` in `dir` at once. Where that is
    /// taken, the link takes its place if it `replaces`; otherwise this is `EEXIST`.
    pub(crate) fn place_link(
        &self,
        (dir, name): (BorrowedFd<'_>, &[u8]),
        replaces: bool,
        make: impl FnOnce(BorrowedFd<'_>, &str) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let temporary = self.name(OUR_PREFIX);
        make(self.dir.as_fd(), &temporary)?;
        let placed = match replaces {
            true => renameat(&self.dir, &*temporary, dir, name),
            false => rename_new((self.dir.as_fd(), temporary.as_bytes()), (dir, name)),
        };
        // Also where it went well: between two names of one file, rename(2) does nothing at all.
        let _ = unlinkat(&self.dir, &*temporary, AtFlags::empty());
        placed
    }

    /// All names.
    pub(crate) fn names(&self) -> Result<Vec<Vec<u8>>, Errno> {
        trash::list(self.dir.as_fd())
    }

    /// What waits: files and trees, and not the directories over which files are spread.
    pub fn waiting(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with(BAY_PREFIX.as_bytes()));
        for bay in self.bays.get().into_iter().flatten() {
            names.extend(trash::list(bay.as_fd())?);
        }
        Ok(names)
    }

    /// The names that nobody needs any more: removed trees; and, for the daemon that starts
    /// (`all`), whatever earlier daemons and clients left behind. A client's file that is still
    /// being written is locked, and not among them.
    pub fn leftovers(&self, all: bool) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = self.names()?;
        names.retain(|name| match name.strip_prefix(self.prefix.as_bytes()) {
            None => false,
            Some([b't', b'-', ..]) => true,
            Some([b'c', b'-', ..]) => all && !self.is_locked(name),
            Some(_) => all,
        });
        Ok(names)
    }

    /// Deletes one of the [`Staging::leftovers`], with everything below it. A client's file stays if
    /// that client has locked it meanwhile; one that is about to will see that it is gone.
    pub fn delete(&self, name: &[u8]) -> Result<(), Errno> {
        let locked = self.is_clients(name).then(|| self.lock(name));
        if matches!(locked, Some(Err(Errno::WOULDBLOCK))) {
            return Ok(());
        }
        trash::delete(self.dir.as_fd(), name)
    }

    /// Empties one of the [`Staging::leftovers`] and keeps it to be used again, where it is of that
    /// kind, and deletes it where not. `state` is `.onewriter/`.
    pub fn reuse(&self, state: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let reusable = std::str::from_utf8(name).ok().filter(|name| name.starts_with(REUSABLE));
        match reusable.map(|name| spare::keep(state, self, name)) {
            Some(Ok(())) => Ok(()),
            _ => self.delete(name),
        }
    }

    /// The directory, open for reading: a handle by which its filesystem can be synchronised.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// How many trees and files were moved here to be deleted, ever.
    pub fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }

    /// Whether a client made the file.
    fn is_clients(&self, name: &[u8]) -> bool {
        let name = name.strip_prefix(self.prefix.as_bytes());
        name.is_some_and(|name| name.starts_with(CLIENT_PREFIX.as_bytes()))
    }

    /// Whether a client holds the file.
    fn is_locked(&self, name: &[u8]) -> bool {
        self.lock(name).is_err_and(|errno| errno == Errno::WOULDBLOCK)
    }

    /// The file, locked while the answer lives.
    fn lock(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.dir, name, flags, Mode::empty())?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    }
}

/// A file that waits in staging. Dropped before it was placed, it is removed.
#[derive(Debug)]
pub struct Staged {
    file: File,
    /// Its name in staging; `None` for a nameless one, and once it was placed.
    name: Option<String>,
    /// Which of the staging's directories has that name; `None` for the topmost.
    bay: Option<usize>,
    staging: Arc<Staging>,
}

impl Staged {
    fn dir(&self) -> &OwnedFd {
        self.staging.bay(self.bay)
    }

    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Copies all of `from` into it, while it is empty; shares the blocks where the filesystem can.
    /// `size` is what `from` was last seen to have; returns the bytes copied.
    pub fn fill(&self, from: &File, size: u64) -> Result<u64, Errno> {
        content::copy(from, &self.file, size)
    }

    /// Its name in staging, where it has one.
    pub fn name(&self) -> Option<&OsStr> {
        self.name.as_deref().map(|name| OsStr::from_bytes(name.as_bytes()))
    }

    /// Whether it still lies in staging under its name, where it has one.
    pub(crate) fn is_waiting(&self) -> bool {
        let is_there = |name: &String| {
            let found = statat(self.dir(), &**name, AtFlags::SYMLINK_NOFOLLOW);
            !matches!(found, Err(Errno::NOENT))
        };
        self.name.as_ref().is_none_or(is_there)
    }

    /// Leaves the file in staging under its name, for somebody else to adopt.
    pub fn leave(mut self) -> Option<String> {
        self.name.take()
    }

    /// Puts the file at `name` in `dir` in one step, where nothing is. `EEXIST` if something is.
    pub(crate) fn place_new(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let Some(staged) = &self.name else {
            return linkat(CWD, proc_path(self.file.as_fd()), dir, name, AtFlags::SYMLINK_FOLLOW);
        };
        rename_new((self.dir().as_fd(), staged.as_bytes()), (dir, name))?;
        self.name = None;
        Ok(())
    }

    /// Puts the file at `name` in `dir` in one step, in the place of what is there.
    ///
    /// A file whose content is `synced` is renamed over it. One that is not is exchanged with it:
    /// ext4 would write the content out at such a rename, against a power cut, which takes as long
    /// as all the rest together and is not what a publish promises that is not durable.
    pub(crate) fn place_over(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        synced: bool,
    ) -> Result<(), Errno> {
        if self.name.is_none() {
            let temporary = self.staging.name(OUR_PREFIX);
            linkat(
                CWD,
                proc_path(self.file.as_fd()),
                self.dir(),
                &*temporary,
                AtFlags::SYMLINK_FOLLOW,
            )?;
            self.name = Some(temporary);
        }
        let staged = self.name.as_deref().unwrap_or_default();
        if !synced && self.exchange(staged, dir, name)? {
            self.name = None;
            return Ok(());
        }
        renameat(self.dir(), staged, dir, name)?;
        self.name = None;
        Ok(())
    }

    /// Exchanges the file with what is at `name` in `dir`, and removes that. `false` if nothing is
    /// there, or the filesystem cannot do it. Never takes a directory away.
    fn exchange(&self, staged: &str, dir: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
        let exchange = || renameat_with(self.dir(), staged, dir, name, RenameFlags::EXCHANGE);
        match exchange() {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return Ok(false),
            Err(errno) => return Err(errno),
        }
        match unlinkat(self.dir(), staged, AtFlags::empty()) {
            // A directory came to stand there since it was looked at: put it back.
            Err(Errno::ISDIR | Errno::PERM) => exchange().and(Err(Errno::ISDIR)),
            Err(_) => {
                // The new file is in its place all the same; the sweeper tries again.
                let _ = self.staging.discard(self.dir().as_fd(), staged.as_bytes());
                Ok(true)
            }
            Ok(()) => Ok(true),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            let _ = unlinkat(self.dir(), &*name, AtFlags::empty());
        }
    }
}
