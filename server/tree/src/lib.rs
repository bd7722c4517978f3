//! The build root's tree: confined paths, staging, and mutations, one system call away from the
//! disk.
//!
//! Nothing here locks, waits or knows of a network: the daemon's core runs these mutations under
//! its lock table, and the client runs them by itself where it is told to do without a daemon.

mod canonical;
pub mod code;
mod content;
pub mod error;
pub mod fault;
mod fence;
pub mod mutation;
pub mod path;
mod pattern;
mod staging;
mod stat;
#[cfg(test)]
mod tests;
pub mod transaction;
mod trash;
mod tree;

pub use crate::{
    error::{Error, Reason},
    fence::Fence,
    path::{Printable, RelPath},
    pattern::Pattern,
    staging::{Staged, Staging},
    stat::{FileKind, Stat, list, open_file, stat},
    tree::{Fault, Last, Tree, describe},
};
