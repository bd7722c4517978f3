//! Content that is named and fetched from the store.

use v1::{Outcome::*, digest::Function};

use super::{
    super::{publishing::request, streams::content},
    fake::{Fake, Take},
    *,
};

#[tokio::test]
async fn content_of_the_store_is_published_and_nothing_of_it_kept() {
    let farm = Farm::start().await;
    let content = content(3_000_001);
    let refused = publish(&farm.daemon, "f", &content).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "MISSING_BLOB");
    let name = streams::upload(&sha256(&content));
    streams::write(&farm.store, streams::messages(&name, &content, 0, true)).await.unwrap();
    assert_eq!(publish(&farm.daemon, "f", &content).await.unwrap(), Created);
    assert!(std::fs::read(farm.daemon.path("f")).unwrap() == content);
    assert_eq!(publish(&farm.daemon, "f", &content).await.unwrap(), Unchanged);
    assert_eq!(publish(&farm.daemon, "empty", b"").await.unwrap(), Created);
    farm.end().await;
}

#[tokio::test]
async fn content_by_blake3_is_fetched_where_the_store_knows_it() {
    let farm = Farm::start().await;
    let digest = onewriter_store::Digest::of(onewriter_store::Function::Blake3, b"content");
    let name = format!("uploads/u/blobs/blake3/{digest}");
    streams::write(&farm.store, streams::messages(&name, b"content", 0, true)).await.unwrap();
    let mut wanted = request("f", b"content");
    let named = wanted.publish.as_mut().unwrap().digest.as_mut().unwrap();
    (named.function, named.hash) = (Function::Blake3.into(), digest.hash.to_vec());
    let done = farm.daemon.mutations().await.publish_digest(wanted.clone()).await.unwrap();
    assert_eq!(outcomes(done.into_inner())[0].1, Created);

    let store = Fake::start().await;
    let daemon = with_store(at(store.address, "")).await;
    let refused = daemon.mutations().await.publish_digest(wanted).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "MISSING_BLOB", "a store of SHA-256 cannot have it");
    assert!(store.reads().is_empty());
    daemon.end().await;
    farm.end().await;
}

#[tokio::test]
async fn the_root_is_looked_at_before_the_store_is_asked() {
    let store = Fake::start().await;
    let daemon = with_store(at(store.address, "")).await;
    std::fs::write(daemon.path("f"), b"content").unwrap();
    assert_eq!(publish(&daemon, "f", b"content").await.unwrap(), Unchanged);
    assert_eq!(publish(&daemon, "g", b"content").await.unwrap(), Created);
    assert!(store.reads().is_empty());
    daemon.end().await;
}

#[tokio::test]
async fn the_instance_of_the_setting_is_asked() {
    let store = Fake::start().await;
    let daemon = with_store(at(store.address, "a/b")).await;
    store.will(Take::all(b"content"));
    assert_eq!(publish(&daemon, "f", b"content").await.unwrap(), Created);
    let name = format!("a/b/{}", streams::blob(&sha256(b"content")));
    assert_eq!(store.reads(), [(name, 0)]);
    daemon.end().await;
}
