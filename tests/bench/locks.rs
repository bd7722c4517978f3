//! The lock table by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_core::locks::{Access, Key, LockSet, LockTable, Owner};

use crate::support::{Setup, median};

/// Tasks that want the one hot key.
const TASKS: usize = 64;

pub(crate) fn figures(setup: &Setup) {
    let count = setup.rounds(200_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let table = LockTable::new();
    let rounds = |measure: &dyn Fn() -> Duration| median((0..5).map(|_| measure()).collect());
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    let flat = rounds(&|| runtime.block_on(uncontended(&table, "file", count)));
    let deep = rounds(&|| runtime.block_on(uncontended(&table, "a/b/c/d/file", count)));
    let hot = rounds(&|| runtime.block_on(contended(&table, count)));
    println!("  {:<44} {:>10.0} /s", "lock and unlock a path of 1 level", rate(flat));
    println!("  {:<44} {:>10.0} /s", "lock and unlock a path of 5 levels", rate(deep));
    println!("  {:<44} {:>10.0} /s", "lock and unlock one path, 64 tasks", rate(hot));
    assert!(table.is_idle(), "nothing is locked while nobody holds it");
}

async fn uncontended(table: &Arc<LockTable>, path: &str, count: usize) -> Duration {
    let owner = Arc::new(Owner::default());
    let begun = Instant::now();
    for _ in 0..count {
        let set = LockSet::from([(Key::from(path), Access::Exclusive)]);
        drop(table.acquire(set, Arc::clone(&owner), None).await.expect("it is free"));
    }
    begun.elapsed()
}

async fn contended(table: &Arc<LockTable>, count: usize) -> Duration {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let table = Arc::clone(table);
            tokio::spawn(async move { uncontended(&table, "hot", count / TASKS).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("it is granted");
    }
    begun.elapsed()
}
