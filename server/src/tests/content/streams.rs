//! Content in streams.

use bytes::Bytes;
use onewriter_proto::bytestream::{QueryWriteStatusRequest, ReadRequest};

use super::*;

pub(super) fn content(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n / 7 * 13 % 251) as u8).collect()
}

pub(super) fn upload(digest: &Digest) -> String {
    format!("main/uploads/a-uuid/blobs/{}/{}", digest.hash, digest.size_bytes)
}

pub(super) fn packed_upload(digest: &Digest) -> String {
    upload(digest).replace("/blobs/", "/compressed-blobs/zstd/")
}

/// The messages that write `data` from `offset`, the last of which says so if it is to `finish`.
pub(super) fn messages(name: &str, data: &[u8], offset: usize, finish: bool) -> Vec<WriteRequest> {
    let pieces: Vec<&[u8]> =
        if data.is_empty() { vec![b""] } else { data.chunks(64 << 10).collect() };
    let (last, mut at) = (pieces.len() - 1, offset);
    let message = |(n, piece): (usize, &&[u8])| {
        let write_offset = at as i64;
        at += piece.len();
        WriteRequest {
            resource_name: if n == 0 { name.to_owned() } else { String::new() },
            write_offset,
            finish_write: finish && n == last,
            data: Bytes::copy_from_slice(piece),
        }
    };
    pieces.iter().enumerate().map(message).collect()
}

pub(super) async fn write(daemon: &Daemon, messages: Vec<WriteRequest>) -> Result<i64, Status> {
    let written = daemon.streams().await.write(tokio_stream::iter(messages)).await?;
    Ok(written.into_inner().committed_size)
}

pub(super) async fn read(
    daemon: &Daemon,
    name: &str,
    from: i64,
    limit: i64,
) -> Result<Vec<u8>, Status> {
    let resource_name = name.to_owned();
    let request = ReadRequest { resource_name, read_offset: from, read_limit: limit };
    let mut stream = daemon.streams().await.read(request).await?.into_inner();
    let mut found = Vec::new();
    while let Some(piece) = stream.message().await? {
        found.extend_from_slice(&piece.data);
    }
    Ok(found)
}

pub(super) async fn status(daemon: &Daemon, name: &str) -> Result<(i64, bool), Status> {
    let resource_name = name.to_owned();
    let request = QueryWriteStatusRequest { resource_name };
    let said = daemon.streams().await.query_write_status(request).await?.into_inner();
    Ok((said.committed_size, said.complete))
}

pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.hash, digest.size_bytes)
}

#[tokio::test]
async fn what_was_written_is_read_in_any_part() {
    let daemon = Daemon::start().await;
    let content = content(3_000_001);
    let digest = sha256(&content);
    let name = upload(&digest);
    let written = write(&daemon, messages(&name, &content, 0, true)).await.unwrap();
    assert_eq!(written, 3_000_001);
    assert_eq!(status(&daemon, &name).await.unwrap(), (3_000_001, true));
    assert!(read(&daemon, &blob(&digest), 0, 0).await.unwrap() == content);
    let part = read(&daemon, &blob(&digest), 2_999_000, 500).await.unwrap();
    assert!(part == content[2_999_000..2_999_500]);
    let end = read(&daemon, &format!("x/{}", blob(&digest)), 2_999_999, 500).await.unwrap();
    assert!(end == content[2_999_999..]);
    assert_eq!(read(&daemon, &blob(&digest), 3_000_001, 0).await.unwrap(), b"");
    let again = write(&daemon, messages(&name, &content, 0, true)).await.unwrap();
    assert_eq!(again, 3_000_001, "it is there already");
    assert_eq!((daemon.stored().len(), daemon.arriving()), (1, 0));
    daemon.end().await;
}

