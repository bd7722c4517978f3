//! Waits that would never end.

use super::*;

#[tokio::test]
async fn of_two_that_would_wait_for_each_other_the_second_is_refused() {
    let table = LeaseTable::new(1);
    let a = take(&table, 1, claim(name("a"), EXCLUSIVE), &[]);
    let b = take(&table, 2, claim(name("b"), EXCLUSIVE), &[]);
    let waiter = wait(&table, 3, claim(name("b"), EXCLUSIVE), &[a.token()]);
    let told = refused(&table, 4, claim(name("a"), EXCLUSIVE), &[b.token()]);
    assert_eq!(
        told,
        "pid 4 (lock) waits for name 'a', which pid 1 (lock) holds; under that lease pid 3 (lock) \
         waits for name 'b', which pid 2 (lock) holds; that is the lease under which the first \
         one runs"
    );
    drop(b);
    drop(waiter.granted());
    drop(a);
    assert_idle(&table);
}

#[tokio::test]
async fn three_in_a_circle_are_found_too() {
    let table = LeaseTable::new(1);
    let [a, b, c] = ["a", "b", "c"].map(|n| take(&table, 1, claim(path(n), EXCLUSIVE), &[]));
    let one = wait(&table, 2, claim(path("b"), EXCLUSIVE), &[a.token()]);
    let two = wait(&table, 3, claim(path("c/x"), EXCLUSIVE), &[b.token()]);
    refused(&table, 4, claim(path("a"), SHARED), &[c.token()]);
    // The others can go on.
    drop(c);
    drop(two.granted());
    drop(b);
    drop(one.granted());
}

#[tokio::test]
async fn a_mutation_can_close_a_circle() {
    let table = LeaseTable::new(1);
    let a = take(&table, 1, claim(path("a"), EXCLUSIVE), &[]);
    let b = take(&table, 2, claim(path("b"), EXCLUSIVE), &[]);
    let _waiter = wait(&table, 3, claim(path("b"), EXCLUSIVE), &[a.token()]);
    assert!(pass(&table, "a/x", &[b.token()]).unwrap().is_none());
    let mutation =
        Wanted { is_lease: false, ..wanted(4, claim(path("a/x"), EXCLUSIVE), &[b.token()]) };
    let done = Request::new(&table, mutation).poll();
    assert!(matches!(done, Some(Err(LeaseError::Deadlock(_)))), "{done:?}");
}

#[tokio::test]
async fn two_who_share_and_both_want_it_alone_are_a_circle() {
    let table = LeaseTable::new(1);
    let one = take(&table, 1, claim(path("d"), SHARED), &[]);
    let two = take(&table, 2, claim(path("d"), SHARED), &[]);
    let alone = wait(&table, 3, claim(path("d"), EXCLUSIVE), &[one.token()]);
    refused(&table, 4, claim(path("d"), EXCLUSIVE), &[two.token()]);
    drop(two);
    drop(alone.granted());
}

#[tokio::test]
async fn a_line_of_waits_is_a_circle_where_one_in_it_is_waited_for_by_its_order() {
    let table = LeaseTable::new(1);
    let a = take(&table, 1, claim(path("a"), EXCLUSIVE), &[]);
    let b = take(&table, 2, claim(path("b"), SHARED), &[]);
    // It waits for `b` alone; so who wants to share `b` waits behind it.
    let alone = wait(&table, 3, claim(path("b"), EXCLUSIVE), &[]);
    let behind = wait(&table, 4, claim(path("b"), SHARED), &[a.token()]);
    let told = refused(&table, 5, claim(path("a"), EXCLUSIVE), &[b.token()]);
    assert!(told.contains("pid 4 (lock) waits for 'b' after pid 3 (lock)"), "{told}");
    drop(b);
    drop(alone.granted());
    drop(behind.granted());
}

#[tokio::test]
async fn whoever_waits_under_no_lease_or_for_what_will_end_is_let_alone() {
    let table = LeaseTable::new(1);
    let a = take(&table, 1, claim(path("a"), EXCLUSIVE), &[]);
    let b = take(&table, 2, claim(path("b"), EXCLUSIVE), &[]);
    let one = wait(&table, 3, claim(path("b"), EXCLUSIVE), &[a.token()]);
    let two = wait(&table, 4, claim(path("a"), EXCLUSIVE), &[]);
    let c = take(&table, 5, claim(path("c"), EXCLUSIVE), &[]);
    let three = wait(&table, 6, claim(path("a"), EXCLUSIVE), &[c.token()]);
    let four = wait(&table, 7, claim(path("b"), EXCLUSIVE), &[c.token()]);
    drop(b);
    drop(one.granted());
    drop(a);
    for waiter in [two, three, four] {
        drop(waiter.granted());
    }
}
