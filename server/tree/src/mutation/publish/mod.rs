//! Publishing: a complete file at a path in one step, and nothing at all where the path has that
//! content already.

mod place;
mod source;

use std::fs::File;

use rustix::{
    fs::{
        FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
        fchmod, fchown, fstat, futimens, openat,
    },
    io::Errno,
};

use self::place::{Content, Put, Step, place};
pub use self::source::Source;
use super::{Change, Claim, Deed, Effects, Mutation, Outcome, directory::parent_or_make};
use crate::{
    content,
    error::{Error, Reason},
    fault,
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
    /// permission bits less the umask, or all of the mode of a source that is used up, as with mv.
    pub mode: Option<u32>,
    /// The permission bits of the file that staged content comes from.
    pub staged_mode: u32,
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
    /// The source turned out not to be movable to its place.
    copy: bool,
}

/// What `prepare` found, under the same locks, is to be done.
#[derive(Debug)]
enum Plan {
    /// The path has this content: leave it.
    Leave(File, Stat),
    /// This is to be put there.
    Place(Content, Put),
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
            staged_mode: 0o666,
            umask: 0o022,
            parents: false,
            unchanged: Unchanged::Keep,
            mtime: None,
            follow: false,
            must_create: false,
            plan: None,
            copy: false,
        }
    }
}

impl Mutation for Publish {
    fn method(&self) -> &'static str {
        "publish"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        let last = if self.follow { Last::Follow } else { Last::Keep };
        let mut claims = vec![Claim::exclusive(&mut self.path, last, Deed::Publish)];
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
        let put = self.new_put(&stat, existing.map(|e| e.stat));
        let plan = if self.can_move(tree, &stat)? {
            // One that others can see is changed only when it is about to go.
            if let Source::Staged(_) = self.source {
                self.dress(&source, put)?;
            }
            effects.written(&source)?;
            Plan::Place(Content::Source(source), put)
        } else {
            let copy = self.new_file(tree, put.replaces)?;
            let bytes = content::copy(&source, copy.file(), stat.st_size as u64)
                .map_err(self.io("cannot write its content"))?;
            self.dress(copy.file(), put)?;
            effects.written(copy.file())?;
            Plan::Place(Content::Copy(copy), Put { bytes, ..put })
        };
        self.plan = Some(plan);
        Ok(())
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let (content, mut put) = match self.plan.take() {
            None => return Err(Fault::Moved),
            Some(Plan::Leave(file, stat)) => {
                tree.guard(&self.path)?;
                return self.leave(tree, &file, &stat, effects);
            }
            Some(Plan::Place(content, put)) => (content, put),
        };
        let (dir, name) = parent_or_make(tree, &self.path, self.parents, self.umask, effects)?;
        tree.guard(&self.path)?;
        fault::point("publish.place").map_err(self.io("cannot put the new file in its place"))?;
        let copied = matches!(content, Content::Copy(_));
        let placed = match content {
            Content::Copy(mut copy) => {
                if copy.name().is_some() {
                    put.inherit_group(copy.file(), &dir);
                }
                place(&mut copy, &dir, name, self.must_create, effects.is_durable())
                    .map_err(Step::from)
            }
            Content::Source(file) => {
                match self.source {
                    Source::Staged(_) => put.inherit_group(&file, &dir),
                    _ => self.dress(&file, put)?,
                }
                let moved = self.source.rename(tree, &dir, name, self.must_create, effects);
                moved.map(|()| put.replaces)
            }
        };
        put.replaces |= placed.map_err(|step| self.not_placed(tree, step, copied))?;
        let outcome = if put.replaces { Outcome::Replaced } else { Outcome::Created };
        effects.changes.push(Change { bytes: put.bytes, ..Change::new(&self.path, outcome) });
        effects.touched(&dir)?;
        if copied { self.source.drop_used(tree, &self.path, effects) } else { Ok(()) }
    }
}

impl Publish {
    fn refuse(&self, reason: Reason, why: &str) -> Fault {
        Error::new(reason, self.path.for_syscall(), why).into()
    }

    fn io<'a>(&'a self, what: &'static str) -> impl Fn(Errno) -> Fault + 'a {
        move |errno| Error::io(self.path.for_syscall(), what, errno).into()
    }

