//! Making good what a killed daemon had begun.

use std::time::Duration;

use onewriter_tree::{
    Error, Tree,
    transaction::{Recovered, recover_all},
};

use super::{author, keys};
use crate::engine::{Books, Heading};

/// Completes, or undoes, every commit that a daemon was killed in, and records what was done.
/// Before anybody is served, and before staging is cleared.
pub(crate) fn recover(tree: &Tree, books: &Books) -> Result<(), Error> {
    for recovery in recover_all(tree)? {
        let (caller, key) = author::decode(&recovery.author);
        let (owner, directory) = (&caller.owner, &*caller.directory);
        match recovery.outcome {
            Recovered::Completed(changes) => {
                let paths = changes.len();
                tracing::warn!(name = recovery.name, %owner, paths, "a commit that a daemon was killed in is completed");
                books.record(&Heading { owner, directory, took: Duration::ZERO }, &changes, None);
                if !key.is_empty()
                    && let Err(cause) = keys::remember(books.journal(), &key, owner.to_string())
                {
                    tracing::warn!(%cause, "a commit is not on record by its key");
                }
            }
            Recovered::Undone => {
                tracing::warn!(name = recovery.name, %owner, "a commit that a daemon was killed in is undone");
            }
            Recovered::Nothing => {}
        }
    }
    Ok(())
}
