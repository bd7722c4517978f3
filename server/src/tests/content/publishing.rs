//! Content of the tree that is named and not sent.

use v1::{Outcome::*, digest::Function};

use super::*;

pub(super) fn request(path: &str, content: &[u8]) -> v1::PublishDigestRequest {
    let hash = onewriter_store::Digest::of(onewriter_store::Function::Sha256, content).hash;
    let digest = v1::Digest {
        function: Function::Sha256.into(),
        hash: hash.to_vec(),
        size: content.len() as u64,
    };
    let publish = v1::PublishDigest { to: to(path), digest: Some(digest) };
    v1::PublishDigestRequest { context: context("digest"), publish: Some(publish) }
}

pub(super) async fn publish(
    daemon: &Daemon,
    path: &str,
    content: &[u8],
) -> Result<v1::Outcome, Status> {
    let done = daemon.mutations().await.publish_digest(request(path, content)).await?;
    Ok(outcomes(done.into_inner())[0].1)
}

fn missing() -> (Code, String, String) {
    (Code::FailedPrecondition, "MISSING_BLOB".to_owned(), "f".to_owned())
}

#[tokio::test]
async fn content_that_nobody_has_is_asked_for_and_published_when_it_was_uploaded() {
    let daemon = Daemon::start().await;
    let content = b"content".repeat(20_000);
    let refused = publish(&daemon, "f", &content).await.unwrap_err();
    assert_eq!(told(&refused, "path"), missing());
    assert_eq!(publish(&daemon, "empty", b"").await.unwrap(), Created);
    assert!(!daemon.path(".onewriter/cas").exists(), "to look is not to need a store");
    daemon.put(&content).await;
    assert_eq!(publish(&daemon, "f", &content).await.unwrap(), Created);
    assert!(std::fs::read(daemon.path("f")).unwrap() == content);
    assert_eq!(publish(&daemon, "f", &content).await.unwrap(), Unchanged);
    daemon.put(b"other").await;
    assert_eq!(publish(&daemon, "f", b"other").await.unwrap(), Replaced);
    assert_eq!(daemon.staging(), 0);
    daemon.end().await;
}

#[tokio::test]
async fn content_of_another_path_is_copied_as_long_as_it_is_that() {
    let daemon = Daemon::start().await;
    std::fs::write(daemon.path("f"), b"content").unwrap();
    let refused = publish(&daemon, "g", b"content").await.unwrap_err();
    assert_eq!(told(&refused, "").1, "MISSING_BLOB", "nobody has hashed it so far");
    assert_eq!(publish(&daemon, "f", b"content").await.unwrap(), Unchanged);
    assert_eq!(publish(&daemon, "g", b"content").await.unwrap(), Created);
    assert_eq!(std::fs::read(daemon.path("g")).unwrap(), b"content");
    // Whoever changes it behind the daemon's back is found out, also where the size is the same.
    std::fs::write(daemon.path("g"), b"CONTENT").unwrap();
    let refused = publish(&daemon, "h", b"content").await.unwrap_err();
    assert_eq!(told(&refused, "").1, "MISSING_BLOB");
    assert!(!daemon.path("h").exists());
    assert_eq!(daemon.staging(), 0);
    daemon.end().await;
}

#[tokio::test]
async fn a_digest_that_is_none_is_refused_by_name() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let mut short = request("f", b"x");
    short.publish.as_mut().unwrap().digest.as_mut().unwrap().hash.pop();
    let mut unknown = request("f", b"x");
    unknown.publish.as_mut().unwrap().digest.as_mut().unwrap().function = 9;
    let mut none = request("f", b"x");
    none.publish.as_mut().unwrap().digest = None;
    let empty = v1::PublishDigestRequest::default();
    for (request, field) in
        [(short, "hash"), (unknown, "function"), (none, "digest"), (empty, "publish")]
    {
        let refused = client.publish_digest(request).await.unwrap_err();
        let said = (Code::InvalidArgument, "BAD_REQUEST".to_owned(), field.to_owned());
        assert_eq!(told(&refused, "field"), said);
    }
    let refused = client.publish_digest(request("../f", b"x")).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "PATH_PARENT");
    daemon.end().await;
}
