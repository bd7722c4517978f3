//! Stores that lie, are down, never answer, or break off: each is told of by name, nothing of what
//! they sent is kept, and others are served.

use std::os::unix::fs::PermissionsExt as _;

use v1::Outcome::*;

use super::{
    super::publishing::request,
    fake::{Fake, Take, Then},
    *,
};

/// How long a store may be silent in tests of silence.
const PATIENCE: Duration = Duration::from_millis(300);

async fn start(patience: Duration) -> (Fake, Daemon) {
    let store = Fake::start().await;
    let settings = StoreSettings { patience, ..at(store.address, "") };
    (store, with_store(settings).await)
}

/// Nothing was published or left, and the daemon goes on.
async fn is_well(daemon: Daemon) {
    assert!(!daemon.path("f").exists());
    assert_eq!(daemon.staging(), 0);
    daemon.mutations().await.make_directories(mkdir(&["d"])).await.unwrap();
    daemon.end().await;
}

fn name() -> String {
    streams::blob(&sha256(b"content"))
}

#[tokio::test]
async fn a_store_that_lies_about_content_is_caught() {
    let (store, daemon) = start(LIMIT).await;
    let lies: [&[&'static [u8]]; 5] =
        [&[b"CONTENT"], &[b"content", b"s"], &[b"contents"], &[b"conten"], &[]];
    for pieces in lies {
        store.will(Take::pieces(pieces, Then::End));
        let refused = publish(&daemon, "f", b"content").await.unwrap_err();
        let said = (Code::DataLoss, "CONTENT_MISMATCH".to_owned(), "f".to_owned());
        assert_eq!(told(&refused, "path"), said);
        assert!(refused.message().contains(&store.address.to_string()), "{refused:?}");
    }
    store.will(Take::pieces(&[b"con", b"tent"], Then::End));
    assert_eq!(publish(&daemon, "g", b"content").await.unwrap(), Created);
    is_well(daemon).await;
}

#[tokio::test]
async fn content_that_is_broken_off_goes_on_where_it_was() {
    let (store, daemon) = start(LIMIT).await;
    store.will(Take::up_to(b"co", Then::Cut));
    store.will(Take::up_to(b"conte", Then::Say(Code::Unavailable)));
    store.will(Take::up_to(b"content", Then::End));
    assert_eq!(publish(&daemon, "g", b"content").await.unwrap(), Created);
    assert_eq!(std::fs::read(daemon.path("g")).unwrap(), b"content");
    let from: Vec<_> = store.reads().into_iter().map(|(_, from)| from).collect();
    assert!(matches!(from[..], [0, 0 | 2, 5]), "{from:?}");

    // A store that does not get on is not asked for ever.
    for then in [Then::Cut, Then::Say(Code::Internal)] {
        for _ in 0..2 {
            store.will(Take::pieces(&[], then));
        }
        let refused = publish(&daemon, "f", b"CONTENT").await.unwrap_err();
        assert_eq!(
            told(&refused, "path"),
            (Code::Unavailable, "STORE_UNAVAILABLE".into(), "f".into())
        );
    }
    is_well(daemon).await;
}

#[tokio::test]
async fn a_store_that_is_down_is_named_and_found_again() {
    let store = Fake::start().await;
    store.is_down(true);
    let daemon = with_store(at(store.address, "")).await;
    for _ in 0..2 {
        let refused = publish(&daemon, "f", b"content").await.unwrap_err();
        let said = (Code::Unavailable, "STORE_UNAVAILABLE".to_owned(), "f".to_owned());
        assert_eq!(told(&refused, "path"), said);
        assert!(refused.message().contains(&store.address.to_string()), "{refused:?}");
        let blob_digests = vec![sha256(b"content")];
        let question = reapi::FindMissingBlobsRequest { blob_digests, ..Default::default() };
        let refused = daemon.storage().await.find_missing_blobs(question).await.unwrap_err();
        assert_eq!(told(&refused, ""), unavailable());
    }
    store.is_down(false);
    store.will(Take::all(b"content"));
    assert_eq!(publish(&daemon, "g", b"content").await.unwrap(), Created);
    // It goes away while the daemon has a connection to it, and comes back.
    store.is_down(true);
    let refused = publish(&daemon, "f", b"CONTENT").await.unwrap_err();
    assert_eq!(told(&refused, "").1, "STORE_UNAVAILABLE");
    store.is_down(false);
    store.will(Take::all(b"CONTENT"));
    assert_eq!(publish(&daemon, "h", b"CONTENT").await.unwrap(), Created);
    is_well(daemon).await;
}

#[tokio::test]
async fn a_store_that_never_answers_is_not_waited_for() {
    let (store, daemon) = start(PATIENCE).await;
    // In the middle of a content, and for a client that is read for.
    for _ in 0..2 {
        store.will(Take::pieces(&[b"con"], Then::Silence));
    }
    let refused = in_time(publish(&daemon, "f", b"content")).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "STORE_UNAVAILABLE");
    let refused = in_time(streams::read(&daemon, &name(), 0, 0)).await.unwrap_err();
    assert_eq!(told(&refused, ""), unavailable());
    // It takes what is written, and says nothing; or takes nothing at all.
    for size in [7, 20 << 20] {
        let content = streams::content(size);
        let messages = streams::messages(&streams::upload(&sha256(&content)), &content, 0, true);
        let refused = in_time(streams::write(&daemon, messages)).await.unwrap_err();
        assert_eq!(told(&refused, ""), unavailable());
    }
    store.is_silent();
    let refused = in_time(publish(&daemon, "f", b"content")).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "STORE_UNAVAILABLE");
    is_well(daemon).await;
}

