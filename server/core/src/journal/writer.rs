//! The one thread that writes: a batch from the queue, a transaction in the file.
//!
//! Old entries are pruned in the transaction that adds new ones, as many as came and a few more
//! if the limit was lowered, so no commit takes long and the file never holds more than it should.
//! Their pages are used again for what comes next. The file stays at its largest size, which is
//! the size that it needs all the time; giving pages back (`auto_vacuum`) would move pages at
//! every step only to claim them again with the next batch.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{TransactionBehavior, params};

use super::builds;
use super::entry::{duration_to_ns, time_to_ns};
use super::error::is_damage;
use super::queue::{Item, Queue};
use super::schema::COLUMNS;
use super::store::{Span, Store};

/// Attempts to write one batch, before it is given up. With the delays between them, some 17
/// seconds: long enough for a passing shortage, while the queue has room for what comes meanwhile.
const ATTEMPTS: u32 = 9;

/// The delay after the first failed attempt; it doubles up to [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// When nothing was to be written for so long, the file's pages are not kept in memory any more.
const QUIET: Duration = Duration::from_secs(10);

/// Entries pruned by one transaction at most: some more than it can add, so that a journal that
/// is over its limit gets there.
const PRUNE_STEP: i64 = 4096;

pub(super) struct Writer {
    store: Arc<Store>,
    queue: Arc<Queue>,
    max_rows: i64,
    /// The newest number given: numbers go on from here even in a file begun anew.
    last_seq: i64,
    /// Entries lost since the file was last written; `None` while all is well.
    outage: Option<u64>,
}

impl Writer {
    pub(super) fn new(
        store: Arc<Store>,
        queue: Arc<Queue>,
        max_rows: NonZeroUsize,
        span: Span,
    ) -> Writer {
        let max_rows = i64::try_from(max_rows.get()).unwrap_or(i64::MAX);
        Writer { store, queue, max_rows, last_seq: span.last, outage: None }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut patience = None;
        while let Some(batch) = self.queue.next_batch(patience) {
            if batch.is_empty() {
                self.store.shrink();
                patience = None;
            } else {
                self.settle(&batch);
                patience = Some(QUIET);
            }
        }
    }

    /// Writes `batch`, or gives it up when it cannot be written.
    fn settle(&mut self, batch: &[Item]) {
        let mut delay = FIRST_DELAY;
        for attempt in 1..=ATTEMPTS {
            let error = match self.commit(batch) {
                Ok(span) => {
                    // A file begun anew may have no record yet.
                    self.last_seq = self.last_seq.max(span.last);
                    self.report_recovery();
                    return self.queue.written(batch.len(), span);
                }
                Err(error) => error,
            };
            let may_wait = self.queue.attempt_failed();
            self.report_failure(&error);
            if is_damage(&error) || self.store.is_detached() {
                match self.store.begin_anew(&error) {
                    Ok(()) => continue,
                    Err(error) => tracing::error!(cause = %error, "journal cannot be begun anew"),
                }
            }
            if !may_wait || attempt == ATTEMPTS {
                break;
            }
            self.queue.back_off(delay);
            delay = (delay * 2).min(LONGEST_DELAY);
        }
        self.give_up(batch);
    }

    /// One transaction. The numbers are read inside it, so that one which was committed although
    /// it seemed to fail cannot make the next ones collide.
    fn commit(&self, batch: &[Item]) -> rusqlite::Result<Span> {
        let mut connection = self.store.writer();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = Span::of(&transaction)?;
        let entries = batch.iter().filter(|item| matches!(item, Item::Entry(_))).count() as i64;
        let last = before.last.max(self.last_seq) + entries;

        // Pruned first, so that the new entries find the pages free.
        let keep_from = (last - self.max_rows + 1).min(before.first + PRUNE_STEP);
        transaction.prepare_cached("DELETE FROM entry WHERE seq < ?1")?.execute([keep_from])?;
        let mut insert = transaction.prepare_cached(&format!(
            "INSERT INTO entry ({COLUMNS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
        ))?;
        let mut seqs = last - entries + 1..;
        for item in batch {
            let entry = match item {
                Item::Entry(entry) => entry,
                Item::Note(note) => {
                    builds::write(&transaction, note, self.max_rows)?;
                    continue;
                }
            };
            let seq = seqs.next();
            insert.execute(params![
                seq,
                time_to_ns(entry.at),
                duration_to_ns(entry.took),
                entry.build,
                entry.target,
                entry.directory,
                entry.pid,
                entry.uid,
                entry.method,
                entry.path,
                entry.other,
                entry.outcome,
                entry.is_change(),
                i64::try_from(entry.bytes).unwrap_or(i64::MAX),
                entry.error,
                entry.identity,
            ])?;
        }
        drop(insert);
        let after = Span::of(&transaction)?;
        transaction.commit()?;
        Ok(after)
    }

    fn give_up(&mut self, batch: &[Item]) {
        let lost = batch.len() as u64;
        if self.outage.replace(self.outage.unwrap_or(0) + lost) == Some(0) {
            tracing::error!(
                path = %self.store.path().display(), lost,
                "journal entries are lost until it can be written again"
            );
        }
        self.queue.lost(batch.len());
    }

    /// Once for each outage: a full disk would fill the log too.
    fn report_failure(&mut self, error: &rusqlite::Error) {
        if self.outage.is_none() {
            let path = self.store.path().display();
            tracing::warn!(%path, cause = %error, "journal cannot be written; trying again");
            self.outage = Some(0);
        }
    }

    fn report_recovery(&mut self) {
        if let Some(lost) = self.outage.take() {
            tracing::info!(path = %self.store.path().display(), lost, "journal is written again");
        }
    }
}

impl Drop for Writer {
    /// After a panic, too: else appenders would wait for ever.
    fn drop(&mut self) {
        self.queue.end();
    }
}
