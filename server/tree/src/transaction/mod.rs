//! Transactions: a directory in which a command's changes are gathered in the format of Linux's
//! overlayfs, and their commit, as one mutation that happens as a whole or not at all.
//!
//! The format is that of `userxattr` without `redirect_dir`, `metacopy` and `index`: a thing in
//! `upper` is to be at the same path of the tree; a character device 0/0 says that the path is to
//! be removed; a directory with the attribute `user.overlay.opaque` replaces what is there, one
//! without is merged with it.

mod account;
mod basis;
mod commit;
mod failed;
mod filler;
mod intent;
mod inventory;
mod judge;
mod plan;
mod prepare;
mod record;
pub(crate) mod recover;
mod script;
mod settle;
pub(crate) mod spare;
mod step;
mod upper;
mod walk;
mod xattr;

pub use self::{
    basis::{Basis, Seen},
    commit::Commit,
    filler::{Filler, Wear},
    inventory::{Inventory, Item, What},
    record::{Recovery, recover_all},
    recover::Recovered,
    upper::Upper,
};
use crate::{mutation::Unchanged, path::RelPath, pattern::Pattern, tree::Tree};

/// Deletes what earlier daemons kept of transactions' directories to use it again. Before anybody
/// begins one.
///
/// # Errors
/// What the filesystem says.
pub fn clear_spares(tree: &Tree) -> Result<(), rustix::io::Errno> {
    spare::clear(tree.state())
}

/// How a transaction is to be committed.
#[derive(Clone, Debug)]
pub struct CommitTerms {
    /// What status and journal call it.
    pub method: &'static str,
    /// What to do with files whose content is the same as before.
    pub unchanged: Unchanged,
    /// Files that are kept, whatever `unchanged` says.
    pub keep: Vec<Pattern>,
    /// Commit over what others did meanwhile, and report it.
    pub over_conflicts: bool,
    /// The paths that it may change; empty: any.
    pub outputs: Vec<RelPath>,
    /// Refuse to commit when it changed other paths than `outputs`, or not all of them exist.
    pub strict: bool,
    /// Whose it is, in words of the caller's own: [`recover_all`] gives them back.
    pub author: Vec<u8>,
    /// Others may still have files of the upper directory open for writing: place copies of them.
    pub copy: bool,
}

impl CommitTerms {
    /// What to do with the file at `path` where its content is the same as before.
    fn unchanged_at(&self, path: &RelPath) -> Unchanged {
        match self.keep.iter().any(|pattern| pattern.matches(path.as_bytes())) {
            true => Unchanged::Keep,
            false => self.unchanged,
        }
    }
}

/// A path that somebody else changed to something else since the transaction began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: RelPath,
    /// Who, in words.
    pub other: String,
}

/// What others did to the tree since the transaction began.
pub trait History: Send + Sync {
    /// Who changed `path` since; `None`: nobody that we know of.
    fn changed(&self, path: &RelPath) -> Option<String>;

    /// Paths strictly below `path` that somebody changed since, with who.
    fn changed_below(&self, path: &RelPath) -> Vec<(RelPath, String)>;
}

/// What is to be told of a commit beside its changes.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What others changed meanwhile.
    pub conflicts: Vec<Conflict>,
    /// Changed paths that were not declared, where outputs were given.
    pub undeclared: Vec<RelPath>,
    /// Declared outputs that do not exist.
    pub missing: Vec<RelPath>,
    /// How many paths were left as they are.
    pub unchanged: u64,
}
