//! Tokens, and how long they are worth something.

use super::*;

#[tokio::test]
async fn tokens_grow_in_the_order_in_which_leases_are_granted() {
    let table = LeaseTable::new(100);
    let first = take(&table, 1, claim(path("a"), EXCLUSIVE), &[]);
    let waiter = wait(&table, 2, claim(path("a"), EXCLUSIVE), &[]);
    let other = take(&table, 3, claim(path("b"), EXCLUSIVE), &[]);
    assert_eq!((first.token(), other.token()), (100, 101));
    drop(first);
    assert_eq!(waiter.granted().token(), 102);
}

#[tokio::test]
async fn a_token_that_is_not_held_is_refused_and_who_holds_now_is_named() {
    let table = LeaseTable::new(1);
    let first = take(&table, 1, claim(path("a"), EXCLUSIVE), &[]);
    let token = first.token();
    drop(first);
    let _second = take(&table, 2, claim(path("a"), EXCLUSIVE), &[]);
    let stale = pass(&table, "x", &[token]);
    let Err(LeaseError::Stale { token: told, subject, holders }) = stale else { panic!() };
    assert_eq!((told, subject, holders[0].owner.pid), (token, Some(path("a")), 2));
    let unknown = pass(&table, "x", &[77]);
    assert!(matches!(unknown, Err(LeaseError::Stale { token: 77, subject: None, .. })));
    // No lease is granted under one that is over.
    let late = Request::new(&table, wanted(3, claim(path("x"), EXCLUSIVE), &[token])).poll();
    assert!(matches!(late, Some(Err(LeaseError::Stale { .. }))));
}

#[tokio::test]
async fn nobody_is_served_while_a_mutation_acts_under_the_lease_before() {
    let table = LeaseTable::new(1);
    let first = take(&table, 1, claim(name("n"), EXCLUSIVE), &[]);
    let token = first.token();
    let acting = pass(&table, "x", &[token]).unwrap().unwrap();
    let mut next = wait(&table, 2, claim(name("n"), EXCLUSIVE), &[]);
    drop(first);
    next.waits();
    assert!(pass(&table, "x", &[token]).is_err(), "it is over for whoever comes now");
    drop(acting);
    drop(next.granted());
    assert_idle(&table);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_as_long_as_its_holder_gives_signs() {
    let table = LeaseTable::new(1);
    let lease = Lease::new(take(&table, 1, claim(path("a"), EXCLUSIVE), &[]), secs(15));
    let start = Instant::now();
    let signs = async {
        for _ in 0..10 {
            tokio::time::sleep(secs(5)).await;
            lease.keep_alive();
        }
    };
    tokio::join!(lease.expired(), signs);
    assert_eq!(start.elapsed(), secs(50 + 15));
}

#[tokio::test(start_paused = true)]
async fn who_was_still_itself_gives_the_holder_another_time() {
    let table = LeaseTable::new(1);
    let lease = Lease::new(take(&table, 1, claim(path("a"), EXCLUSIVE), &[]), secs(15));
    let start = Instant::now();
    let mut expired = Box::pin(lease.expired());
    assert!(expired.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    tokio::time::advance(secs(100)).await;
    expired.await;
    assert_eq!(start.elapsed(), secs(115));
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
