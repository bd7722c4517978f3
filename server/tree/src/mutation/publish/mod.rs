//! Publishing: a complete file at a path in one step, and nothing at all where the path has that
//! content already.

mod source;

use std::fs::File;

use rustix::{
    fs::{
        FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
        fchmod, fchown, fstat, futimens, openat,
    },
    io::Errno,
};

pub use self::source::Source;
use self::source::{Step, put};
use super::{Change, Claim, Effects, Mutation, Outcome, directory::parent_or_make};
use crate::{
    content,
    error::{Error, Reason},
    path::RelPath,
    staging::Staged,
    tree::{Fault, Last, Tree},
};

/// What to do where the path has the content already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unchanged {
    /// Leave it: same inode, same modification time.
    #[default]
    Keep,
    /// Keep the inode, set its modification time to now.
    Touch,
    /// Replace it all the same.
    Replace,
}

/// Puts the content of `source` at `path`.
#[derive(Debug)]
pub struct Publish {
    /// Where.
    pub path: RelPath,
    /// Where from.
    pub source: Source,
    /// The mode, exactly; `None`: what is replaced keeps its mode, a new file gets the source's
    /// permission bits (0666 for staged content) less the umask.
    pub mode: Option<u32>,
    /// The caller's umask.
    pub umask: u32,
    /// Make missing parent directories, with 0777 less the umask.
    pub parents: bool,
    /// What to do where nothing changes.
    pub unchanged: Unchanged,
    /// The modification time to give; `None` means now.
    pub mtime: Option<Timespec>,
    /// Write to where a symbolic link leads, instead of putting the file in its place.
    pub follow: bool,
    /// Fail where anything is there.
    pub must_create: bool,
    plan: Option<Plan>,
}

/// What `prepare` found, under the same locks, is to be done.
#[derive(Debug)]
enum Plan {
    /// The path has this content: leave it.
    Leave(File, Stat),
    /// A copy of the source waits in staging.
    Copy(Staged, Put),
    /// The source itself is moved to its place.
    Source(Put),
}

#[derive(Clone, Copy, Debug)]
struct Put {
    replaces: bool,
    bytes: u64,
}

/// What stands at the path: its description, and a handle if it is a regular file that can be read.
struct Existing {
    stat: Stat,
    file: Option<File>,
}

impl Publish {
    /// Publishes `source` at `path` as `cp` would, with umask 022; change what is to be different.
    pub fn new(path: RelPath, source: Source) -> Self {
        Self {
            path,
            source,
            mode: None,
            umask: 0o022,
            parents: false,
            unchanged: Unchanged::Keep,
            mtime: None,
            follow: false,
            must_create: false,
            plan: None,
        }
    }
}

impl Mutation for Publish {
    fn method(&self) -> &'static str {
        "publish"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        let last = if self.follow { Last::Follow } else { Last::Keep };
        let mut claims = vec![Claim::exclusive(&mut self.path, last)];
        claims.extend(self.source.claim());
        claims
    }

    fn prepare(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        self.plan = None;
        let (source, stat) = self.source.open(tree, &self.path)?;
        let mut existing = self.existing(tree)?;
        if existing.is_some() && self.must_create {
            return Err(self.refuse(Reason::Exists, "it exists already"));
        }
        if let Some(Existing { stat: old, file }) = &mut existing
            && let Some(target) = file.take_if(|_| self.may_be_left(&stat, old))
            && content::same(&source, &target)
                .map_err(self.io("cannot compare it with the new content"))?
        {
            self.plan = Some(Plan::Leave(target, *old));
            return Ok(());
        }
        let replaces = existing.is_some();
        let old = existing.map(|e| e.stat).filter(|s| is_regular(s));
        let mode = self.mode_of_new(&stat, old.as_ref());
        let plan = if self.can_move(tree, &stat)? {
            self.dress(&source, mode, old.as_ref())?;
            effects.written(&source)?;
            Plan::Source(Put { replaces, bytes: stat.st_size as u64 })
        } else {
            let copy = self.new_file(tree, replaces)?;
            let bytes = content::copy(&source, copy.file(), stat.st_size as u64)
                .map_err(self.io("cannot write its content"))?;
            self.dress(copy.file(), mode, old.as_ref())?;
            effects.written(copy.file())?;
            Plan::Copy(copy, Put { replaces, bytes })
        };
        self.plan = Some(plan);
        Ok(())
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let (copy, Put { replaces, bytes }) = match self.plan.take() {
            None => return Err(Fault::Moved),
            Some(Plan::Leave(file, stat)) => return self.leave(tree, &file, &stat, effects),
            Some(Plan::Copy(copy, put)) => (Some(copy), put),
            Some(Plan::Source(put)) => (None, put),
        };
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        let placed = match copy {
            Some(mut copy) => put(&mut copy, &dir, name, self.must_create)
                .map_err(Step::from)
                .and_then(|()| Ok(self.source.drop_used(tree, &self.path, effects)?)),
            None => self.source.rename(tree, &dir, name, self.must_create, effects),
        };
        match placed {
            Ok(()) => {}
            Err(Step::Fault(fault)) => return Err(fault),
            Err(Step::Errno(Errno::EXIST)) if self.must_create => {
                return Err(self.refuse(Reason::Exists, "it exists already"));
            }
            Err(Step::Errno(errno)) => {
                return Err(self.io("cannot put the new file in its place")(errno));
            }
        }
        let outcome = if replaces { Outcome::Replaced } else { Outcome::Created };
        effects.changes.push(Change { bytes, ..Change::new(&self.path, outcome) });
        effects.touched(&dir)
    }
}

