//! How much of others can be seen from afar: in the journal as it is followed, by waiting, and in the
//! list of workers.

use onewriter_proto::v1::administration_client::AdministrationClient;

use super::*;

/// Alice reads below `stage` and may lock there; Bob may do everything.
async fn server() -> Server {
    Server::with(|settings| {
        settings.rules = vec![
            rule("cert:alice", "stage", &["read", "lock"]),
            rule("cert:bob", ".", &["read", "write", "lock"]),
        ];
    })
    .await
}

async fn watch(server: &Server, paths: &[&str]) -> tonic::Streaming<v1::WatchJournalResponse> {
    let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let request = v1::WatchJournalRequest { after_seq: Some(0), paths, ..Default::default() };
    server.reading("alice").await.watch_journal(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_watch_shows_what_one_may_read_and_nothing_of_the_rest() {
    let server = server().await;
    let mut bob = server.mutations("bob").await;
    in_time(bob.make_directories(mkdir(&["stage/a", "secret"]))).await.unwrap();
    let rename = v1::Rename { from: "secret".into(), to: "stage/b".into(), ..Default::default() };
    let request = v1::RenameRequest { context: None, rename: Some(rename) };
    in_time(bob.rename(request)).await.unwrap();
    let mut watching = watch(&server, &["stage"]).await;
    let mut records = Vec::new();
    while records.len() < 3 {
        records.extend(in_time(watching.message()).await.unwrap().unwrap().records);
    }
    let shown: Vec<_> = records.iter().map(|r| (&r.path[..], r.other.as_deref())).collect();
    assert_eq!(shown, [(&b"stage"[..], None), (b"stage/a", None), (b"stage/b", None)]);
    let mut alice = server.reading("alice").await;
    for (paths, path) in [(vec![], "."), (vec!["stage".into(), "secret".into()], "secret")] {
        let request = v1::WatchJournalRequest { paths, ..Default::default() };
        let refused = in_time(alice.watch_journal(request)).await.unwrap_err();
        assert_eq!(
            told(&refused, "path"),
            (Code::PermissionDenied, "FORBIDDEN".into(), path.into())
        );
    }
}

#[tokio::test]
async fn one_may_wait_for_what_one_may_read() {
    let server = server().await;
    let mut alice = server.reading("alice").await;
    let request = |path: &str| v1::WaitRequest { paths: vec![path.into()], ..Default::default() };
    let mut waiting = in_time(alice.wait(request("secret"))).await.unwrap().into_inner();
    in_time(waiting.message()).await.unwrap();
    let refused = in_time(waiting.message()).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "FORBIDDEN");
    let mut waiting = in_time(alice.wait(request("stage/d"))).await.unwrap().into_inner();
    in_time(waiting.message()).await.unwrap();
    let mut bob = server.mutations("bob").await;
    in_time(bob.make_directories(mkdir(&["stage/d"]))).await.unwrap();
    assert_eq!(in_time(waiting.message()).await.unwrap().unwrap().found.len(), 1);
}

async fn workers(server: &Server, name: &str) -> Vec<v1::Worker> {
    let origin = ORIGIN.parse().unwrap();
    let mut client = AdministrationClient::with_origin(server.wire(name).await, origin);
    in_time(client.workers(v1::WorkersRequest {})).await.unwrap().into_inner().workers
}

#[tokio::test]
async fn workers_are_an_identity_at_an_address_and_seen_by_what_one_may_read() {
    use onewriter_core::leases::{DEFAULT_TTL, Subject};
    let server = server().await;
    let lease = |path: &'static str| {
        let owner = Owner {
            method: "lock",
            identity: Some("cert:bob".into()),
            address: Some("127.0.0.1".parse().unwrap()),
            ..Owner::default()
        };
        let caller = Caller { owner, ..Caller::default() };
        let subject = Subject::Path(RelPath::parse(path.as_bytes()).unwrap());
        server.daemon.engine.lease(caller, subject, Access::Exclusive, DEFAULT_TTL)
    };
    let _secret = in_time(lease("secret")).await.unwrap();
    let (_one, _two) = (server.wire("bob").await, server.wire("bob").await);
    let names = |workers: &[v1::Worker]| -> Vec<_> {
        workers.iter().map(|worker| worker.identity.clone()).collect()
    };
    assert_eq!(names(&workers(&server, "alice").await), ["cert:alice"], "she sees herself");

    let _shared = in_time(lease("stage/d")).await.unwrap();
    let seen = workers(&server, "alice").await;
    assert_eq!(names(&seen), ["cert:alice", "cert:bob"]);
    let path = |lease: &v1::Leased| lease.subject.clone();
    assert_eq!(
        seen[1].leases.iter().map(path).collect::<Vec<_>>(),
        [Some(v1::leased::Subject::Path(b"stage/d".into()))],
        "nothing of what is elsewhere"
    );
    assert_eq!((seen[1].connections, seen[1].requests.len()), (0, 0), "nor what he does there");

    let seen = workers(&server, "bob").await;
    let bob = seen.iter().find(|worker| worker.identity == "cert:bob").unwrap();
    assert_eq!((&*bob.address, bob.pid, bob.leases.len()), ("127.0.0.1", 0, 2));
    assert!(bob.connections >= 3, "{bob:?}");
    // The daemon's own user sees all.
    let mut own = server.daemon.administration().await;
    let all = own.workers(v1::WorkersRequest {}).await.unwrap().into_inner().workers;
    assert!(names(&all).contains(&"cert:bob".to_owned()), "{all:?}");
}
