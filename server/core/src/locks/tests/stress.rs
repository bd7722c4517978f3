//! Many tasks on several threads, with random sets, cancellations and deadlines.
//!
//! A witness that knows nothing of sets and queues checks every grant against all that is held at
//! that moment. The whole must end, and end with an empty table.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::*;

const PATHS: [&str; 7] = ["a", "a/b", "a/b/c", "a/d", "e", "e/f", "a-"];
const TASKS: u64 = 32;
const ROUNDS: u64 = 300;

/// Far more than a slow machine needs: only a deadlock lasts so long.
const STUCK: Duration = Duration::from_secs(120);

type Claims = Vec<(&'static str, Access)>;

/// Random numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn claims(&mut self) -> Claims {
        let count = 1 + self.below(3);
        (0..count)
            .map(|_| (PATHS[self.below(PATHS.len() as u64) as usize], self.access()))
            .collect()
    }

    fn access(&mut self) -> Access {
        if self.below(2) == 0 { SHARED } else { EXCLUSIVE }
    }
}

/// What is held now, as it was asked for.
#[derive(Default)]
struct Witness {
    held: Mutex<Vec<(u64, Claims)>>,
    next: AtomicU64,
}

impl Witness {
    fn granted(&self, claims: Claims) -> u64 {
        let id = self.next.fetch_add(1, Relaxed);
        let mut held = self.held.lock().unwrap();
        for (_, others) in held.iter() {
            for claim in &claims {
                let clash = others.iter().find(|other| conflict(claim, other));
                assert!(clash.is_none(), "{claim:?} was granted beside {clash:?}");
            }
        }
        held.push((id, claims));
        id
    }

    /// To be called before the guard is dropped.
    fn releasing(&self, id: u64) {
        self.held.lock().unwrap().retain(|(other, _)| *other != id);
    }
}

fn conflict(one: &(&str, Access), other: &(&str, Access)) -> bool {
    let above = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/'));
    let same_place = one.0 == other.0 && (one.1 == EXCLUSIVE || other.1 == EXCLUSIVE);
    same_place
        || (above(one.0, other.0) && one.1 == EXCLUSIVE)
        || (above(other.0, one.0) && other.1 == EXCLUSIVE)
}

async fn yield_times(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// What became of the requests.
#[derive(Default)]
struct Tally {
    granted: AtomicU64,
    timed_out: AtomicU64,
    cancelled: AtomicU64,
}

async fn one_round(table: &Arc<LockTable>, dice: &mut Dice, witness: &Witness, tally: &Tally) {
    let claims = dice.claims();
    let patience = if dice.below(4) == 0 { dice.below(3) } else { u64::MAX };
    let deadline =
        (dice.below(4) == 0).then(|| Instant::now() + Duration::from_micros(dice.below(200)));
    let outcome = tokio::select! {
        biased;
        outcome = table.acquire(set(&claims), owner(1), deadline) => outcome,
        () = yield_times(patience) => {
            tally.cancelled.fetch_add(1, Relaxed);
            return;
        }
    };
    match outcome {
        Ok(guard) => {
            let id = witness.granted(claims);
            yield_times(dice.below(4)).await;
            witness.releasing(id);
            drop(guard);
            tally.granted.fetch_add(1, Relaxed);
        }
        Err(LockError::TimedOut { holders, .. }) => {
            assert!(!holders.is_empty(), "somebody must have been in the way");
            tally.timed_out.fetch_add(1, Relaxed);
        }
    }
}

/// Waits for all tasks, or shows what they wait for.
async fn finish(table: &LockTable, mut tasks: tokio::task::JoinSet<()>) {
    let all = async {
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
    };
    let finished = tokio::time::timeout(STUCK, all).await;
    assert!(finished.is_ok(), "stuck: {:#?}", table.snapshot());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_conflict_no_deadlock_and_nothing_left_behind() {
    let table = LockTable::new();
    let witness = Arc::new(Witness::default());
    let tally = Arc::new(Tally::default());
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..TASKS {
        let (table, witness, tally) = (table.clone(), witness.clone(), tally.clone());
        tasks.spawn(async move {
            let mut dice = Dice(seed);
            for _ in 0..ROUNDS {
                one_round(&table, &mut dice, &witness, &tally).await;
            }
        });
    }
    finish(&table, tasks).await;

    assert_idle(&table);
    let granted = tally.granted.load(Relaxed);
    let (timed_out, cancelled) = (tally.timed_out.load(Relaxed), tally.cancelled.load(Relaxed));
    assert_eq!(granted + timed_out + cancelled, TASKS * ROUNDS);
    assert!(granted > 0 && timed_out > 0 && cancelled > 0, "not all was tried");
    assert_eq!(table.counters().acquisitions, granted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sets_named_in_opposite_order_do_not_deadlock() {
    let table = LockTable::new();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let table = table.clone();
        let mut claims = [("x/1", EXCLUSIVE), ("y", EXCLUSIVE), ("z/2", EXCLUSIVE)];
        claims.rotate_left(task % 3);
        tasks.spawn(async move {
            for _ in 0..200 {
                let guard = table.acquire(set(&claims), owner(task as u32), None).await.unwrap();
                tokio::task::yield_now().await;
                drop(guard);
            }
        });
    }
    finish(&table, tasks).await;
    assert_eq!(table.counters().acquisitions, 16 * 200);
    assert_idle(&table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_order_of_arrival_is_kept_across_threads() {
    let table = LockTable::new();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    let first = try_lock(&table, &[("a", EXCLUSIVE)]).unwrap();
    for pid in 0..64 {
        let request = Request::waiting(&table, pid, &[("a", EXCLUSIVE)]);
        let served = served.clone();
        tasks.spawn(async move {
            let _guard = request.future.await.unwrap();
            served.lock().unwrap().push(pid);
        });
    }
    drop(first);
    finish(&table, tasks).await;
    assert_eq!(*served.lock().unwrap(), (0..64).collect::<Vec<_>>());
    assert_idle(&table);
}