impl Publish {
    fn refuse(&self, reason: Reason, why: &str) -> Fault {
        Error::new(reason, self.path.for_syscall(), why).into()
    }

    fn io<'a>(&'a self, what: &'static str) -> impl Fn(Errno) -> Fault + 'a {
        move |errno| Error::io(self.path.for_syscall(), what, errno).into()
    }

    fn existing(&self, tree: &Tree) -> Result<Option<Existing>, Fault> {
        let (dir, name) = match tree.parent(&self.path) {
            Err(Fault::Failed(e)) if e.reason == Reason::NotFound && self.parents => {
                return Ok(None);
            }
            found => found?,
        };
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&dir, name, flags, Mode::empty()) {
            Ok(file) => Some(file),
            Err(Errno::NOENT) => return Ok(None),
            // A symbolic link, a socket, or one that we may not read.
            Err(_) => None,
        };
        let stat = match &file {
            Some(file) => fstat(file).map_err(self.io("cannot look at it"))?,
            None => match tree.look(&dir, name, &self.path)? {
                Some(stat) => stat,
                None => return Ok(None),
            },
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(Existing { stat, file: file.map(File::from) })),
            FileType::Directory => Err(self.refuse(Reason::IsADirectory, "is a directory")),
            FileType::Symlink if self.follow => {
                match tree.canonicalize(&self.path, Last::Follow)? {
                    real if real == self.path => Err(self.io("cannot follow it")(Errno::LOOP)),
                    _ => Err(Fault::Moved),
                }
            }
            _ => Ok(Some(Existing { stat, file: None })),
        }
    }

    /// Whether the file that is there is worth a comparison with the new content.
    fn may_be_left(&self, new: &Stat, old: &Stat) -> bool {
        self.unchanged != Unchanged::Replace && new.st_size == old.st_size
    }

    fn mode_of_new(&self, source: &Stat, old: Option<&Stat>) -> u32 {
        match (self.mode, old, &self.source) {
            (Some(mode), ..) => mode,
            (None, Some(old), _) => old.st_mode & 0o777,
            (None, None, Source::Staged(_)) => 0o666 & !self.umask,
            (None, None, source_file) if source_file.is_consumed() => source.st_mode & 0o7777,
            (None, None, _) => source.st_mode & 0o777 & !self.umask,
        }
    }

    /// Whether the source itself can be moved to its place. One that has other names cannot: they
    /// would be names of the published file, and whoever writes to them would write to it.
    fn can_move(&self, tree: &Tree, source: &Stat) -> Result<bool, Fault> {
        if !self.source.is_consumed() || source.st_nlink != 1 {
            return Ok(false);
        }
        let state = fstat(tree.state()).map_err(self.io("cannot look at the build root"))?;
        Ok(state.st_dev == source.st_dev)
    }

    /// An empty file for the content: where nothing is to be replaced, one without a name in the
    /// very directory; else, or where the filesystem has no such thing, one in staging.
    fn new_file(&self, tree: &Tree, replaces: bool) -> Result<Staged, Fault> {
        if !replaces
            && let Ok((dir, _)) = tree.parent(&self.path)
            && let Ok(staged) = tree.staging().nameless(&dir)
        {
            return Ok(staged);
        }
        tree.staging().create("s-").map_err(self.io("cannot make a file in staging"))
    }

    /// Gives a new file its mode and times, and the owner of the one that it replaces.
    fn dress(&self, file: &File, mode: u32, old: Option<&Stat>) -> Result<(), Fault> {
        let now = fstat(file).map_err(self.io("cannot look at the new file"))?;
        if let (None, Some(old)) = (self.mode, old)
            && (old.st_uid, old.st_gid) != (now.st_uid, now.st_gid)
        {
            // Who may not give files away keeps the new one, as with cp -p.
            let _ = fchown(file, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)));
        }
        if now.st_mode & 0o7777 != mode {
            fchmod(file, Mode::from_raw_mode(mode)).map_err(self.io("cannot set its mode"))?;
        }
        self.mtime.map_or(Ok(()), |mtime| self.set_mtime(file, mtime))
    }

    fn set_mtime(&self, file: &File, last_modification: Timespec) -> Result<(), Fault> {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        futimens(file, &Timestamps { last_access, last_modification })
            .map_err(self.io("cannot set its modification time"))
    }

    /// The path has the content: only attributes are set, where they were asked for and differ.
    fn leave(
        &mut self,
        tree: &Tree,
        file: &File,
        stat: &Stat,
        effects: &mut Effects,
    ) -> Result<(), Fault> {
        let mut outcome = Outcome::Unchanged;
        if let Some(mode) = self.mode.filter(|mode| stat.st_mode & 0o7777 != *mode) {
            fchmod(file, Mode::from_raw_mode(mode)).map_err(self.io("cannot set its mode"))?;
            outcome = Outcome::Attributes;
        }
        let now = (self.unchanged == Unchanged::Touch)
            .then_some(Timespec { tv_sec: 0, tv_nsec: UTIME_NOW });
        let old = (stat.st_mtime, stat.st_mtime_nsec as i64);
        if let Some(mtime) = self.mtime.or(now).filter(|t| (t.tv_sec, t.tv_nsec as i64) != old) {
            self.set_mtime(file, mtime)?;
            outcome = Outcome::Attributes;
        }
        self.source.drop_used(tree, &self.path, effects)?;
        effects.record(&self.path, outcome);
        if outcome.is_change() { effects.written(file) } else { Ok(()) }
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
