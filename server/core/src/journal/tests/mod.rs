//! The journal as its users see it. What the queue and the statements do on their own is tested
//! beside them.

mod builds;
mod following;
mod opening;
mod reading;
mod writing;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use super::{Entry, Journal, Options, Query, Record};

/// A file created at `path`.
pub(crate) fn entry(path: &str) -> Entry {
    Entry {
        at: SystemTime::now(),
        took: Duration::from_micros(120),
        build: "build-1".into(),
        target: "all".into(),
        directory: "src".into(),
        pid: 4242,
        uid: 1000,
        identity: String::new(),
        method: "publish",
        path: path.into(),
        other: None,
        outcome: "created",
        bytes: 4096,
        error: None,
    }
}

/// Waits for `event`, and panics if it does not come.
pub(super) fn eventually(event: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !happened() {
        assert!(Instant::now() < deadline, "{event}: did not happen");
        std::thread::yield_now();
    }
}

fn append(journal: &Journal, paths: impl IntoIterator<Item = usize>) {
    for number in paths {
        journal.append(entry(&number.to_string()));
    }
}

fn everything(journal: &Journal) -> Vec<Record> {
    journal.list(&Query { limit: usize::MAX, ..Query::default() }).unwrap()
}

/// The paths of `records`, which [`append`] made from numbers.
fn numbers(records: &[Record]) -> Vec<usize> {
    records.iter().map(|r| str::from_utf8(&r.path).unwrap().parse().unwrap()).collect()
}

fn seqs(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.seq).collect()
}

fn bounded(max_rows: usize, queue: usize) -> Options {
    Options {
        max_rows: NonZeroUsize::new(max_rows).unwrap(),
        queue: NonZeroUsize::new(queue).unwrap(),
        mode: None,
    }
}

/// Lets the file grow by no more than `pages`, as a disk with so much space would.
fn limit_growth(connection: &Connection, pages: i64) {
    let size: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = size.saturating_add(pages).min(u32::MAX as i64 - 1);
    let set: i64 = connection
        .pragma_update_and_check(None, "max_page_count", limit, |row| row.get(0))
        .unwrap();
    assert_eq!(set, limit);
}

/// The names in `dir`, sorted.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
