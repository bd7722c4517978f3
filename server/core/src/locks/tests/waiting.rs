//! Waiting: in turn, to be cancelled at any point, with an end, and seen from outside.

use std::sync::Mutex;
use std::task::Wake;
use std::time::Duration;

use super::*;

#[test]
fn waiters_are_served_in_order() {
    let table = LockTable::new();
    let mut guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let waiters: Vec<_> =
        (1..=5).map(|pid| Request::waiting(&table, pid, &[("a", EXCLUSIVE)])).collect();
    for waiter in waiters {
        drop(guard);
        assert_eq!(queue(&table, "a").0, [waiter.pid]);
        guard = waiter.granted();
    }
    drop(guard);
    assert_idle(&table);
}

#[test]
fn a_shared_request_does_not_overtake_a_waiting_exclusive_one() {
    let table = LockTable::new();
    let reader = try_lock(&table, &[("a", SHARED)]).unwrap();
    let writer = Request::waiting(&table, 1, &[("a", EXCLUSIVE)]);
    let late_reader = Request::waiting(&table, 2, &[("a", SHARED)]);
    assert!(try_lock(&table, &[("a", SHARED)]).is_none(), "nor does one that only tries");
    assert_eq!(queue(&table, "a"), (vec![0], vec![1, 2]));
    drop(reader);
    drop(writer.granted());
    drop(late_reader.granted());
    assert_idle(&table);
}

#[test]
fn the_shared_requests_at_the_front_are_granted_together() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let waiters = [(1, SHARED), (2, SHARED), (3, EXCLUSIVE), (4, SHARED)]
        .map(|(pid, access)| Request::waiting(&table, pid, &[("a", access)]));
    drop(guard);
    assert_eq!(queue(&table, "a"), (vec![1, 2], vec![3, 4]));
    let [one, two, three, four] = waiters;
    drop(two.granted());
    assert_eq!(queue(&table, "a"), (vec![1], vec![3, 4]));
    drop(one.granted());
    assert_eq!(queue(&table, "a"), (vec![3], vec![4]));
    drop(three.granted());
    drop(four.granted());
    assert_idle(&table);
}

#[test]
fn a_directory_taken_alone_waits_for_what_goes_on_below_and_keeps_newcomers_out() {
    let table = LockTable::new();
    let below = try_lock(&table, &[("d/x", EXCLUSIVE)]).unwrap();
    let directory = Request::waiting(&table, 1, &[("d", EXCLUSIVE)]);
    let newcomer = Request::waiting(&table, 2, &[("d/y", EXCLUSIVE)]);
    drop(below);
    drop(directory.granted());
    drop(newcomer.granted());
    assert_idle(&table);
}

#[test]
fn a_request_that_was_never_polled_is_in_no_queue() {
    let table = LockTable::new();
    let request = Request::new(&table, 1, set(&[("a", EXCLUSIVE)]), None);
    assert_idle(&table);
    drop(request);
    assert_eq!(table.counters().acquisitions, 0);
}

#[test]
fn a_cancelled_waiter_lets_those_behind_it_in() {
    let table = LockTable::new();
    let reader = try_lock(&table, &[("a", SHARED)]).unwrap();
    let writer = Request::waiting(&table, 1, &[("a", EXCLUSIVE)]);
    let late_reader = Request::waiting(&table, 2, &[("a", SHARED)]);
    drop(writer);
    let late_reader = late_reader.granted();
    assert_eq!(queue(&table, "a"), (vec![0, 2], vec![]));
    drop((reader, late_reader));
    assert_idle(&table);
}

#[test]
fn a_cancelled_waiter_in_the_middle_is_skipped() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let [first, second, third] =
        [1, 2, 3].map(|pid| Request::waiting(&table, pid, &[("a", EXCLUSIVE)]));
    drop(second);
    assert_eq!(queue(&table, "a"), (vec![0], vec![1, 3]));
    drop(guard);
    drop(first.granted());
    drop(third.granted());
    assert_idle(&table);
}

