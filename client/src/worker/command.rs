//! A command on a worker's copy, as a transaction of the daemon elsewhere.

use std::path::PathBuf;

use onewriter_proto::{convert, v1::OnConflict};
use onewriter_tree::{
    Pattern, RelPath,
    mutation::{self, Effects},
    transaction::{Commit, CommitTerms, History, Inventory, Seen, Upper, What},
};

use super::{Cargo, Loaded, Manifest, conversation::transact, copy::Copy, refresh::refresh};
use crate::{
    context::Context,
    failure::{Failure, with_sources},
    place::Place,
    process::{Ended, Ending, Tick},
    server::Server,
    transaction::{Committed, Filling, Wish},
};

/// Fills a transaction on the copy at `place`, and has the daemon commit it; again after conflicts.
pub(crate) fn run(
    context: &mut Context,
    server: &Server,
    wish: &Wish,
    place: &Place,
    filling: &mut dyn Filling,
) -> Result<(Ending, Option<Committed>), Failure> {
    // Before the umask is set to 0.
    context.umask();
    let copy = Copy::open(place)?;
    let mut command =
        Command { server, wish, copy: &copy, filling, left: None, touched: Vec::new() };
    let done = transact(context, server, wish, &place.directory(), &mut command);
    drop(command);
    copy.sweep();
    done
}

struct Command<'a> {
    server: &'a Server,
    wish: &'a Wish,
    copy: &'a Copy,
    filling: &'a mut dyn Filling,
    left: Option<Left>,
    /// What the last run changed.
    touched: Vec<Vec<u8>>,
}

/// What a command left.
struct Left {
    upper: Upper,
    inventory: Option<Inventory>,
    /// The copy's version when it was begun.
    version: u64,
}

impl Cargo for Command<'_> {
    fn load(
        &mut self,
        context: &mut Context,
        conflicts: &[Vec<u8>],
        tick: Tick<'_>,
    ) -> Result<Loaded, Failure> {
        self.left = None;
        if !conflicts.is_empty() {
            let paths: Vec<_> = conflicts.iter().chain(&self.touched).cloned().collect();
            self.copy.change(|tree| refresh(context, self.server, tree, paths))?;
        }
        let version = self.copy.version();
        let upper = self.copy.begin()?;
        context.restore_umask();
        let ended = self.filling.fill(upper.name(), Some(tick))?;
        let left = self.left.insert(Left { upper, inventory: None, version });
        if !ended.ending.is_success() {
            return Ok(Loaded::Failed(ended));
        }
        let inventory = left.upper.inventory()?;
        self.touched = touched(&inventory);
        let is_last = self.wish.commit.on_conflict() == OnConflict::Last;
        if let Some(path) = inventory.overtaken.as_ref().filter(|_| !is_last) {
            return Ok(Loaded::Overtaken(path.as_bytes().to_vec()));
        }
        let manifest = Manifest::of(&inventory, &left.upper.path(), self.wish)?;
        left.inventory = Some(inventory);
        Ok(Loaded::Ready(manifest, ended))
    }

    fn is_fresh(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.version == self.copy.version())
    }

    fn landed(&mut self, ended: Ended) -> Result<(), Failure> {
        let Some(Left { upper, inventory: Some(inventory), .. }) = self.left.take() else {
            return Ok(());
        };
        let terms = CommitTerms {
            method: self.wish.verb,
            unchanged: convert::unchanged(self.wish.commit.unchanged)?,
            keep: self.wish.commit.keep.iter().map(|text| Pattern::new(&**text)).collect(),
            over_conflicts: true,
            outputs: Vec::new(),
            strict: false,
            author: Vec::new(),
            copy: ended.background,
        };
        let mut commit = Commit::of(upper, inventory, terms, Box::new(Nobody));
        let done = self
            .copy
            .change(|tree| Ok(mutation::run(&mut commit, tree, &mut Effects::new(false))?));
        done.map_err(|failure| {
            let root = self.copy.root().display();
            Failure::Io(format!(
                "it is committed at the server, but the copy at '{root}' does not have it (the next command that changes the same files brings it there): {}",
                with_sources(&failure)
            ))
        })
    }

    fn keep(&mut self) -> Result<PathBuf, Failure> {
        match self.left.take() {
            Some(left) => Ok(left.upper.keep()?),
            None => Err(Failure::Io("it is gone".into())),
        }
    }
}

/// The paths of which the copy has to be what the server has, before the command runs again. What
/// is in a directory that goes comes with that.
fn touched(inventory: &Inventory) -> Vec<Vec<u8>> {
    let is_merged = |what: &What, seen: &Seen| {
        matches!(what, What::Directory { opaque: false, .. }) && *seen == Seen::Directory
    };
    let items = inventory.items.iter().filter(|item| !is_merged(&item.what, &item.seen));
    items.map(|item| item.path.as_bytes().to_vec()).collect()
}

/// The server has decided already who was first.
struct Nobody;

impl History for Nobody {
    fn changed(&self, _path: &RelPath) -> Option<String> {
        None
    }

    fn changed_below(&self, _path: &RelPath) -> Vec<(RelPath, String)> {
        Vec::new()
    }
}
