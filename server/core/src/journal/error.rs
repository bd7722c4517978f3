//! What can go wrong with a journal.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a journal could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file was written by a newer version, which may mean things that this one misreads.
    #[error(
        "{path}: written by a newer onewriter (schema {found}, this one knows {known}): \
         run that version, or move the file away to begin a new journal",
        path = path.display()
    )]
    NewerSchema {
        /// The journal.
        path: PathBuf,
        /// The version found in it.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Somebody else holds the file: another daemon, or a tool that has it open.
    #[error("{path}: in use by another process", path = path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is damaged. The writer sets such a file aside as soon as it meets the damage.
    #[error("{path}: damaged", path = path.display())]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Something else that SQLite could not do.
    #[error("{path}: could not {doing}", path = path.display())]
    Sqlite {
        /// The journal.
        path: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// What came right after a position is not in the file: it was pruned, or the position is of
    /// another file.
    #[error(
        "the journal does not hold what came after record {after}: its positions are {} to {}",
        kept.start(), kept.end()
    )]
    PositionGone {
        /// The position that was asked for.
        after: i64,
        /// The positions after which it holds everything.
        kept: RangeInclusive<i64>,
    },
    /// The state directory, or a thread, could not be had.
    #[error("{path}: no journal here", path = path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl JournalError {
    /// The error of a step, told apart by what SQLite said.
    pub(super) fn sqlite(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            _ if is_damage(&source) => JournalError::Corrupt { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                JournalError::InUse { path, source }
            }
            _ => JournalError::Sqlite { path, doing, source },
        }
    }
}

/// Whether `error` says that the file is not what SQLite once wrote.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