#[test]
fn a_request_cancelled_after_the_grant_and_before_it_resumes_passes_the_key_on() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let [first, second] = [1, 2].map(|pid| Request::waiting(&table, pid, &[("a", EXCLUSIVE)]));
    drop(guard);
    assert_eq!(queue(&table, "a"), (vec![1], vec![2]));
    drop(first);
    drop(second.granted());
    assert_idle(&table);
}

#[test]
fn a_request_cancelled_with_half_of_its_set_gives_that_up() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("c", EXCLUSIVE)]).unwrap();
    let half = Request::waiting(&table, 1, &[("a/b", EXCLUSIVE), ("c", EXCLUSIVE), ("d", SHARED)]);
    let behind = Request::waiting(&table, 2, &[("a/b", EXCLUSIVE)]);
    assert!(try_lock(&table, &[("d", EXCLUSIVE)]).is_some(), "what comes later is not taken yet");
    drop(half);
    drop(behind.granted());
    assert_eq!(queue(&table, "c"), (vec![0], vec![]));
    drop(guard);
    assert_idle(&table);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_and_names_the_holder() {
    let table = LockTable::new();
    let holder = Owner { method: "publish", target: "foo.o".into(), pid: 123, ..Owner::default() };
    let _guard = table
        .try_acquire(LockSet::exclusive(Key::from("gen/x.h")), Arc::new(holder.clone()))
        .unwrap();
    tokio::time::advance(Duration::from_millis(1_200)).await;

    let start = Instant::now();
    let deadline = start + Duration::from_secs(30);
    let waiting = table.acquire(set(&[("gen/x.h", EXCLUSIVE)]), owner(2), Some(deadline));
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let error = waited.expect("it should end by itself").expect_err("the key is taken");
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(
        error.to_string(),
        "waited 30.0 s for 'gen/x.h', held by pid 123 (publish for target 'foo.o') for 31.2 s"
    );
    let LockError::TimedOut { key, waited, holders } = error;
    assert_eq!((key, waited.as_secs()), (Key::from("gen/x.h"), 30));
    assert_eq!(holders.len(), 1);
    assert_eq!((&*holders[0].owner, holders[0].access), (&holder, EXCLUSIVE));
    assert_eq!(queue(&table, "gen"), (vec![123], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_timed_out_lets_those_behind_it_in() {
    let table = LockTable::new();
    let _reader = try_lock(&table, &[("a", SHARED)]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut writer = Request::new(&table, 1, set(&[("a", EXCLUSIVE)]), Some(deadline));
    assert!(writer.poll().is_none());
    let late_reader = Request::waiting(&table, 2, &[("a", SHARED)]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(matches!(writer.poll(), Some(Err(LockError::TimedOut { .. }))));
    drop(late_reader.granted());
}

#[tokio::test(start_paused = true)]
async fn a_grant_counts_even_if_the_request_resumes_after_its_deadline() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut waiter = Request::new(&table, 1, set(&[("a", EXCLUSIVE)]), Some(deadline));
    assert!(waiter.poll().is_none());
    drop(guard);
    tokio::time::advance(Duration::from_secs(2)).await;
    drop(waiter.granted());
    assert_idle(&table);
}

/// Two readers are granted together and told one after the other. While the first is told, the
/// second resumes, by then past its deadline: it holds the key, although nobody has told it yet.
#[tokio::test(start_paused = true)]
async fn a_grant_counts_even_if_the_deadline_passes_before_the_waiter_is_told() {
    struct OnWake(Mutex<Option<Request>>);
    impl Wake for OnWake {
        fn wake(self: Arc<Self>) {
            let second = self.0.lock().unwrap().take().expect("it is woken once");
            drop(second.granted());
        }
    }
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let on_wake = Arc::new(OnWake(Mutex::new(None)));

    let mut first = Request::new(&table, 1, set(&[("a", SHARED)]), None);
    let waker = Waker::from(on_wake.clone());
    assert!(first.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut second = Request::new(&table, 2, set(&[("a", SHARED)]), Some(deadline));
    assert!(second.poll().is_none());
    *on_wake.0.lock().unwrap() = Some(second);

    tokio::time::advance(Duration::from_secs(2)).await;
    drop(guard);
    assert!(on_wake.0.lock().unwrap().is_none(), "the second has had its chance");
    assert_eq!(queue(&table, "a"), (vec![1], vec![]));
    drop(first.granted());
    assert_idle(&table);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_refuses_to_wait_but_not_to_lock() {
    let table = LockTable::new();
    let past = Instant::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    let guard = Request::new(&table, 1, set(&[("a", EXCLUSIVE)]), Some(past)).granted();
    let mut late = Request::new(&table, 2, set(&[("a", SHARED)]), Some(past));
    assert!(matches!(late.poll(), Some(Err(LockError::TimedOut { .. }))));
    drop((guard, late));
    assert_idle(&table);
}

#[tokio::test(start_paused = true)]
async fn the_error_counts_the_holders_that_it_does_not_name() {
    let table = LockTable::new();
    let claims = set(&[("a", SHARED)]);
    let mut readers = Vec::new();
    for (count, tail) in [(1, "s"), (2, "(publish) for 0.0 s"), (3, "and 2 others")] {
        readers.push(table.try_acquire(claims.clone(), owner(count)).unwrap());
        let wanted = set(&[("a", EXCLUSIVE)]);
        let mut late = Request::new(&table, 9, wanted, Some(Instant::now()));
        let error = late.poll().expect("it should not wait").expect_err("the key is taken");
        assert!(error.to_string().ends_with(tail), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn holders_and_waiters_can_be_seen() {
    let table = LockTable::new();
    let guard = table.try_acquire(set(&[("b", SHARED), ("a", EXCLUSIVE)]), owner(1)).unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let waiter = Request::waiting(&table, 2, &[("b", EXCLUSIVE)]);
    tokio::time::advance(Duration::from_secs(3)).await;

    let [a, b] = table.snapshot().try_into().expect("two keys");
    assert_eq!((&a.key, &b.key), (&Key::from("a"), &Key::from("b")));
    assert_eq!((a.holders[0].access, b.holders[0].access), (EXCLUSIVE, SHARED));
    assert_eq!(b.holders[0].held_for.as_secs(), 5);
    assert_eq!((b.waiters[0].owner.pid, b.waiters[0].access), (2, EXCLUSIVE));
    assert_eq!(b.waiters[0].waited.as_secs(), 3);

    drop(guard);
    let [b] = table.snapshot().try_into().expect("one key");
    assert_eq!(b.holders[0].owner.pid, 2);
    assert_eq!(b.holders[0].held_for.as_secs(), 0, "holding begins with the grant");
    drop(waiter.granted());
}

#[tokio::test(start_paused = true)]
async fn the_counters_count_requests() {
    let table = LockTable::new();
    let guard = try_lock(&table, &[("a/b", EXCLUSIVE), ("c", EXCLUSIVE)]).unwrap();
    let served = Request::waiting(&table, 1, &[("a/b", EXCLUSIVE), ("c", SHARED)]);
    let cancelled = Request::waiting(&table, 2, &[("c", EXCLUSIVE)]);
    let counters = table.counters();
    assert_eq!((counters.acquisitions, counters.holders), (1, 1));
    assert_eq!((counters.waited, counters.waiters), (2, 2));

    tokio::time::advance(Duration::from_secs(2)).await;
    drop(cancelled);
    drop(guard);
    drop(served.granted());
    let counters = table.counters();
    assert_eq!((counters.acquisitions, counters.waited), (2, 2));
    assert_eq!(counters.total_wait.as_secs(), 4);
    let [waits] = table.waits().into_values().collect::<Vec<_>>().try_into().expect("one method");
    assert_eq!((waits.count, waits.sum.as_secs()), (2, 4));
    assert_idle(&table);
}
