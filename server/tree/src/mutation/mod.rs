//! What can be done to a tree, one file a verb.
//!
//! A [`Mutation`] names the paths that it needs ([`Claim`]s), then acts on them in two steps:
//! `prepare` puts content into staging, `apply` changes the tree. Whoever runs it holds the locks
//! of the claims around both, and may wait for the disk between them. [`run`] is that caller
//! without locks, for one process alone.

mod attributes;
mod batch;
mod directory;
mod hard_link;
mod publish;
mod remove;
mod rename;
mod symlink;
mod touch;

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
};

pub use rustix::fs::Timespec;
use rustix::fs::{FileType, Mode, OFlags, openat};

pub use self::{
    attributes::{ModeChange, SetAttributes},
    batch::Batch,
    directory::MakeDirectory,
    hard_link::HardLink,
    publish::{Publish, Source, Unchanged},
    remove::Remove,
    rename::Rename,
    symlink::Symlink,
    touch::{Moment, Touch},
};
use crate::{
    error::{Error, Reason},
    path::RelPath,
    tree::{Dir, Fault, Last, Tree},
};

/// How often a path is resolved anew before a request gives up against somebody who keeps
/// changing the symbolic links on it.
pub const MAX_RESOLUTIONS: usize = 16;

/// One requested change.
///
/// Both steps may be called again after they returned [`Fault::Moved`], with the claims' paths
/// replaced by their real places; what they did before is in the [`Effects`] already.
pub trait Mutation: Send {
    /// What status and journal call it, as in `publish`.
    fn method(&self) -> &'static str;

    /// The paths whose locks it needs.
    fn claims(&mut self) -> Vec<Claim<'_>>;

    /// Replaces the claims' paths by their real places.
    fn resolve(&mut self, tree: &Tree) -> Result<(), Error> {
        for claim in self.claims() {
            *claim.path = tree.canonicalize(claim.path, claim.last)?;
        }
        Ok(())
    }

    /// Whether one look shows that there is nothing to do; then records that. It needs no lock: it
    /// tells what was true at one moment between the request and its answer.
    fn shortcut(&self, _tree: &Tree, _effects: &mut Effects) -> bool {
        false
    }

    /// The directory in which it makes a name, if that is all that it does. The kernel makes the
    /// names of a directory one at a time.
    fn makes_name_in(&self) -> Option<&[u8]> {
        None
    }

    /// Compares, and puts new content into staging. Changes nothing that anybody can see.
    fn prepare(&mut self, _tree: &Tree, _effects: &mut Effects) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether others could see `apply` half done although it happens as a whole or not at all.
    /// Asked when it is prepared.
    fn is_stepwise(&self) -> bool {
        false
    }

    /// Changes the tree, and records each change as it is made.
    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault>;
}

/// A path that a mutation needs for itself, or shared with others that only need it to stay.
#[derive(Debug)]
pub struct Claim<'m> {
    /// The path; replaced by its real place when it leads through symbolic links.
    pub path: &'m mut RelPath,
    /// Whether others may hold it at the same time.
    pub access: Access,
    /// Whether a symbolic link at its end is meant itself.
    pub last: Last,
    /// What is to be done there.
    pub deed: Deed,
}

/// What a request does at a path, as far as anybody may have something against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names of the mutations")]
pub enum Deed {
    /// Nothing: it is only to stay as it is.
    Stay,
    Read,
    MakeDirectory,
    Publish,
    Symlink,
    HardLink,
    Rename,
    Remove,
    SetAttributes,
    Touch,
    /// Any of the changes above: what a transaction does is known only as a whole.
    Change,
    /// Keeping others away, by a lease.
    Lock,
    /// Ending the daemon.
    Administer,
}

impl<'m> Claim<'m> {
    fn exclusive(path: &'m mut RelPath, last: Last, deed: Deed) -> Self {
        Self { path, access: Access::Exclusive, last, deed }
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// With others who hold it shared.
    Shared,
    /// Alone, and with nobody at any path below.
    Exclusive,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        })
    }
}

/// What a mutation did to one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did not exist and does now.
    Created,
    /// The directory was there already.
    Existed,
    /// Something else stood there and was replaced in one step.
    Replaced,
    /// It is as asked for already, and was left untouched.
    Unchanged,
    /// Content was the same; mode or times were changed in place.
    Attributes,
    /// It is gone.
    Removed,
    /// There was nothing to remove, and that is well.
    Absent,
}

impl Outcome {
    /// The name in the journal and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Existed => "existed",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Attributes => "attributes",
            Self::Removed => "removed",
            Self::Absent => "absent",
        }
    }

    /// Whether anything is different from before.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Existed | Self::Unchanged | Self::Absent)
    }
}

/// One path and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it really is.
    pub path: RelPath,
    /// What happened.
    pub outcome: Outcome,
    /// Bytes of content written.
    pub bytes: u64,
    /// Where it came from, for a rename or a link.
    pub other: Option<RelPath>,
}

