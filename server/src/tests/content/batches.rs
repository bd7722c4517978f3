//! Small contents, and trees.

use onewriter_proto::reapi::{
    BatchReadBlobsRequest, BatchUpdateBlobsRequest, Directory, DirectoryNode, GetTreeRequest,
    batch_update_blobs_request::Request as Update, compressor, digest_function,
};
use prost::Message as _;

use super::*;

fn update(digest: Digest, data: &[u8]) -> Update {
    Update { digest: Some(digest), data: data.to_vec().into(), compressor: 0 }
}

async fn codes(daemon: &Daemon, requests: Vec<Update>) -> Vec<i32> {
    let request = BatchUpdateBlobsRequest { requests, ..Default::default() };
    let answer = daemon.storage().await.batch_update_blobs(request).await.unwrap();
    let responses = answer.into_inner().responses.into_iter();
    responses.map(|response| response.status.unwrap().code).collect()
}

#[tokio::test]
async fn contents_of_a_batch_succeed_and_fail_each_by_itself() {
    let daemon = Daemon::start().await;
    let (good, bad) = (sha256(b"good"), sha256(b"bad"));
    let zstd = zstd::bulk::compress(b"compressed", 1).unwrap();
    let packed = Update {
        compressor: compressor::Value::Zstd.into(),
        ..update(sha256(b"compressed"), &zstd)
    };
    let broken = Update {
        compressor: compressor::Value::Zstd.into(),
        ..update(sha256(b"broken"), b"not zstd")
    };
    let unknown = Update { compressor: 2, ..update(good.clone(), b"good") };
    let nonsense = Digest { hash: "../../etc".into(), size_bytes: 4 };
    let said = codes(
        &daemon,
        vec![
            update(good.clone(), b"good"),
            update(bad.clone(), b"BAD"),
            packed,
            broken,
            unknown,
            update(nonsense, b"good"),
            update(sha256(b""), b""),
        ],
    );
    assert_eq!(said.await, [0, 3, 0, 3, 3, 3, 0]);
    let (empty, compressed) = (sha256(b""), sha256(b"compressed"));
    assert_eq!(
        daemon.missing(&[&good, &bad, &compressed, &empty]).await,
        std::slice::from_ref(&bad)
    );
    assert_eq!((daemon.stored().len(), daemon.arriving()), (2, 0));

    let digests = vec![compressed, bad, good, empty];
    let request = BatchReadBlobsRequest { digests, ..Default::default() };
    let read = daemon.storage().await.batch_read_blobs(request).await.unwrap().into_inner();
    let status = |n: usize| read.responses[n].status.as_ref().unwrap();
    assert_eq!(read.responses[0].data, "compressed");
    assert_eq!(status(1).code, Code::NotFound as i32);
    let info = &status(1).details;
    assert!(info.iter().any(|detail| detail.type_url.ends_with("google.rpc.ErrorInfo")));
    assert_eq!(read.responses[2].data, "good");
    assert_eq!((&*read.responses[3].data, status(3).code), (&b""[..], 0));
    daemon.end().await;
}

#[tokio::test]
async fn blake3_is_a_namespace_of_its_own() {
    let daemon = Daemon::start().await;
    let digest = blake3(b"content");
    let digest_function = digest_function::Value::Blake3.into();
    let requests = vec![update(digest.clone(), b"content")];
    let request = BatchUpdateBlobsRequest { requests, digest_function, ..Default::default() };
    let answer = daemon.storage().await.batch_update_blobs(request).await.unwrap();
    assert_eq!(answer.into_inner().responses[0].status.as_ref().unwrap().code, 0);
    assert_eq!(daemon.missing(&[&digest]).await.len(), 1, "who does not say means SHA-256");
    let request =
        BatchReadBlobsRequest { digests: vec![digest], digest_function, ..Default::default() };
    let read = daemon.storage().await.batch_read_blobs(request).await.unwrap().into_inner();
    assert_eq!(read.responses[0].data, "content");
    daemon.end().await;
}

#[tokio::test]
async fn requests_without_meaning_are_refused_by_name() {
    let daemon = Daemon::start().await;
    let mut storage = daemon.storage().await;
    let bad = (Code::InvalidArgument, "BAD_REQUEST".to_owned(), String::new());
    let large = Digest { size_bytes: (4 << 20) + 1, ..sha256(b"") };
    let digests = vec![large];
    let refused = storage.batch_read_blobs(BatchReadBlobsRequest { digests, ..Default::default() });
    assert_eq!(told(&refused.await.unwrap_err(), ""), bad);
    let digests = vec![Digest { size_bytes: i64::MAX, ..sha256(b"") }; 4];
    let refused = storage.batch_read_blobs(BatchReadBlobsRequest { digests, ..Default::default() });
    assert_eq!(told(&refused.await.unwrap_err(), ""), bad);
    let sha1 = reapi::FindMissingBlobsRequest {
        digest_function: digest_function::Value::Sha1.into(),
        ..Default::default()
    };
    assert_eq!(told(&storage.find_missing_blobs(sha1).await.unwrap_err(), ""), bad);
    let refused = storage.get_tree(GetTreeRequest::default()).await;
    assert_eq!(told(&refused.map(drop).unwrap_err(), ""), bad);
    daemon.end().await;
}

#[tokio::test]
async fn a_tree_comes_from_its_root_each_directory_once() {
    let daemon = Daemon::start().await;
    let below = |name: &str, digest: &Digest| DirectoryNode {
        name: name.into(),
        digest: Some(digest.clone()),
    };
    let leaf = daemon.put(&Directory::default().encode_to_vec()).await;
    let link = reapi::SymlinkNode { name: "l".into(), target: "t".into(), ..Default::default() };
    let symlinks = vec![link];
    let twig = Directory { symlinks, directories: vec![below("x", &leaf)], ..Default::default() };
    let twig_digest = daemon.put(&twig.encode_to_vec()).await;
    let lost = sha256(b"not there");
    let directories = vec![below("a", &twig_digest), below("b", &twig_digest), below("c", &lost)];
    let root = Directory { directories, ..Default::default() };
    let root_digest = daemon.put(&root.encode_to_vec()).await;
    for (page_size, pages) in [(0, 1), (1, 3)] {
        let root_digest = Some(root_digest.clone());
        let request = GetTreeRequest { root_digest, page_size, ..Default::default() };
        let mut stream = daemon.storage().await.get_tree(request).await.unwrap().into_inner();
        let (mut found, mut messages) = (Vec::new(), 0);
        while let Some(page) = stream.message().await.unwrap() {
            found.extend(page.directories);
            messages += 1;
        }
        assert_eq!(found, [root.clone(), twig.clone(), Directory::default()]);
        assert_eq!(messages, pages);
    }
    let request = GetTreeRequest { root_digest: Some(lost), ..Default::default() };
    let mut stream = daemon.storage().await.get_tree(request).await.unwrap().into_inner();
    let refused = stream.message().await.unwrap_err();
    assert_eq!(told(&refused, "").1, "MISSING_BLOB");
    daemon.end().await;
}
