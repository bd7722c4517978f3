//! The journal: the ordered record of what was changed, when, by whom, for which target.
//!
//! Callers hand an [`Entry`] to [`Journal::append`] and go on. One thread takes what has gathered
//! and commits it to `journal.sqlite` in the state directory, a batch a transaction, so that the
//! cost of SQLite stays off the path of a mutation. [`Journal::list`] reads back.
//!
//! What it promises:
//! * Entries are numbered from 1 in the order in which they were appended, without gaps; a reader
//!   sees all entries up to some number and none after it.
//! * An entry that records a change is never dropped to save time: when the queue is full, its
//!   appender waits. Only entries that changed nothing are dropped then, and counted. What is noted
//!   of builds and recipes waits for nothing: it has some room more, and is lost beyond that.
//! * No build stops because of it. A damaged file is set aside and a fresh one begun, a full disk
//!   is retried while there is room to wait, and what cannot be written after all is counted as
//!   lost and logged.
//! * A crash of the process loses what was not yet written (some 50 ms), a power cut perhaps what
//!   was written last; neither damages what came before (SQLite, `synchronous=NORMAL`).
//!
//! ```text
//! append → queue.rs → writer.rs → store.rs (the file and its connections) → reader.rs → list
//!              └ tells follow.rs ────────│──────────────────────────────────────┘ → read_on
//!                                     └ schema.rs (tables, versions, journal modes)
//! ```

mod builds;
mod entry;
mod error;
mod follow;
mod queue;
mod reader;
mod schema;
mod setting;
mod store;
pub mod succession;
mod writer;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::entry as entry_for_tests;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use builds::{Build, How, Recipe, RecipeOutcome};
pub use entry::{Entry, Record};
pub use error::JournalError;
pub use follow::{Follower, Interest, PAGE, Page};
pub use reader::{PathFilter, Query};
pub use schema::Mode;
pub use setting::Ran;

pub(crate) use entry::time_to_ns;
pub(crate) use setting::BUILDS_ARE_OVER;

use queue::Queue;
use store::Store;
use writer::Writer;

/// How long [`Journal::close`] waits for the last entries: a full queue takes about a second, and
/// whoever stops the daemon should not wait much longer than that for a disk that hangs.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// What may be set about a journal. The defaults suit a build daemon.
#[derive(Debug, Clone)]
pub struct Options {
    /// Entries kept; older ones are pruned. Some 300 bytes each on disk.
    pub max_rows: NonZeroUsize,
    /// Entries that may wait to be written before appenders of changes have to wait too.
    pub queue: NonZeroUsize,
    /// How SQLite keeps the file; `None` decides by the directory's filesystem.
    pub mode: Option<Mode>,
}

impl Default for Options {
    fn default() -> Self {
        const MAX_ROWS: NonZeroUsize = NonZeroUsize::new(2_000_000).unwrap();
        const QUEUE: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
        Options { max_rows: MAX_ROWS, queue: QUEUE, mode: None }
    }
}

/// How the journal is doing. Counters run from the moment it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries, builds and recipes accepted and not yet written.
    pub queued: u64,
    /// Entries, builds and recipes written.
    pub written: u64,
    /// Transactions that wrote them.
    pub transactions: u64,
    /// Attempts to write that failed; each was tried again or ended in `lost`.
    pub failed_attempts: u64,
    /// Entries that changed nothing and came while the queue was full.
    pub dropped_unchanged: u64,
    /// Those that could not be written, or came after the journal was closed; and notes of builds and
    /// recipes for which there was no room.
    pub lost: u64,
    /// Age of the oldest entry not yet written; zero when there is none.
    pub lag: Duration,
    /// Number of the oldest entry kept; 0 when there is none.
    pub first_seq: i64,
    /// Number of the newest entry written; 0 when there is none.
    pub last_seq: i64,
}

/// An open journal. Share it behind an `Arc`; dropping the last one closes it.
#[derive(Debug)]
pub struct Journal {
    store: Arc<Store>,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// How many outcomes of what runs once were written down.
    remembered: AtomicU64,
}

impl Journal {
    /// Opens `journal.sqlite` in the existing directory `dir`, or begins it, with the defaults.
    ///
    /// # Errors
    /// [`JournalError::NewerSchema`] for a file of a newer version, [`JournalError::InUse`] if
    /// another process has it to itself, and what the filesystem or SQLite had to say otherwise.
    /// A damaged file is no error: it is set aside as `journal.sqlite.corrupt-<unix time>`.
    pub fn open(dir: &Path) -> Result<Journal, JournalError> {
        Journal::open_with(dir, &Options::default())
    }

    /// [`Journal::open`], with `options`.
    ///
    /// # Errors
    /// Those of [`Journal::open`].
    pub fn open_with(dir: &Path, options: &Options) -> Result<Journal, JournalError> {
        let store = Arc::new(Store::open(dir, options.mode)?);
        let span = store.span()?;
        let queue = Arc::new(Queue::new(options.queue, span));
        let writer = Writer::new(store.clone(), queue.clone(), options.max_rows, span);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run())
            .map_err(|source| JournalError::Io { path: store.path().to_owned(), source })?;
        let thread = Mutex::new(Some(thread));
        Ok(Journal { store, queue, thread, remembered: AtomicU64::new(0) })
    }

    /// How SQLite keeps the file.
    pub fn mode(&self) -> Mode {
        self.store.mode()
    }

    /// Records `entry`, soon. Returns at once, but for this: while the queue is full, an entry
    /// that changed nothing is dropped, and any other blocks the calling thread until there is
    /// room. That wait ends even when the disk stays full: the writer then gives up its batch.
    pub fn append(&self, entry: Entry) {
        self.queue.push(entry);
    }

    /// Blocks until everything appended before this call can be read by [`Journal::list`], or was
    /// counted as lost. On a full disk that may take as long as the writer keeps trying.
    pub fn flush(&self) {
        self.queue.flush();
    }

    /// [`Journal::flush`] for asynchronous callers. Safe to cancel.
    pub async fn flushed(&self) {
        self.queue.flushed().await;
    }

    /// The entries that `query` asks for, as they stood at one moment.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] if the file turns out to be damaged, [`JournalError::Sqlite`] if
    /// it cannot be read.
    pub fn list(&self, query: &Query) -> Result<Vec<Record>, JournalError> {
        self.store
            .read(|connection| reader::list(connection, query))
            .map_err(|source| JournalError::sqlite(self.store.path(), "list entries", source))
    }

    /// How the journal is doing at this moment.
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }

    /// Writes what is queued and ends the writer, within some ten seconds. Entries appended
    /// afterwards are counted as lost; reading still works. Closing twice does nothing more.
    pub fn close(&self) {
        if !self.queue.close(CLOSE_LIMIT) {
            let queued = self.stats().queued;
            tracing::error!(queued, limit = ?CLOSE_LIMIT, "journal did not close in time");
            return;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("journal writer had panicked");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
