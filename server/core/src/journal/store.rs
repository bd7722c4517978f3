//! The file `journal.sqlite` and its connections: opened, shared, and begun anew when damaged.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};

use super::error::JournalError;
use super::schema::{self, Mode};

pub(super) const FILE: &str = "journal.sqlite";

/// What SQLite adds to a database's name for the files beside it.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The numbers of the oldest and the newest entry; both 0 when there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Span {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Span> {
        // Two subqueries, each the end of the table: min and max in one would read all of it.
        let mut ends = connection.prepare_cached(
            "SELECT coalesce((SELECT min(seq) FROM entry), 0),
                    coalesce((SELECT max(seq) FROM entry), 0)",
        )?;
        ends.query_row([], |row| Ok(Span { first: row.get(0)?, last: row.get(1)? }))
    }
}

/// The open file. Whoever locks both connections locks the writer's first.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    mode: Mode,
    writer: Mutex<Connection>,
    /// `None` in [`Mode::Exclusive`], which leaves room for one connection only.
    reader: Option<Mutex<Connection>>,
}

impl Store {
    pub(super) fn open(dir: &Path, mode: Option<Mode>) -> Result<Store, JournalError> {
        let path = dir.join(FILE);
        let mode = mode.map_or_else(|| Mode::for_directory(dir), Ok)?;
        let (writer, mode) = match schema::connect(&path, mode) {
            Err(JournalError::Corrupt { source, .. }) => {
                set_aside(&path, &source)?;
                schema::connect(&path, mode)?
            }
            opened => opened?,
        };
        let reader = (mode == Mode::Wal).then(|| open_reader(&path)).transpose()?.map(Mutex::new);
        Ok(Store { path, mode, writer: Mutex::new(writer), reader })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// The connection that writes. While somebody holds it, the writer waits.
    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what of the file is in memory. It is a matter of memory only: what fails is the next
    /// one's to find out.
    pub(super) fn shrink(&self) {
        const SHRINK: &str = "PRAGMA shrink_memory";
        let _ = self.writer().execute_batch(SHRINK);
        // Whoever reads may take his time.
        if let Some(Ok(reader)) = self.reader.as_ref().map(Mutex::try_lock) {
            let _ = reader.execute_batch(SHRINK);
        }
    }

    pub(super) fn span(&self) -> Result<Span, JournalError> {
        Span::of(&self.writer())
            .map_err(|source| JournalError::sqlite(&self.path, "find its newest entry", source))
    }

    /// Calls `query` with the connection that reads.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match &self.reader {
            Some(reader) => query(&reader.lock().unwrap_or_else(PoisonError::into_inner)),
            None => query(&self.writer()),
        }
    }

    /// Whether an attempt to begin anew got no further than closing the old file.
    pub(super) fn is_detached(&self) -> bool {
        self.writer().path().is_none_or(str::is_empty)
    }

    /// Sets the file aside because of `damage` found while writing, and begins a fresh one. If
    /// that fails, the store is detached, and this is to be called again.
    pub(super) fn begin_anew(&self, damage: &rusqlite::Error) -> Result<(), JournalError> {
        let failed = |source| JournalError::sqlite(&self.path, "begin a fresh file", source);
        let mut writer = self.writer();
        let mut reader =
            self.reader.as_ref().map(|r| r.lock().unwrap_or_else(PoisonError::into_inner));
        // Closed before the file moves: SQLite removes side files by name when it closes, and
        // would remove those of the fresh file.
        *writer = Connection::open_in_memory().map_err(failed)?;
        if let Some(reader) = &mut reader {
            **reader = Connection::open_in_memory().map_err(failed)?;
        }
        set_aside(&self.path, damage)?;
        (*writer, _) = schema::connect(&self.path, self.mode)?;
        if let Some(reader) = &mut reader {
            **reader = open_reader(&self.path)?;
        }
        Ok(())
    }
}

fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .map_err(|source| JournalError::sqlite(path, "open the file to read", source))
}

/// Renames the file and those beside it to `….corrupt-<unix time>`, still fit for a rescue with
/// SQLite's own tools.
#[expect(clippy::disallowed_methods, reason = "the daemon's own state, not the build tree")]
fn set_aside(path: &Path, damage: &rusqlite::Error) -> Result<(), JournalError> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let aside = (now..)
        .map(|time| with_suffix(path, &format!(".corrupt-{time}")))
        .find(|aside| !aside.exists())
        .expect("some second has no file yet");
    tracing::warn!(
        path = %path.display(), aside = %aside.display(), cause = %damage,
        "journal is damaged: set aside, and a fresh one begun"
    );
    let moved = |from: &Path, to: &Path| match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(JournalError::Io { path: from.to_owned(), source: error })
        }
        _ => Ok(()),
    };
    for side in SIDE_FILES {
        moved(&with_suffix(path, side), &with_suffix(&aside, side))?;
    }
    moved(path, &aside)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a temporary directory, not a build tree")]
    fn what_is_beside_a_damaged_file_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            std::fs::write(with_suffix(&file, suffix), suffix).unwrap();
        }
        set_aside(&file, &rusqlite::Error::InvalidQuery).unwrap();
        let names = crate::journal::tests::names(dir.path());
        let aside = &names[0];
        assert!(aside.starts_with("journal.sqlite.corrupt-"), "{names:?}");
        let expected = ["", "-journal", "-shm", "-wal"].map(|suffix| format!("{aside}{suffix}"));
        assert_eq!(names, expected);
    }
}
