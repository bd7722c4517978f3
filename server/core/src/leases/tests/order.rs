//! Who is served when.

use super::*;

#[tokio::test]
async fn served_in_order_of_arrival_and_shared_ones_together() {
    let table = LeaseTable::new(1);
    let first = take(&table, 1, claim(path("d"), EXCLUSIVE), &[]);
    let two = wait(&table, 2, claim(path("d"), SHARED), &[]);
    let three = wait(&table, 3, claim(path("d"), SHARED), &[]);
    let mut four = wait(&table, 4, claim(path("d"), EXCLUSIVE), &[]);
    let mut five = wait(&table, 5, claim(path("d"), SHARED), &[]);
    assert_eq!(queue(&table, &path("d")), (vec![1], vec![2, 3, 4, 5]));
    drop(first);
    assert_eq!(queue(&table, &path("d")), (vec![2, 3], vec![4, 5]));
    five.waits();
    drop((two.granted(), three));
    four.waits_no_more(&table);
    drop(four.granted());
    drop(five.granted());
    assert_idle(&table);
}

impl Request {
    #[track_caller]
    fn waits_no_more(&mut self, table: &LeaseTable) {
        assert_eq!(queue(table, &path("d")), (vec![4], vec![5]));
    }
}

#[tokio::test]
async fn a_path_is_all_below_it_and_nothing_beside_it() {
    let table = LeaseTable::new(1);
    let held = take(&table, 1, claim(path("a/b"), EXCLUSIVE), &[]);
    for free in ["a/c", "a/bc", "x"] {
        drop(take(&table, 2, claim(path(free), EXCLUSIVE), &[]));
        assert!(pass(&table, free, &[]).unwrap().is_some(), "{free}");
    }
    drop(take(&table, 2, claim(name("a/b"), EXCLUSIVE), &[]));
    for taken in ["a/b", "a/b/c", "a", "."] {
        drop(wait(&table, 2, claim(path(taken), SHARED), &[]));
        assert!(pass(&table, taken, &[]).unwrap().is_none(), "{taken}");
    }
    drop(held);
    assert_idle(&table);
}

#[tokio::test]
async fn a_shared_lease_keeps_mutations_out_and_other_shared_ones_not() {
    let table = LeaseTable::new(1);
    let one = take(&table, 1, claim(path("d"), SHARED), &[]);
    let two = take(&table, 2, claim(path("d/e"), SHARED), &[]);
    assert!(pass(&table, "d/x", &[]).unwrap().is_none());
    // Its own lease does not let it pass what others share.
    assert!(pass(&table, "d/e", &[two.token()]).unwrap().is_none());
    assert!(pass(&table, "d/x", &[one.token()]).unwrap().is_some());
    drop((one, two));
    assert_idle(&table);
}

#[tokio::test]
async fn a_name_is_in_no_mutations_way() {
    let table = LeaseTable::new(1);
    let held = take(&table, 1, claim(name("d"), EXCLUSIVE), &[]);
    assert!(pass(&table, "d", &[]).unwrap().is_some());
    assert!(pass(&table, "d", &[held.token()]).unwrap().is_some());
}

#[tokio::test]
async fn nested_leases_pass_those_under_which_they_run_also_when_others_wait_for_these() {
    let table = LeaseTable::new(1);
    let outer = take(&table, 1, claim(path("d"), EXCLUSIVE), &[]);
    let stranger = wait(&table, 2, claim(path("d"), EXCLUSIVE), &[]);
    let behind = wait(&table, 3, claim(path("."), EXCLUSIVE), &[]);
    let inner = take(&table, 4, claim(path("d/x"), EXCLUSIVE), &[outer.token()]);
    let sibling = wait(&table, 5, claim(path("d/x"), EXCLUSIVE), &[outer.token()]);
    assert!(pass(&table, "d/x", &[outer.token(), inner.token()]).unwrap().is_some());
    assert!(pass(&table, "d/x", &[outer.token()]).unwrap().is_none());
    drop(inner);
    drop(sibling.granted());
    drop(outer);
    drop(stranger.granted());
    drop(behind.granted());
    assert_idle(&table);
}

#[tokio::test]
async fn who_is_dropped_at_any_moment_lets_those_behind_it_in() {
    let table = LeaseTable::new(1);
    let first = take(&table, 1, claim(path("d"), EXCLUSIVE), &[]);
    let cancelled = wait(&table, 2, claim(path("d"), EXCLUSIVE), &[]);
    let third = wait(&table, 3, claim(path("d"), EXCLUSIVE), &[]);
    drop(cancelled);
    let fourth = wait(&table, 4, claim(path("d"), EXCLUSIVE), &[]);
    drop(first);
    // Granted, and dropped before it learns of it.
    assert_eq!(queue(&table, &path("d")), (vec![3], vec![4]));
    drop(third);
    drop(fourth.granted());
    drop(Request::new(&table, wanted(5, claim(path("d"), EXCLUSIVE), &[])));
    assert_idle(&table);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_and_names_the_holder() {
    let table = LeaseTable::new(1);
    let held = take(&table, 1, claim(path("d"), EXCLUSIVE), &[]);
    let deadline = Instant::now() + Duration::from_secs(3);
    let late = table.acquire(wanted(2, claim(path("d/x"), EXCLUSIVE), &[]), deadline).await;
    let Err(LeaseError::TimedOut { subject, waited, holders }) = late else { panic!("{late:?}") };
    assert_eq!((subject, waited), (path("d"), Duration::from_secs(3)));
    assert_eq!(holders[0].owner.pid, 1);
    assert_eq!(queue(&table, &path("d")), (vec![1], vec![]));
    drop(held);
    assert_idle(&table);
}

#[tokio::test]
async fn a_table_that_closes_refuses_who_waits_and_who_comes() {
    let table = LeaseTable::new(1);
    let held = take(&table, 1, claim(path("d"), EXCLUSIVE), &[]);
    let mut waiter = wait(&table, 2, claim(path("d"), EXCLUSIVE), &[]);
    table.close();
    assert!(matches!(waiter.poll(), Some(Err(LeaseError::Closed))));
    drop(waiter);
    let mut late = Request::new(&table, wanted(3, claim(path("x"), EXCLUSIVE), &[]));
    assert!(matches!(late.poll(), Some(Err(LeaseError::Closed))));
    assert!(table.check(&[held.token()]).is_ok(), "what is held stays held");
}