#[tokio::test]
async fn compressed_content_is_the_same_content() {
    let daemon = Daemon::start().await;
    let content = content(2_000_000);
    let digest = sha256(&content);
    let packed = zstd::bulk::compress(&content, 3).unwrap();
    let name = packed_upload(&digest);
    let written = write(&daemon, messages(&name, &packed, 0, true)).await.unwrap();
    assert_eq!(written, packed.len() as i64);
    assert!(read(&daemon, &blob(&digest), 0, 0).await.unwrap() == content);
    let zstd = format!("compressed-{}", blob(&digest).replace("blobs/", "blobs/zstd/"));
    for from in [0, 1_999_999] {
        let packed = read(&daemon, &zstd, from as i64, 0).await.unwrap();
        let unpacked = zstd::stream::decode_all(&*packed).unwrap();
        assert!(unpacked == content[from..]);
    }
    assert_eq!(read(&daemon, &zstd, 0, 5).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(write(&daemon, messages(&name, &packed, 0, true)).await.unwrap(), -1);
    daemon.end().await;
}

#[tokio::test]
async fn a_write_goes_on_where_it_was_cut_off() {
    let daemon = Daemon::start().await;
    let content = content(2_000_000);
    let digest = sha256(&content);
    let packed = zstd::bulk::compress(&content, 1).unwrap();
    for (name, sent) in [(upload(&digest), &content), (packed_upload(&digest), &packed)] {
        let half = sent.len() / 2;
        // The client goes away in the middle.
        let (wire, cord) = daemon.connect().await;
        let mut streams = ByteStreamClient::with_origin(wire, ORIGIN.parse().unwrap());
        let (to, from) = tokio::sync::mpsc::channel(64);
        for message in messages(&name, &sent[..half], 0, false) {
            to.send(message).await.unwrap();
        }
        let stream = tokio_stream::wrappers::ReceiverStream::new(from);
        let call = tokio::spawn(async move { streams.write(stream).await });
        until("the upload arrives", || daemon.arriving() == 1).await;
        cord.cut();
        assert!(ended(call).await.is_err());
        let (_, taken) = in_time(async {
            loop {
                if let Ok((taken, complete)) = status(&daemon, &name).await {
                    return (complete, usize::try_from(taken).unwrap());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert!(taken <= half);

        let gap = write(&daemon, messages(&name, &sent[taken + 1..], taken + 1, true)).await;
        assert_eq!(told(&gap.unwrap_err(), "").1, "BAD_REQUEST");
        let done = write(&daemon, messages(&name, &sent[taken..], taken, true)).await;
        assert_eq!(done.unwrap(), sent.len() as i64);
        assert!(read(&daemon, &blob(&digest), 0, 0).await.unwrap() == content);
        assert_eq!(daemon.arriving(), 0);
        std::fs::remove_file(&daemon.stored()[0]).unwrap();
    }
    daemon.end().await;
}

#[tokio::test]
async fn a_stream_without_an_end_waits_and_may_begin_anew() {
    let daemon = Daemon::start().await;
    let digest = sha256(b"content");
    let name = upload(&digest);
    let unknown = status(&daemon, &name).await.unwrap_err();
    assert_eq!((unknown.code(), &*told(&unknown, "").1), (Code::NotFound, "INCOMPLETE"));
    assert_eq!(write(&daemon, messages(&name, b"cont", 0, false)).await.unwrap(), 4);
    assert_eq!(status(&daemon, &name).await.unwrap(), (4, false));
    assert_eq!(write(&daemon, messages(&name, b"content", 0, true)).await.unwrap(), 7);
    assert_eq!((daemon.stored().len(), daemon.arriving()), (1, 0));
    daemon.end().await;
}

#[tokio::test]
async fn what_is_not_what_its_name_says_is_refused() {
    let daemon = Daemon::with(new_root(), |config| config.cas_size = 1 << 20).await;
    let digest = sha256(b"content");
    let mismatch = (Code::InvalidArgument, "CONTENT_MISMATCH".to_owned(), String::new());
    for wrong in [&b"CONTENT"[..], b"conten", b"contents"] {
        let refused = write(&daemon, messages(&upload(&digest), wrong, 0, true)).await;
        assert_eq!(told(&refused.unwrap_err(), ""), mismatch);
    }
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 19).unwrap();
    for wrong in [&b"no zstd at all"[..], &bomb, &bomb[..9]] {
        let refused = write(&daemon, messages(&packed_upload(&digest), wrong, 0, true)).await;
        assert_eq!(told(&refused.unwrap_err(), ""), mismatch);
    }
    let large = Digest { size_bytes: 2 << 20, ..digest.clone() };
    let refused = write(&daemon, messages(&upload(&large), b"x", 0, true)).await.unwrap_err();
    let said = (Code::ResourceExhausted, "TOO_LARGE".to_owned(), String::new());
    assert_eq!(told(&refused, ""), said);
    let refused = write(&daemon, messages("uploads/../../etc", b"x", 0, true)).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "BAD_REQUEST");
    let refused = read(&daemon, &blob(&digest), 0, 0).await.unwrap_err();
    assert_eq!(told(&refused, ""), (Code::NotFound, "MISSING_BLOB".to_owned(), String::new()));
    daemon.put(b"content").await;
    for (from, limit, code) in
        [(8, 0, Code::OutOfRange), (-1, 0, Code::InvalidArgument), (0, -1, Code::InvalidArgument)]
    {
        assert_eq!(read(&daemon, &blob(&digest), from, limit).await.unwrap_err().code(), code);
    }
    assert_eq!((daemon.stored().len(), daemon.arriving()), (1, 0));
    daemon.end().await;
}
