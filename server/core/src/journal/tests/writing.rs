//! Appending: order, batches, flushing, full disks, retention, the end.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use super::*;

#[test]
fn every_field_comes_back_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let sent = Entry {
        at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
        took: Duration::from_nanos(987_654_321),
        build: "b-7".into(),
        target: "lib/foo.o".into(),
        directory: "lib".into(),
        pid: u32::MAX,
        uid: 65_534,
        identity: "cert:b-7".into(),
        method: "rename",
        path: b"na\xefve/\xff\x00\n".to_vec(),
        other: Some(b"old/\xfe".to_vec()),
        outcome: "replaced",
        bytes: 5_000_000_000,
        error: Some("directory not empty".into()),
    };
    journal.append(sent.clone());
    journal.flush();

    let expected = Record {
        seq: 1,
        at: sent.at,
        took: sent.took,
        build: sent.build,
        target: sent.target,
        directory: sent.directory,
        pid: sent.pid,
        uid: sent.uid,
        identity: sent.identity,
        method: sent.method.into(),
        path: sent.path,
        other: sent.other,
        outcome: sent.outcome.into(),
        is_change: true,
        bytes: sent.bytes,
        error: sent.error,
    };
    assert_eq!(everything(&journal), [expected]);
}

#[test]
fn many_entries_share_few_transactions_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let paused = journal.store.writer();
    append(&journal, 0..5000);
    assert_eq!(journal.stats().queued, 5000);
    drop(paused);
    journal.flush();

    let stats = journal.stats();
    assert_eq!((stats.written, stats.queued, stats.last_seq), (5000, 0, 5000));
    // Five full batches, and what the writer had taken before it was stopped.
    assert!(stats.transactions <= 6, "{stats:?}");
    let records = everything(&journal);
    assert_eq!(seqs(&records), Vec::from_iter(1..=5000));
    assert_eq!(numbers(&records), Vec::from_iter(0..5000));
}

#[test]
fn an_entry_is_written_though_nobody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, [1]);
    eventually("it is written", || everything(&journal).len() == 1);
}

#[test]
fn a_flush_ends_when_what_came_before_can_be_read_and_not_earlier() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut idle = pin!(journal.flushed());
        assert_eq!(idle.as_mut().poll(&mut context), Poll::Ready(()));
    }
    let paused = journal.store.writer();
    append(&journal, 0..3);
    let mut flushed = pin!(journal.flushed());
    assert_eq!(flushed.as_mut().poll(&mut context), Poll::Pending);
    thread::scope(|scope| {
        let flush = scope.spawn(|| {
            journal.flush();
            everything(&journal).len()
        });
        assert_eq!(flushed.as_mut().poll(&mut context), Poll::Pending);
        drop(paused);
        assert_eq!(flush.join().unwrap(), 3);
    });
    eventually("the other one too", || flushed.as_mut().poll(&mut context).is_ready());
}

#[tokio::test]
async fn a_flush_can_be_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    for round in 0..20 {
        append(&journal, [round]);
        journal.flushed().await;
        assert_eq!(journal.stats().queued, 0);
        assert_eq!(everything(&journal).len(), round + 1);
    }
}

#[test]
fn concurrent_appenders_lose_nothing_and_each_keeps_its_order() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let dir = tempfile::tempdir().unwrap();
    // A queue far too small, so that they wait for room as well.
    let journal = Journal::open_with(dir.path(), &bounded(1_000_000, 16)).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || append(journal, (0..EACH).map(|i| thread * EACH + i)));
        }
    });
    journal.flush();

    let records = everything(&journal);
    assert_eq!(seqs(&records), Vec::from_iter(1..=(THREADS * EACH) as i64));
    let numbers = numbers(&records);
    for thread in 0..THREADS {
        let own = thread * EACH..(thread + 1) * EACH;
        let found: Vec<_> = numbers.iter().copied().filter(|n| own.contains(n)).collect();
        assert_eq!(found, Vec::from_iter(own));
    }
}

#[test]
fn a_full_disk_loses_nothing_once_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, 0..10);
    journal.flush();
    limit_growth(&journal.store.writer(), 0);
    append(&journal, 10..3000);
    eventually("a write fails", || journal.stats().failed_attempts >= 2);
    let readable = everything(&journal).len();
    assert!(readable < 3000);

    limit_growth(&journal.store.writer(), i64::MAX);
    journal.flush();
    assert_eq!(numbers(&everything(&journal)), Vec::from_iter(0..3000));
    assert_eq!(seqs(&everything(&journal)), Vec::from_iter(1..=3000));
    assert_eq!(journal.stats().lost, 0);
}

#[test]
fn a_disk_that_stays_full_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open_with(dir.path(), &bounded(1_000_000, 8)).unwrap();
    limit_growth(&journal.store.writer(), 0);
    append(&journal, 0..2000);
    journal.close();

    let stats = journal.stats();
    assert!(stats.lost > 0, "{stats:?}");
    assert_eq!((stats.written + stats.lost, stats.queued), (2000, 0));
    // One attempt for a batch while somebody waits for room, or two if nobody did at first.
    assert!(stats.failed_attempts < stats.lost / 2, "{stats:?}");
    let written = everything(&journal);
    assert_eq!(written.len() as u64, stats.written);
    assert_eq!(seqs(&written), Vec::from_iter(1..=written.len() as i64), "a loss leaves no gap");
}

#[test]
fn closing_writes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, 0..3000);
    journal.close();
    assert_eq!(everything(&journal).len(), 3000);

    append(&journal, [1]);
    journal.flush();
    journal.close();
    assert_eq!((journal.stats().lost, journal.stats().queued), (1, 0));
}

#[test]
fn only_so_many_are_kept_and_their_space_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open_with(dir.path(), &bounded(500, 1000)).unwrap();
    let size = || journal.store.writer().pragma_query_value(None, "page_count", |row| row.get(0));
    let mut sizes: Vec<i64> = Vec::new();
    for round in 0..60 {
        append(&journal, (0..100).map(|i| round * 100 + i));
        journal.flush();
        let last = (round as i64 + 1) * 100;
        let kept = Vec::from_iter((last - 499).max(1)..=last);
        assert_eq!(seqs(&everything(&journal)), kept);
        assert_eq!((journal.stats().first_seq, journal.stats().last_seq), (kept[0], last));
        sizes.push(size().unwrap());
    }
    assert!(sizes[59] <= sizes[10] * 5 / 4, "{sizes:?}");
}

#[test]
fn a_lowered_limit_is_reached_in_steps() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, 0..10_000);
    drop(journal);
    let journal = Journal::open_with(dir.path(), &bounded(10, 1000)).unwrap();
    let mut kept = vec![10_000];
    for number in 0..3 {
        append(&journal, [number]);
        journal.flush();
        kept.push(everything(&journal).len());
    }
    assert_eq!(kept, [10_000, 5905, 1810, 10]);
}
