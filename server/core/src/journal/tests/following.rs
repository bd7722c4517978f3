//! Reading on: no record is missed or comes twice, whatever is written and pruned meanwhile.

use std::thread;

use crate::journal::{Interest, PAGE};

use super::*;

fn all() -> Interest {
    Interest::default()
}

/// Reads on from `position` until so many records have come, waiting for them.
async fn follow(journal: &Journal, mut position: i64, count: usize) -> Vec<Record> {
    let (mut follower, mut seen) = (journal.follower(), Vec::new());
    while seen.len() < count {
        let page = journal.read_on(position, &all()).unwrap();
        assert!(page.records.len() <= PAGE);
        position = page.position;
        seen.extend(page.records);
        if page.is_last && seen.len() < count {
            let more = follower.beyond(position);
            tokio::time::timeout(Duration::from_secs(30), more).await.expect("it is told of more");
        }
    }
    seen
}

#[test]
fn followers_at_work_beside_the_writers_see_every_record_once() {
    const COUNT: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    thread::scope(|scope| {
        let writers = [0, 1].map(|half| {
            let journal = &journal;
            scope.spawn(move || (0..COUNT / 2).for_each(|n| append(journal, [2 * n + half])))
        });
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let journal = &journal;
                scope.spawn(move || {
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = runtime.enable_time().build().unwrap();
                    runtime.block_on(follow(journal, 0, COUNT))
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        for reader in readers {
            let seen = reader.join().unwrap();
            assert_eq!(seqs(&seen), Vec::from_iter(1..=COUNT as i64));
        }
    });
    assert_eq!(journal.followers(), 0, "who has gone is not counted");
}

#[tokio::test]
async fn what_was_written_between_a_look_and_the_wait_counts() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let mut follower = journal.follower();
    let position = journal.read_on(0, &all()).unwrap().position;
    append(&journal, [1]);
    journal.flush();
    tokio::time::timeout(Duration::from_secs(30), follower.beyond(position)).await.unwrap();
    assert_eq!(numbers(&journal.read_on(position, &all()).unwrap().records), [1]);
    assert_eq!(journal.position(), 1);
}

#[test]
fn a_position_whose_next_record_is_pruned_or_never_was_is_refused_with_those_that_are_left() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open_with(dir.path(), &bounded(100, 65_536)).unwrap();
    assert_eq!(journal.read_on(0, &all()).unwrap().position, 0, "an empty one begins at 0");
    for batch in [1..=150, 151..=250] {
        append(&journal, batch);
        journal.flush();
    }
    for after in [0, 1, 149, 251, -1] {
        match journal.read_on(after, &all()) {
            Err(crate::journal::JournalError::PositionGone { after: said, kept }) => {
                assert_eq!((said, kept), (after, 150..=250));
            }
            other => panic!("{after}: {other:?}"),
        }
        assert!(journal.last_change(b"250", after).is_err(), "{after}");
    }
    let page = journal.read_on(150, &all()).unwrap();
    assert_eq!((seqs(&page.records), page.position), (Vec::from_iter(151..=250), 250));
    assert_eq!(journal.read_on(250, &all()).unwrap().records, []);
}

#[test]
fn only_what_is_wanted_comes_but_the_position_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let made =
        |path: &str, target: &str, outcome| Entry { target: target.into(), outcome, ..entry(path) };
    journal.append(made("a", "one", "created"));
    journal.append(made("a/b", "two", "unchanged"));
    journal.append(Entry { other: Some(b"a/c".into()), ..made("x", "two", "created") });
    journal.append(Entry { build: "other".into(), ..made("ab", "one", "replaced") });
    journal.flush();
    let seen = |interest: Interest| {
        let page = journal.read_on(0, &interest).unwrap();
        assert_eq!((page.position, page.is_last), (4, true));
        seqs(&page.records)
    };
    let paths = |paths: &[&str]| paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    assert_eq!(seen(all()), [1, 2, 3, 4]);
    assert_eq!(seen(Interest { paths: paths(&["a"]), ..all() }), [1, 2, 3]);
    assert_eq!(seen(Interest { paths: paths(&["a/b", "ab"]), ..all() }), [2, 4]);
    assert_eq!(seen(Interest { paths: paths(&["", "nothing"]), ..all() }), [1, 2, 3, 4]);
    assert_eq!(seen(Interest { target: Some("two".into()), ..all() }), [2, 3]);
    assert_eq!(seen(Interest { build: Some("other".into()), ..all() }), [4]);
    assert_eq!(seen(Interest { changes_only: true, ..all() }), [1, 3, 4]);
    assert_eq!(journal.last_change(b"a", 0).unwrap(), Some(3));
    assert_eq!(journal.last_change(b"a/b", 0).unwrap(), None, "it was left as it was");
    assert_eq!(journal.last_change(b"ab", 4).unwrap(), None);
}

#[test]
fn numbers_go_on_after_a_file_was_begun_anew_for_something_that_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    append(&journal, 1..=5);
    journal.flush();
    journal.store.begin_anew(&rusqlite::Error::InvalidQuery).unwrap();
    journal.end_build("b".into(), SystemTime::now(), 0);
    journal.flush();
    append(&journal, [6]);
    journal.flush();
    assert_eq!(seqs(&everything(&journal)), [6]);
    assert!(journal.read_on(4, &all()).is_err(), "what is lost is not passed over in silence");
    assert_eq!(seqs(&journal.read_on(5, &all()).unwrap().records), [6]);
}