    /// What to make of a step that failed to put the file in its place.
    fn not_placed(&mut self, tree: &Tree, step: Step, copied: bool) -> Fault {
        if let Err(lost) = tree.guard(&self.path) {
            return lost.into();
        }
        match step {
            Step::Fault(fault) => fault,
            Step::Errno(Errno::EXIST) if self.must_create => {
                self.refuse(Reason::Exists, "it exists already")
            }
            // Another mount, though it may be of the same filesystem: what cannot be moved is copied.
            Step::Errno(Errno::XDEV) if !copied => {
                self.copy = true;
                Fault::Moved
            }
            Step::Errno(Errno::NOENT) => match &self.source {
                Source::Staged(staged) if !staged.is_waiting() => {
                    self.refuse(Reason::Source, "its content is no longer in staging")
                }
                _ => tree.vanished(&self.path),
            },
            Step::Errno(errno) => self.io("cannot put the new file in its place")(errno),
        }
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
            // A symbolic link, a socket or a device without a driver, or one that we may not read.
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ACCESS | Errno::PERM) => None,
            Err(errno) => return Err(self.io("cannot open what is there")(errno)),
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
            FileType::Directory => {
                Err(self.refuse(Reason::IsADirectory, "it is a directory, which no file replaces"))
            }
            FileType::Symlink if self.follow => Err(Fault::Moved),
            _ => Ok(Some(Existing { stat, file: None })),
        }
    }

    /// Whether the file that is there is worth a comparison with the new content.
    fn may_be_left(&self, new: &Stat, old: &Stat) -> bool {
        let wanted = self.unchanged != Unchanged::Replace || self.replaces_itself();
        wanted && new.st_size == old.st_size
    }

    /// Whether the source is to be moved to where it is.
    fn replaces_itself(&self) -> bool {
        self.source.is_consumed() && self.source.is_at(&self.path)
    }

    fn new_put(&self, source: &Stat, old: Option<Stat>) -> Put {
        let replaces = old.is_some();
        let old = old.filter(is_regular);
        let owner = old.filter(|_| self.mode.is_none());
        Put {
            replaces,
            bytes: source.st_size as u64,
            mode: self.mode_of_new(source, old.as_ref()),
            owner: owner.map(|old| (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid))),
        }
    }

    fn mode_of_new(&self, source: &Stat, old: Option<&Stat>) -> u32 {
        match (self.mode, old, &self.source) {
            (Some(mode), ..) => mode,
            (None, Some(old), _) => old.st_mode & 0o777,
            (None, None, Source::Staged(_)) => self.staged_mode & 0o777 & !self.umask,
            (None, None, source_file) if source_file.is_consumed() => source.st_mode & 0o7777,
            (None, None, _) => source.st_mode & 0o777 & !self.umask,
        }
    }

    /// Whether the source itself can be moved to its place. One that has other names cannot: they
    /// would be names of the published file, and whoever writes to them would write to it.
    fn can_move(&self, tree: &Tree, source: &Stat) -> Result<bool, Fault> {
        if self.copy || !self.source.is_consumed() || source.st_nlink != 1 {
            return Ok(false);
        }
        // Where the tree may be lost to another owner, what is placed waits in staging first.
        if tree.is_fenced() && !matches!(self.source, Source::Staged(_)) {
            return Ok(false);
        }
        let state = fstat(tree.state()).map_err(self.io("cannot look at the build root"))?;
        Ok(state.st_dev == source.st_dev)
    }

    /// An empty file for the content: where nothing is to be replaced, one without a name in the
    /// very directory; else, or where the filesystem has no such thing, one in staging.
    fn new_file(&self, tree: &Tree, replaces: bool) -> Result<Staged, Fault> {
        if !replaces
            && !tree.is_fenced()
            && let Ok((dir, _)) = tree.parent(&self.path)
            && let Ok(staged) = tree.staging().nameless(&dir)
        {
            return Ok(staged);
        }
        tree.staging().create_own().map_err(|errno| match errno {
            Errno::NOENT => tree.vanished(&self.path),
            errno => self.io("cannot make a file in staging")(errno),
        })
    }

    /// Gives a new file its owner, mode and times.
    fn dress(&self, file: &File, put: Put) -> Result<(), Fault> {
        let now = fstat(file).map_err(self.io("cannot look at the new file"))?;
        if let Some((uid, gid)) = put.owner
            && (uid.as_raw(), gid.as_raw()) != (now.st_uid, now.st_gid)
        {
            // Who may not give files away keeps the new one, as with cp -p.
            let _ = fchown(file, Some(uid), Some(gid));
        }
        if now.st_mode & 0o7777 != put.mode {
            fchmod(file, Mode::from_raw_mode(put.mode)).map_err(self.io("cannot set its mode"))?;
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
        if let Some(mtime) = self.mtime.or(now).filter(|t| (t.tv_sec, t.tv_nsec) != old) {
            self.set_mtime(file, mtime)?;
            outcome = Outcome::Attributes;
        }
        effects.record(&self.path, outcome);
        if outcome.is_change() {
            effects.written(file)?;
        }
        self.source.drop_used(tree, &self.path, effects)
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
