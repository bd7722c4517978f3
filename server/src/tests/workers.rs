//! Who is told to be connected, to hold something, and to run something.

use super::*;

async fn workers(daemon: &Daemon) -> Vec<v1::Worker> {
    let mut administration = daemon.administration().await;
    administration.workers(v1::WorkersRequest {}).await.unwrap().into_inner().workers
}

#[tokio::test]
async fn connections_requests_and_what_is_held_are_told_by_whose_they_are() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("d").await;
    let (wire, cord) = daemon.connect().await;
    let mut client = client(wire);
    let waiting = tokio::spawn(async move { client.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;

    let all = workers(&daemon).await;
    let [other, own] = &all[..] else { panic!("{all:?}") };
    // Asked in the core, without a connection.
    assert_eq!((&*other.identity, other.pid, other.connections), ("uid:0", 7, 0));
    let [locked] = &other.locks[..] else { panic!("{other:?}") };
    assert_eq!((&locked.path[..], locked.holders.len(), locked.waiters.len()), (&b"d"[..], 1, 0));

    let uid = rustix::process::geteuid().as_raw();
    assert_eq!((&*own.identity, own.pid), (&*format!("uid:{uid}"), std::process::id()));
    assert_eq!((own.connections, own.idle_ms, &*own.address), (2, 0, ""));
    let methods: Vec<_> = own.requests.iter().map(|request| &*request.method).collect();
    let expected =
        ["onewriter.v1.Mutations/MakeDirectories", "onewriter.v1.Administration/Workers"];
    assert_eq!(methods, expected);
    let [locked] = &own.locks[..] else { panic!("{own:?}") };
    assert_eq!((locked.holders.len(), locked.waiters.len()), (0, 1));

    cord.cut();
    ended(waiting).await.unwrap_err();
    held.let_go().await;
    until("its place is free", || daemon.waiting().is_empty()).await;
    // Until the daemon has noticed that the connections are gone.
    let mut left = workers(&daemon).await;
    let deadline = std::time::Instant::now() + LIMIT;
    while left.iter().map(|worker| worker.connections).sum::<u64>() != 1 {
        assert!(std::time::Instant::now() < deadline, "{left:?}");
        left = workers(&daemon).await;
    }
    let [own] = &left[..] else { panic!("{left:?}") };
    assert!(own.locks.is_empty() && own.requests.len() == 1, "{own:?}");
}
