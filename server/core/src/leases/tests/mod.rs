//! The lease table's promises: who is served when (`order`), which waits are refused (`circles`),
//! what tokens are worth (`tokens`), and all of it against chance (`chance`).

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use onewriter_tree::{RelPath, mutation::Access};
use tokio::time::Instant;

use super::{Claim, Held, Lease, LeaseError, LeaseTable, Pins, Subject, Token, Wanted};
use crate::locks::Owner;

mod chance;
mod circles;
mod order;
mod tokens;

const SHARED: Access = Access::Shared;
const EXCLUSIVE: Access = Access::Exclusive;

fn path(path: &str) -> Subject {
    Subject::Path(RelPath::parse(path.as_bytes()).unwrap())
}

fn name(name: &str) -> Subject {
    Subject::Name(name.to_owned())
}

fn claim(subject: Subject, access: Access) -> Claim {
    Claim { subject, access, below: true }
}

fn wanted(pid: u32, claim: Claim, under: &[Token]) -> Wanted {
    Wanted {
        claims: [claim].into_iter().collect(),
        owner: Arc::new(Owner { method: "lock", pid, ..Owner::default() }),
        under: under.to_vec(),
        is_lease: true,
    }
}

type Granted = Result<Held, LeaseError>;

/// A request whose every step the test decides: nothing runs but what it polls.
struct Request(Pin<Box<dyn Future<Output = Granted> + Send>>);

impl Request {
    fn new(table: &Arc<LeaseTable>, wanted: Wanted) -> Self {
        let table = Arc::clone(table);
        let deadline = Instant::now() + Duration::from_secs(60);
        Self(Box::pin(async move { table.acquire(wanted, deadline).await }))
    }

    fn poll(&mut self) -> Option<Granted> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[track_caller]
    fn waits(&mut self) {
        assert!(self.poll().is_none(), "it should wait");
    }

    #[track_caller]
    fn granted(mut self) -> Held {
        self.poll().expect("it should not wait").expect("it should be granted")
    }
}

/// A request that is granted at once.
#[track_caller]
fn take(table: &Arc<LeaseTable>, pid: u32, claim: Claim, under: &[Token]) -> Held {
    Request::new(table, wanted(pid, claim, under)).granted()
}

/// A request that has begun and waits.
#[track_caller]
fn wait(table: &Arc<LeaseTable>, pid: u32, claim: Claim, under: &[Token]) -> Request {
    let mut request = Request::new(table, wanted(pid, claim, under));
    request.waits();
    request
}

/// A request that is refused since it would close a circle: how it is told.
#[track_caller]
fn refused(table: &Arc<LeaseTable>, pid: u32, claim: Claim, under: &[Token]) -> String {
    match Request::new(table, wanted(pid, claim, under)).poll() {
        Some(Err(LeaseError::Deadlock(circle))) => circle,
        other => panic!("no deadlock: {other:?}"),
    }
}

/// A mutation of `path` that has its locks and looks for leases.
fn pass(table: &Arc<LeaseTable>, at: &str, tokens: &[Token]) -> Result<Option<Pins>, LeaseError> {
    table.pass(tokens, false, || [claim(path(at), EXCLUSIVE)].into_iter().collect())
}

/// The pids of holders and waiters of a subject.
fn queue(table: &LeaseTable, subject: &Subject) -> (Vec<u32>, Vec<u32>) {
    let status = table.snapshot().into_iter().find(|status| status.subject == *subject);
    let Some(status) = status else { return Default::default() };
    let holders = status.holders.iter().map(|holder| holder.holding.owner.pid).collect();
    (holders, status.waiters.iter().map(|waiter| waiter.owner.pid).collect())
}

#[track_caller]
fn assert_idle(table: &Arc<LeaseTable>) {
    assert!(table.snapshot().is_empty(), "left behind: {:#?}", table.snapshot());
    assert!(matches!(pass(table, ".", &[]), Ok(Some(_))));
}
