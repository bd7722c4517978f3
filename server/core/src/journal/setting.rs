//! What the daemon keeps beside its entries: a few numbers, and what ran once.
//!
//! Unlike entries these are written at once, by whoever asks.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Journal, JournalError, entry::time_to_ns};

/// How long it is remembered what ran in builds: one that takes longer than a weekend is none.
pub(crate) const BUILDS_ARE_OVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// After so many that are remembered, those that are over are forgotten. That is a look at all.
const FORGET_EVERY: u64 = 4096;

/// How something ended that runs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// The exit code of its command.
    pub exit_code: i32,
    /// Who ran it, in words.
    pub by: String,
    /// The paths that must exist for it to count.
    pub outputs: Vec<Vec<u8>>,
}

impl Journal {
    /// The number that is kept under `name`; 0 if none is.
    ///
    /// # Errors
    /// What SQLite had to say.
    pub fn number(&self, name: &str) -> Result<i64, JournalError> {
        self.now("read a number", |connection| {
            let query = "SELECT value FROM setting WHERE name = ?1";
            let found = connection.query_row(query, [name], |row| row.get(0)).optional();
            Ok(found?.unwrap_or(0))
        })
    }

    /// Keeps a number under `name`.
    ///
    /// # Errors
    /// What SQLite had to say; the number is as it was then.
    pub fn set_number(&self, name: &str, value: i64) -> Result<(), JournalError> {
        self.now("keep a number", |connection| {
            let set = "INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)";
            connection.execute(set, params![name, value]).map(drop)
        })
    }

    /// How `key` ended, within `build` (empty: for good).
    ///
    /// # Errors
    /// What SQLite had to say.
    pub fn ran(&self, build: &str, key: &str) -> Result<Option<Ran>, JournalError> {
        self.now("look up what ran", |connection| {
            let query = "SELECT exit_code, by, outputs FROM once WHERE build = ?1 AND key = ?2";
            let ran = |row: &rusqlite::Row<'_>| {
                let outputs: Vec<u8> = row.get(2)?;
                let outputs = outputs.split(|&b| b == 0).filter(|path| !path.is_empty());
                let outputs = outputs.map(<[u8]>::to_vec).collect();
                Ok(Ran { exit_code: row.get(0)?, by: row.get(1)?, outputs })
            };
            connection.query_row(query, [build, key], ran).optional()
        })
    }

    /// Remembers how `key` ended; and forgets, now and then, what ran in builds that are over.
    ///
    /// # Errors
    /// What SQLite had to say; nothing is remembered then.
    pub fn remember(&self, build: &str, key: &str, ran: &Ran) -> Result<(), JournalError> {
        // A path has no NUL.
        let outputs = ran.outputs.join(&0);
        self.now("remember what ran", |connection| {
            let set = "INSERT OR REPLACE INTO once (build, key, at_ns, exit_code, by, outputs)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let at = time_to_ns(SystemTime::now());
            let values = params![build, key, at, ran.exit_code, ran.by, outputs];
            connection.execute(set, values).map(drop)
        })?;
        if (self.remembered.fetch_add(1, Relaxed) + 1).is_multiple_of(FORGET_EVERY)
            && let Err(error) = self.forget_builds(BUILDS_ARE_OVER)
        {
            tracing::warn!(cause = %error, "what ran in old builds is not forgotten yet");
        }
        Ok(())
    }

    /// Forgets how `key` ended; whether there was something to forget.
    ///
    /// # Errors
    /// What SQLite had to say; nothing is forgotten then.
    pub fn forget(&self, build: &str, key: &str) -> Result<bool, JournalError> {
        self.now("forget what ran", |connection| {
            let delete = "DELETE FROM once WHERE build = ?1 AND key = ?2";
            connection.execute(delete, [build, key]).map(|count| count > 0)
        })
    }

    /// Forgets what ran in builds so long ago that they are over.
    ///
    /// # Errors
    /// What SQLite had to say; nothing is forgotten then.
    pub fn forget_builds(&self, older_than: Duration) -> Result<(), JournalError> {
        let before = SystemTime::now().checked_sub(older_than).unwrap_or(SystemTime::UNIX_EPOCH);
        self.now("forget old builds", |connection| {
            let delete = "DELETE FROM once WHERE build <> '' AND at_ns < ?1";
            connection.execute(delete, [time_to_ns(before)]).map(drop)
        })
    }

    fn now<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let done = work(&self.store.writer());
        done.map_err(|source| JournalError::sqlite(self.store.path(), doing, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_in_builds_that_are_over_is_forgotten_while_others_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let ran = Ran::default();
        for build in ["", "old"] {
            journal.remember(build, "key", &ran).unwrap();
        }
        let age = |connection: &Connection| connection.execute("UPDATE once SET at_ns = 0", []);
        journal.now("age", age).unwrap();
        for number in 2..FORGET_EVERY {
            assert!(journal.ran("old", "key").unwrap().is_some(), "{number}");
            journal.remember("new", &number.to_string(), &ran).unwrap();
        }
        assert_eq!(journal.ran("old", "key").unwrap(), None);
        assert_eq!(journal.ran("", "key").unwrap(), Some(ran.clone()), "for good");
        assert_eq!(journal.ran("new", "2").unwrap(), Some(ran));
    }
}
