//! Reading on from a position: what was written after it, and then whatever is, without a gap.
//!
//! A position is the number of a record: everything up to it has been seen. Whoever reads on has a
//! [`Follower`], which tells when there is more, and takes that from the file a page at a time: what
//! is in memory does not depend on how far behind somebody is.

use rusqlite::Connection;
use tokio::sync::watch;

use super::reader::{self, PathFilter, Query};
use super::store::Span;
use super::{Journal, JournalError, Record};

/// Records that are looked at, and perhaps handed out, at once.
pub const PAGE: usize = 256;

/// Which records somebody wants to see. The default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Only those that touched one of these or something below it, as `path` or as `other`. None:
    /// any. An empty one is the root.
    pub paths: Vec<Vec<u8>>,
    /// Only those for this target.
    pub target: Option<String>,
    /// Only those of this build.
    pub build: Option<String>,
    /// Only those that changed the tree.
    pub changes_only: bool,
}

/// What follows a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most [`PAGE`], in the order of their numbers.
    pub records: Vec<Record>,
    /// Up to here, nothing else is wanted.
    pub position: i64,
    /// Whether that was all that there is.
    pub is_last: bool,
}

/// Waits for what is written. It costs the writer nothing but to wake it.
#[derive(Debug)]
pub struct Follower(watch::Receiver<i64>);

impl Follower {
    pub(super) fn new(newest: watch::Receiver<i64>) -> Self {
        Self(newest)
    }

    /// Returns when the journal has a record after `position`; never once it is closed. What was
    /// written before the call counts, so that nothing is missed between a look and the wait.
    pub async fn beyond(&mut self, position: i64) {
        if self.0.wait_for(|newest| *newest > position).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Interest {
    fn wants(&self, record: &Record) -> bool {
        let touches = |path: &Vec<u8>| {
            is_within(&record.path, path)
                || record.other.as_ref().is_some_and(|other| is_within(other, path))
        };
        (!self.changes_only || record.is_change)
            && self.target.as_ref().is_none_or(|target| *target == record.target)
            && self.build.as_ref().is_none_or(|build| *build == record.build)
            && (self.paths.is_empty() || self.paths.iter().any(touches))
    }
}

/// Whether `path` is `top` or lies below it.
fn is_within(path: &[u8], top: &[u8]) -> bool {
    top.is_empty() || path.strip_prefix(top).is_some_and(|r| r.is_empty() || r[0] == b'/')
}

impl Journal {
    /// The position at which everything is seen that was written by now.
    pub fn position(&self) -> i64 {
        self.queue.newest()
    }

    /// One who waits for what is written.
    pub fn follower(&self) -> Follower {
        Follower::new(self.queue.follow())
    }

    /// How many there are.
    pub fn followers(&self) -> usize {
        self.queue.followers()
    }

    /// What of the next records is wanted after the position `after`.
    ///
    /// # Errors
    /// [`JournalError::PositionGone`] if it does not hold what came right after it; else those of
    /// [`Journal::list`].
    pub fn read_on(&self, after: i64, interest: &Interest) -> Result<Page, JournalError> {
        // By number only, whatever is wanted of them: an index of paths would be read from its
        // beginning for each page.
        let query = Query { after_seq: after, limit: PAGE, ..Query::default() };
        let (span, mut records) = self.read_after(after, &query)?;
        let is_last = records.len() < PAGE;
        let position = match records.last() {
            Some(record) => record.seq,
            None => span.last,
        };
        records.retain(|record| interest.wants(record));
        Ok(Page { records, position, is_last })
    }

    /// The number of the newest record after the position `after` of a change at `path` or below.
    ///
    /// # Errors
    /// Those of [`Journal::read_on`].
    pub fn last_change(&self, path: &[u8], after: i64) -> Result<Option<i64>, JournalError> {
        let query = Query {
            after_seq: after,
            limit: 1,
            path: Some(PathFilter::AtOrBelow(path.to_vec())),
            changes_only: true,
            newest_first: true,
            ..Query::default()
        };
        let (_, records) = self.read_after(after, &query)?;
        Ok(records.first().map(|record| record.seq))
    }

    /// What `query` finds, and what the file holds at that very moment.
    fn read_after(&self, after: i64, query: &Query) -> Result<(Span, Vec<Record>), JournalError> {
        let read = |connection: &Connection| {
            let moment = connection.unchecked_transaction()?;
            Ok((Span::of(&moment)?, reader::list(&moment, query)?))
        };
        let (span, records) = self
            .store
            .read(read)
            .map_err(|source| JournalError::sqlite(self.store.path(), "read on", source))?;
        let kept = span.first.saturating_sub(1).max(0)..=span.last;
        if !kept.contains(&after) {
            return Err(JournalError::PositionGone { after, kept });
        }
        Ok((span, records))
    }
}
