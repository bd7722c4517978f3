//! Transactions at a daemon on another machine.
//!
//! A command runs on the worker's own copy of the root, in an overlay as everywhere; what it left in
//! the upper directory goes to the daemon as a list of entries, and content that nobody there knows.
//! The daemon commits it, or not. Then the same is done to the copy.
//!
//! The worker has no daemon. Commands of one copy meet by two locks in its `.onewriter` (`copy.rs`).
//! What the copy had at the paths that a command changed goes along: a copy that was not up to date
//! there is found out, brought up to date, and the command runs again.

mod command;
mod conversation;
mod copy;
mod manifest;
mod refresh;

use std::path::PathBuf;

pub(crate) use self::{
    command::run,
    conversation::transact,
    copy::in_use,
    manifest::{Manifest, digest},
};
use crate::{
    context::Context,
    failure::Failure,
    process::{Ended, Tick},
};

/// What a transaction brings to the daemon.
pub(crate) trait Cargo {
    /// Gets it ready. Called again after a conflict on some paths, which are in `conflicts`. What is
    /// done at a `tick` is done while a command runs.
    fn load(
        &mut self,
        context: &mut Context,
        conflicts: &[Vec<u8>],
        tick: Tick<'_>,
    ) -> Result<Loaded, Failure>;

    /// Whether it may still be brought although the daemon did not see when it was begun.
    fn is_fresh(&self) -> bool;

    /// It is committed.
    fn landed(&mut self, ended: Ended) -> Result<(), Failure>;

    /// Nothing comes of it, but may be kept for a look: where.
    fn keep(&mut self) -> Result<PathBuf, Failure>;
}

/// How a command ended that was to make a cargo.
pub(crate) enum Loaded {
    /// Well.
    Ready(Manifest, Ended),
    /// Well, but somebody else changed the copy at a path that it changed, too.
    Overtaken(Vec<u8>),
    /// Not well.
    Failed(Ended),
}
