//! What the policy lets transactions of other machines do.

use onewriter_proto::v1::{
    RemoteDirectory, RemoteEntries, RemoteEntry, remote_entry::What, remote_request::Step,
    remote_response::Step as Answer,
};

use super::{super::remote_transactions::*, *};

/// Alice writes below `stage`, and has 1,000 bytes; bob only reads.
async fn server() -> Server {
    let server = Server::with(|settings| {
        settings.rules =
            vec![rule("cert:alice", "stage", &["write"]), rule("cert:bob", ".", &["read"])];
        settings.limits = vec![LimitEntry {
            who: vec!["cert:alice".into()],
            bytes: Some(1000),
            ..LimitEntry::default()
        }];
    })
    .await;
    std::fs::create_dir_all(server.daemon.path("stage")).unwrap();
    std::fs::create_dir_all(server.daemon.path("src")).unwrap();
    server
}

/// A directory that is there already.
fn way(path: &str) -> RemoteEntry {
    let directory = RemoteDirectory { mode: 0o755, yields: true, opaque: false };
    RemoteEntry { path: path.into(), what: Some(What::Directory(directory)), seen: None }
}

#[tokio::test]
async fn whoever_may_not_write_somewhere_does_not_get_to_send_for_there() {
    let server = server().await;
    let mut alice = Call::open(server.wire("alice").await).await;
    alice.begin("good").await;
    alice.fill(vec![way("stage"), file("stage/empty", "")]).await.unwrap();
    alice.commit().await.unwrap();
    assert!(server.daemon.path("stage/empty").exists());

    for (n, path) in ["src/f", "f"].into_iter().enumerate() {
        let mut alice = Call::open(server.wire("alice").await).await;
        alice.begin(&n.to_string()).await;
        let refused = alice.fill(vec![way("src"), file(path, "")]).await.unwrap_err();
        assert_eq!(told(&refused, "path"), {
            (Code::PermissionDenied, "FORBIDDEN".into(), path.into())
        });
    }
    // A directory that is only on the way is not made by whoever may not.
    let mut alice = Call::open(server.wire("alice").await).await;
    alice.begin("way").await;
    alice.fill(vec![way("elsewhere")]).await.unwrap();
    let refused = alice.commit().await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "FORBIDDEN");
    let mut bob = Call::open(server.wire("bob").await).await;
    let refused = bob.ask(begin("bob")).await.unwrap_err();
    assert_eq!(told(&refused, "identity").2, "cert:bob");
    assert!(!server.daemon.path("elsewhere").exists() && !server.daemon.path("src/f").exists());
    until("staging is empty", || server.daemon.staging() == 0).await;
}

#[tokio::test]
async fn content_of_transactions_has_the_turns_of_streams() {
    let server = Server::with_requests(1).await;
    let mut slow = Call::open(server.wire("alice").await).await;
    slow.begin("slow").await;
    assert_eq!(slow.fill(vec![file("slow", "content")]).await.unwrap(), [0]);
    // What needs no content has no use for a turn.
    let mut other = Call::open(server.wire("alice").await).await;
    other.ask(begin_for("none", 50)).await.unwrap();
    assert!(other.fill(vec![file("empty", "")]).await.unwrap().is_empty());
    let refused = other.fill(vec![file("other", "another")]).await.unwrap_err();
    assert_eq!(told(&refused, "rule").2, "requests = 1");

    let mut next = Call::open(server.wire("alice").await).await;
    next.begin("next").await;
    let entries = RemoteEntries { entries: vec![file("next", "next")], seen: Vec::new() };
    next.send(Step::Entries(entries)).await;
    slow.content(b"content").await;
    // Its turn is over with its content, and not only with itself.
    assert!(matches!(next.answer().await.unwrap(), Answer::Wanted(_)));
    next.content(b"next").await;
    next.commit().await.unwrap();
    slow.commit().await.unwrap();
    assert!(server.daemon.path("next").exists() && server.daemon.path("slow").exists());
}

#[tokio::test]
async fn a_quota_ends_what_goes_beyond() {
    let server = server().await;
    let mut alice = Call::open(server.wire("alice").await).await;
    alice.begin("much").await;
    let (some, more) = ("x".repeat(900), "y".repeat(200));
    let entries = vec![way("stage"), file("stage/a", &some), file("stage/b", &more)];
    assert_eq!(alice.fill(entries).await.unwrap(), [1, 2]);
    alice.content(some.as_bytes()).await;
    alice.content(more.as_bytes()).await;
    let refused = alice.answer().await.unwrap_err();
    assert_eq!(told(&refused, "rule").2, "bytes = 1000");
    until("staging is empty", || server.daemon.staging() == 0).await;
    // What was given up does not count.
    let mut alice = Call::open(server.wire("alice").await).await;
    alice.begin("less").await;
    alice.fill(vec![way("stage"), file("stage/a", &some)]).await.unwrap();
    alice.content(some.as_bytes()).await;
    alice.commit().await.unwrap();
    assert!(server.daemon.path("stage/a").exists());
}
