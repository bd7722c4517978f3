//! The queue on its own, with the test in the writer's place.

use std::thread;

use super::*;
use crate::journal::tests::{entry, eventually};

fn queue(capacity: usize) -> Queue {
    Queue::new(NonZeroUsize::new(capacity).unwrap(), Span::default())
}

/// Lets go of every thread that waits for the queue, so that a failed assertion is not followed
/// by a wait for ever.
struct EndsOnDrop<'a>(&'a Queue);

impl Drop for EndsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn unchanged(path: &str) -> Entry {
    Entry { outcome: "unchanged", ..entry(path) }
}

fn refused(path: &str) -> Entry {
    Entry { outcome: "refused", error: Some("outside the root".into()), ..entry(path) }
}

fn paths(batch: &[Item]) -> Vec<&str> {
    fn path(item: &Item) -> &str {
        match item {
            Item::Entry(entry) => str::from_utf8(&entry.path).unwrap(),
            Item::Note(_) => "a note",
        }
    }
    batch.iter().map(path).collect()
}

#[test]
fn a_full_queue_drops_what_changed_nothing_and_counts_it() {
    let queue = queue(3);
    queue.push(entry("a"));
    queue.push(unchanged("b"));
    queue.push(entry("c"));
    thread::scope(|scope| {
        let _release = EndsOnDrop(&queue);
        scope.spawn(|| {
            queue.push(unchanged("d"));
            queue.push(Entry { outcome: "existed", ..entry("e") });
        });
        eventually("both are dropped", || queue.stats().dropped_unchanged == 2);
        assert_eq!(queue.stats().queued, 3);
        assert_eq!(paths(&queue.next_batch(None).unwrap()), ["a", "b", "c"]);
    });
}

#[test]
fn a_full_queue_makes_changes_and_refusals_wait_for_room() {
    let queue = queue(2);
    queue.push(entry("a"));
    queue.push(entry("b"));
    thread::scope(|scope| {
        let _release = EndsOnDrop(&queue);
        scope.spawn(|| queue.push(entry("c")));
        eventually("the change waits", || queue.lock().blocked == 1);
        scope.spawn(|| queue.push(refused("d")));
        eventually("the refusal waits", || queue.lock().blocked == 2);
        assert_eq!(queue.stats().queued, 2);

        assert_eq!(paths(&queue.next_batch(None).unwrap()), ["a", "b"]);
        queue.written(2, Span { first: 1, last: 2 });
        eventually("both got in", || queue.stats().queued == 2);
        assert_eq!(queue.stats().dropped_unchanged, 0);
        assert_eq!(queue.stats().lost, 0);
    });
}

#[test]
fn notes_find_room_in_a_full_queue_and_are_lost_rather_than_to_wait() {
    let note = || Note::Ended { id: "b".into(), at: std::time::UNIX_EPOCH, exit_code: 0 };
    let queue = queue(1);
    queue.push(entry("a"));
    thread::scope(|scope| {
        let _release = EndsOnDrop(&queue);
        scope.spawn(|| (0..=ROOM_FOR_NOTES).for_each(|_| queue.note(note())));
        eventually("the last one is lost", || queue.stats().lost == 1);
        assert_eq!(queue.stats().queued, 1 + ROOM_FOR_NOTES as u64);
        assert!(queue.attempt_failed(), "none of them keeps anybody waiting");
        scope.spawn(|| queue.push(entry("b")));
        eventually("a change waits", || queue.lock().blocked == 1);
    });
}

#[test]
fn a_batch_is_bounded() {
    let queue = queue(3 * BATCH);
    for _ in 0..2 * BATCH + 1 {
        queue.push(entry("a"));
    }
    queue.close(Duration::ZERO);
    let sizes: Vec<_> = std::iter::from_fn(|| queue.next_batch(None)).map(|b| b.len()).collect();
    assert_eq!(sizes, [BATCH, BATCH, 1]);
}

#[test]
fn the_lag_is_the_age_of_the_oldest_until_it_is_settled() {
    let queue = queue(8);
    assert_eq!(queue.stats().lag, Duration::ZERO);
    queue.push(entry("a"));
    let before = queue.stats().lag;
    assert!(before > Duration::ZERO);
    let batch = queue.next_batch(None).unwrap();
    assert!(queue.stats().lag > before, "the batch in the writer's hands counts");
    queue.written(batch.len(), Span { first: 1, last: 1 });
    assert_eq!(queue.stats().lag, Duration::ZERO);
}

#[test]
fn the_writer_does_not_wait_for_the_disk_while_an_appender_waits_for_room() {
    let queue = queue(1);
    queue.push(entry("a"));
    assert!(queue.attempt_failed(), "nobody waits yet");
    thread::scope(|scope| {
        let _release = EndsOnDrop(&queue);
        scope.spawn(|| queue.push(entry("b")));
        let (limit, started) = (Duration::from_secs(30), Instant::now());
        queue.back_off(limit);
        assert!(started.elapsed() < limit, "it ends when the appender blocks");
        assert!(!queue.attempt_failed());
        queue.next_batch(None).unwrap();
    });
    assert_eq!(queue.stats().failed_attempts, 2);
}

#[test]
fn nobody_waits_for_a_writer_that_is_gone() {
    let queue = queue(1);
    queue.push(entry("a"));
    thread::scope(|scope| {
        scope.spawn(|| queue.push(entry("b")));
        scope.spawn(|| queue.flush());
        eventually("the appender waits", || queue.lock().blocked == 1);
        queue.end();
    });
    queue.push(entry("c"));
    queue.flush();
    assert!(queue.close(Duration::ZERO));
    assert_eq!(queue.stats().lost, 3);
    assert_eq!(queue.stats().queued, 0);
}

#[test]
fn that_nothing_comes_for_a_while_is_told() {
    let queue = queue(8);
    let batch = queue.next_batch(Some(Duration::from_millis(1)));
    assert_eq!(batch.map(|batch| batch.len()), Some(0));
}
