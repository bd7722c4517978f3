//! Builds and their recipes: what the journal is told of them, and how it tells of them.
//!
//! They go the way of entries, through the queue, but never wait for room in it, and are read back by
//! the account of a build.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::entry::{time_from_ns, time_to_ns};
use super::{Journal, JournalError};

/// Builds kept; the oldest are forgotten.
const MAX_BUILDS: i64 = 10_000;

/// A build, one run of make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its name.
    pub id: String,
    /// What was run, as people read it.
    pub command: String,
    /// Where, relative to the root.
    pub directory: String,
    /// How many jobs may run at once; 0 for any number, or unknown.
    pub jobs: u32,
    /// The process that began it.
    pub pid: u32,
    /// When it began.
    pub begun: SystemTime,
    /// When it ended, and its exit code; `None` while it runs, or if it was killed.
    pub ended: Option<(SystemTime, i32)>,
}

/// How a recipe was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum How {
    /// As a transaction.
    #[default]
    Wrapped,
    /// By the shell, straight on the tree.
    Unwrapped,
    /// By the client itself, without a shell.
    Direct,
}

/// How a recipe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecipeOutcome {
    /// Well.
    #[default]
    Done,
    /// Its command failed.
    Failed,
    /// It was at odds with others, and was given up.
    Conflicted,
    /// Whoever ran it went away.
    Interrupted,
    /// What it did was refused.
    Refused,
}

/// What make hands to a shell, and how that went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The build that it belongs to.
    pub build: String,
    /// The target that it makes.
    pub target: String,
    /// The directory in which make runs.
    pub directory: String,
    /// The target's prerequisites, with spaces between them.
    pub prerequisites: String,
    /// What was run, as people read it.
    pub command: String,
    /// The process that asked.
    pub pid: u32,
    /// When it began, the first time.
    pub begun: SystemTime,
    /// When it was over.
    pub ended: SystemTime,
    /// How it was run.
    pub how: How,
    /// How it ended.
    pub outcome: RecipeOutcome,
    /// Its command's exit code.
    pub exit_code: i32,
    /// How often it ran again.
    pub reruns: u32,
}

/// What is told of a build as it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    Begun(Build),
    Ended { id: String, at: SystemTime, exit_code: i32 },
    Recipe(Recipe),
}

impl Journal {
    /// Records that a build has begun. One that has begun under this id already stays as it is.
    pub fn begin_build(&self, build: Build) {
        self.queue.note(Note::Begun(build));
    }

    /// Records that a build is over.
    pub fn end_build(&self, id: String, at: SystemTime, exit_code: i32) {
        self.queue.note(Note::Ended { id, at, exit_code });
    }

    /// Records a recipe that is over.
    pub fn note_recipe(&self, recipe: Recipe) {
        self.queue.note(Note::Recipe(recipe));
    }

    /// The build `id`, or the one that began last.
    ///
    /// # Errors
    /// What SQLite had to say.
    pub fn build(&self, id: Option<&str>) -> Result<Option<Build>, JournalError> {
        let sql = match id {
            Some(_) => format!("SELECT {BUILD} FROM build WHERE id = ?1"),
            None => format!("SELECT {BUILD} FROM build WHERE ?1 IS NULL ORDER BY number DESC"),
        };
        self.look("look up a build", |connection| {
            connection.prepare_cached(&sql)?.query_row([id], build).optional()
        })
    }

    /// The newest `limit` builds, the newest first.
    ///
    /// # Errors
    /// What SQLite had to say.
    pub fn builds(&self, limit: u32) -> Result<Vec<Build>, JournalError> {
        let sql = format!("SELECT {BUILD} FROM build ORDER BY number DESC LIMIT ?1");
        self.look("list builds", |connection| {
            connection.prepare_cached(&sql)?.query_map([limit], build)?.collect()
        })
    }

    /// The recipes of the build `id` with their numbers, in the order in which they ended.
    ///
    /// # Errors
    /// What SQLite had to say.
    pub fn recipes(&self, id: &str) -> Result<Vec<(i64, Recipe)>, JournalError> {
        let sql = format!("SELECT number, {RECIPE} FROM recipe WHERE build = ?1 ORDER BY number");
        self.look("list recipes", |connection| {
            connection.prepare_cached(&sql)?.query_map([id], recipe)?.collect()
        })
    }

