//! Requests that wait for locks: deadlines, cancellation, and what others see of them.

use super::*;

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_names_the_holder() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let held = daemon.hold("d").await;
    let mut request = tonic::Request::new(mkdir(&["d/e"]));
    request.set_timeout(Duration::from_millis(50));
    let late = in_time(client.make_directories(request)).await.unwrap_err();
    let holder = "pid 7 (hold for target 'holder')".to_owned();
    assert_eq!(told(&late, "holder"), (Code::DeadlineExceeded, "LOCK_TIMEOUT".into(), holder));
    assert_eq!(told(&late, "path").2, "d/e");
    assert_eq!(told(&late, "component").2, "d");
    assert!(daemon.waiting().is_empty());
    held.let_go().await;
    client.make_directories(mkdir(&["d/e"])).await.unwrap();
}

#[tokio::test]
async fn who_waits_is_seen_and_goes_with_its_client() {
    let daemon = Daemon::start().await;
    let client = daemon.mutations().await;
    let mut administration = daemon.administration().await;
    let held = daemon.hold("d").await;
    let mut waiter = client.clone();
    let waiting = tokio::spawn(async move { waiter.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    let [locked] = &status.locks[..] else { panic!("{:?}", status.locks) };
    assert_eq!(locked.path, b"d");
    let party = |p: &v1::LockParty| (p.method.clone(), p.target.clone(), p.pid, p.exclusive);
    assert_eq!(party(&locked.holders[0]), ("hold".into(), "holder".into(), 7, true));
    let ours = std::process::id();
    assert_eq!(party(&locked.waiters[0]), ("mkdir".into(), "test".into(), ours, false));
    assert_eq!(locked.waiters[0].build, "b1");
    let counts = administration.statistics(v1::StatisticsRequest {}).await.unwrap().into_inner();
    assert_eq!((counts.lock_holders, counts.lock_waiters), (1, 1));

    waiting.abort();
    until("the cancelled request has left the queue", || daemon.waiting().is_empty()).await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.locks[0].waiters.is_empty());
    held.let_go().await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.locks.is_empty());
    assert!(!daemon.path("d").exists(), "the cancelled request did nothing");
}

#[tokio::test]
async fn who_waits_goes_with_its_connection() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("d").await;
    let (wire, cord) = daemon.connect().await;
    let mut client = client(wire);
    let waiting = tokio::spawn(async move { client.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;
    cord.cut();
    ended(waiting).await.unwrap_err();
    until("its place is free", || daemon.waiting().is_empty()).await;
    held.let_go().await;
    assert!(!daemon.path("d").exists());
}