impl Change {
    /// A change without content.
    pub fn new(path: &RelPath, outcome: Outcome) -> Self {
        Self { path: path.clone(), outcome, bytes: 0, other: None }
    }
}

/// What a mutation has done so far, also when it failed after that; and what must reach the disk
/// before it may be called done.
#[derive(Debug, Default)]
pub struct Effects {
    /// In the order in which they were made.
    pub changes: Vec<Change>,
    durable: bool,
    unsynced: Vec<OwnedFd>,
}

impl Effects {
    /// Nothing yet. Where `durable`, the files and directories that need an fsync are kept.
    pub fn new(durable: bool) -> Self {
        Self { durable, ..Self::default() }
    }

    /// Whether what is done is synchronised with the disk before it is called done.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    /// The handles to be synchronised before the next step, which are forgotten here.
    pub fn take_unsynced(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.unsynced)
    }

    pub(crate) fn record(&mut self, path: &RelPath, outcome: Outcome) {
        self.changes.push(Change::new(path, outcome));
    }

    /// Notes that an entry of `dir` changed.
    pub(crate) fn touched(&mut self, dir: &Dir<'_>) -> Result<(), Fault> {
        if self.durable {
            // An O_PATH handle cannot be synchronised.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let readable = openat(dir, ".", flags, Mode::empty());
            self.unsynced
                .push(readable.map_err(|e| {
                    Error::io(b".", "cannot open a directory to synchronise it", e)
                })?);
        }
        Ok(())
    }

    /// Notes that mode, owner or times of `name` in `dir`, a `kind` of file, changed.
    pub(crate) fn attributes(
        &mut self,
        dir: &Dir<'_>,
        name: &[u8],
        kind: FileType,
    ) -> Result<(), Fault> {
        // Only these can be synchronised; and one that we may not open goes with its directory.
        if self.durable && matches!(kind, FileType::RegularFile | FileType::Directory) {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            self.unsynced.extend(openat(dir, name, flags, Mode::empty()));
        }
        self.touched(dir)
    }

    /// Notes that the content of `file` is new.
    pub(crate) fn written(&mut self, file: &File) -> Result<(), Fault> {
        if self.durable {
            let handle = file.as_fd().try_clone_to_owned();
            self.unsynced.push(handle.map_err(|e| Error::new(Reason::Io, b".", e.to_string()))?);
        }
        Ok(())
    }

    /// Notes that more is new below `dir` than it would be wise to hold handles of: so many of one
    /// that whoever synchronises them takes all of the filesystem instead.
    pub(crate) fn everything(&mut self, dir: impl AsFd) -> Result<(), Fault> {
        const MANY: usize = 4;
        if self.durable {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            for _ in 0..MANY {
                let handle = openat(&dir, ".", flags, Mode::empty());
                self.unsynced.push(handle.map_err(|e| {
                    Error::io(b".", "cannot open a directory to synchronise it", e)
                })?);
            }
        }
        Ok(())
    }

    /// How many handles wait to be synchronised.
    pub(crate) fn waiting(&self) -> usize {
        self.unsynced.len()
    }

    /// Synchronises at once, where the caller cannot wait between the steps.
    pub fn sync_now(&mut self) -> Result<(), Error> {
        self.sync_after(0)
    }

    /// Synchronises what has come to wait since there were `waiting`.
    pub(crate) fn sync_after(&mut self, waiting: usize) -> Result<(), Error> {
        for handle in self.unsynced.drain(waiting.min(self.unsynced.len())..) {
            rustix::fs::fsync(&handle)
                .map_err(|e| Error::io(b".", "cannot synchronise with the disk", e))?;
        }
        Ok(())
    }
}

/// The error for a path that never stayed still.
pub fn symlink_race(mutation: &mut dyn Mutation) -> Error {
    let path = mutation.claims().first().map(|claim| claim.path.clone()).unwrap_or_default();
    moving(&path)
}

pub(crate) fn moving(path: &RelPath) -> Error {
    let why = "it cannot be pinned down: symbolic links or directories on its way keep changing";
    Error::new(Reason::SymlinkRace, path.for_syscall(), why)
}

/// Runs a mutation in this process, with no locks: atomic and tolerant of races as far as one
/// process can be. The daemon's engine does the same under locks.
pub fn run(mutation: &mut dyn Mutation, tree: &Tree, effects: &mut Effects) -> Result<(), Error> {
    for _ in 0..MAX_RESOLUTIONS {
        let done = mutation.prepare(tree, effects).and_then(|()| {
            effects.sync_now()?;
            mutation.apply(tree, effects)
        });
        match done {
            Ok(()) => return effects.sync_now(),
            Err(Fault::Failed(error)) => return Err(error),
            Err(Fault::Moved) => mutation.resolve(tree)?,
        }
    }
    Err(symlink_race(mutation))
}