    fn look<T>(
        &self,
        doing: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let found = self.store.read(query);
        found.map_err(|source| JournalError::sqlite(self.store.path(), doing, source))
    }
}

const BUILD: &str = "id, command, directory, jobs, pid, begun_ns, ended_ns, exit_code";
const RECIPE: &str = "build, target, directory, prerequisites, command, pid, begun_ns, ended_ns, \
                      how, outcome, exit_code, reruns";

/// Writes a note as part of a batch. `max_recipes` are kept.
pub(super) fn write(
    transaction: &Transaction<'_>,
    note: &Note,
    max_recipes: i64,
) -> rusqlite::Result<()> {
    match note {
        Note::Begun(build) => {
            let sql = "INSERT OR IGNORE INTO build (id, command, directory, jobs, pid, begun_ns)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let Build { id, command, directory, jobs, pid, begun, .. } = build;
            let values = params![id, command, directory, jobs, pid, time_to_ns(*begun)];
            transaction.prepare_cached(sql)?.execute(values)?;
            let old = "DELETE FROM build WHERE number <= (SELECT max(number) FROM build) - ?1";
            transaction.prepare_cached(old)?.execute([MAX_BUILDS])?;
        }
        Note::Ended { id, at, exit_code } => {
            let sql = "UPDATE build SET ended_ns = ?2, exit_code = ?3 WHERE id = ?1";
            let values = params![id, time_to_ns(*at), exit_code];
            transaction.prepare_cached(sql)?.execute(values)?;
        }
        Note::Recipe(recipe) => {
            let sql = format!(
                "INSERT INTO recipe ({RECIPE})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            );
            let values = params![
                recipe.build,
                recipe.target,
                recipe.directory,
                recipe.prerequisites,
                recipe.command,
                recipe.pid,
                time_to_ns(recipe.begun),
                time_to_ns(recipe.ended),
                recipe.how as u8,
                recipe.outcome as u8,
                recipe.exit_code,
                recipe.reruns,
            ];
            transaction.prepare_cached(&sql)?.execute(values)?;
            let oldest = transaction.last_insert_rowid().saturating_sub(max_recipes);
            let old = "DELETE FROM recipe WHERE number <= ?1";
            transaction.prepare_cached(old)?.execute([oldest])?;
        }
    }
    Ok(())
}

fn build(row: &Row<'_>) -> rusqlite::Result<Build> {
    let ended: Option<i64> = row.get(6)?;
    let exit_code: Option<i32> = row.get(7)?;
    Ok(Build {
        id: row.get(0)?,
        command: row.get(1)?,
        directory: row.get(2)?,
        jobs: row.get(3)?,
        pid: row.get(4)?,
        begun: time_from_ns(row.get(5)?),
        ended: ended.map(|at| (time_from_ns(at), exit_code.unwrap_or_default())),
    })
}

fn recipe(row: &Row<'_>) -> rusqlite::Result<(i64, Recipe)> {
    let (how, outcome): (u8, u8) = (row.get(9)?, row.get(10)?);
    let recipe = Recipe {
        build: row.get(1)?,
        target: row.get(2)?,
        directory: row.get(3)?,
        prerequisites: row.get(4)?,
        command: row.get(5)?,
        pid: row.get(6)?,
        begun: time_from_ns(row.get(7)?),
        ended: time_from_ns(row.get(8)?),
        how: [How::Wrapped, How::Unwrapped, How::Direct][usize::from(how.min(2))],
        outcome: [
            RecipeOutcome::Done,
            RecipeOutcome::Failed,
            RecipeOutcome::Conflicted,
            RecipeOutcome::Interrupted,
            RecipeOutcome::Refused,
        ][usize::from(outcome.min(4))],
        exit_code: row.get(11)?,
        reruns: row.get(12)?,
    };
    Ok((row.get(0)?, recipe))
}