#[tokio::test]
async fn a_request_waits_no_longer_than_its_deadline() {
    let (store, daemon) = start(LIMIT).await;
    store.will(Take::pieces(&[b"con"], Then::Silence));
    let mut wanted = tonic::Request::new(request("f", b"content"));
    wanted.set_timeout(PATIENCE);
    let refused = in_time(daemon.mutations().await.publish_digest(wanted)).await.unwrap_err();
    let said = (Code::Unavailable, "STORE_UNAVAILABLE".to_owned(), "f".to_owned());
    assert_eq!(told(&refused, "path"), said);
    assert!(refused.message().contains("deadline"), "{refused:?}");
    is_well(daemon).await;
}

#[tokio::test]
async fn a_store_that_does_not_know_the_daemon_is_not_the_clients_fault() {
    let store = Fake::start().await;
    store.bars_everybody();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&token, "secret\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = Some(token.path().to_owned());
    let daemon = with_store(StoreSettings { token: file, ..at(store.address, "") }).await;
    let refused = publish(&daemon, "f", b"content").await.unwrap_err();
    let said = (Code::FailedPrecondition, "STORE_REFUSED".to_owned(), "f".to_owned());
    assert_eq!(told(&refused, "path"), said);
    assert!(refused.message().contains("cas-token-file"), "{refused:?}");
    assert_eq!(store.authorization().as_deref(), Some("Bearer secret"));
    is_well(daemon).await;
}

#[tokio::test]
async fn what_the_store_says_of_a_request_is_given_on() {
    let (_store, daemon) = start(LIMIT).await;
    let name = streams::upload(&sha256(b"content"));
    let full = streams::status(&daemon, &name).await.unwrap_err();
    let said = (Code::ResourceExhausted, "STORE_REFUSED".to_owned(), String::new());
    assert_eq!(told(&full, ""), said);
    assert!(full.message().contains("the store is full"), "{full:?}");
    // A service that it has not.
    let refused = daemon.results().await.get_action_result(results::get("", &sha256(b"a"))).await;
    let said = (Code::FailedPrecondition, "STORE_REFUSED".to_owned(), String::new());
    assert_eq!(told(&refused.unwrap_err(), ""), said);
    is_well(daemon).await;
}
