//! The lock table's promises, one by one (`sharing`, `waiting`), against a model of it (`model`),
//! and on several threads at once (`stress`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::{Access, Key, LockError, LockGuard, LockSet, LockTable, Owner};

mod model;
mod sharing;
mod stress;
mod waiting;

const SHARED: Access = Access::Shared;
const EXCLUSIVE: Access = Access::Exclusive;

fn set(claims: &[(&str, Access)]) -> LockSet {
    claims.iter().map(|&(path, access)| (Key::from(path), access)).collect()
}

/// An owner that tests tell from others by its pid.
fn owner(pid: u32) -> Arc<Owner> {
    Arc::new(Owner { method: "publish", pid, ..Owner::default() })
}

fn try_lock(table: &Arc<LockTable>, claims: &[(&str, Access)]) -> Option<LockGuard> {
    table.try_acquire(set(claims), Arc::default())
}

/// A request whose every step the test decides: nothing runs but what it polls.
struct Request {
    pid: u32,
    future: Pin<Box<dyn Future<Output = Result<LockGuard, LockError>> + Send>>,
}

impl Request {
    fn new(table: &Arc<LockTable>, pid: u32, set: LockSet, deadline: Option<Instant>) -> Self {
        let table = Arc::clone(table);
        let future = Box::pin(async move { table.acquire(set, owner(pid), deadline).await });
        Self { pid, future }
    }

    /// A request that has begun and waits.
    fn waiting(table: &Arc<LockTable>, pid: u32, claims: &[(&str, Access)]) -> Self {
        let mut request = Self::new(table, pid, set(claims), None);
        assert!(request.poll().is_none(), "request {pid} should wait");
        request
    }

    /// Lets it go on. Returns what became of it, if it does not wait any longer.
    fn poll(&mut self) -> Option<Result<LockGuard, LockError>> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// The locks of a request that should have them by now.
    #[track_caller]
    fn granted(mut self) -> LockGuard {
        self.poll().expect("it should not wait any longer").expect("it should have its locks")
    }
}

/// One key as the table shows it: the pids of its holders and of its waiters.
fn queue(table: &LockTable, path: &str) -> (Vec<u32>, Vec<u32>) {
    let key = Key::from(path);
    let Some(status) = table.snapshot().into_iter().find(|status| status.key == key) else {
        return Default::default();
    };
    let holders = status.holders.iter().map(|holder| holder.owner.pid).collect();
    (holders, status.waiters.iter().map(|waiter| waiter.owner.pid).collect())
}

/// Nothing locked, nobody counted as holding or waiting.
#[track_caller]
fn assert_idle(table: &LockTable) {
    assert!(table.is_idle(), "left behind: {:#?}", table.snapshot());
    let counters = table.counters();
    assert_eq!((counters.holders, counters.waiters), (0, 0));
}
