//! The Remote Execution API of a daemon with an external store: what is asked here is answered there.

use onewriter_proto::{
    bytestream::ReadRequest,
    reapi::{
        BatchReadBlobsRequest, BatchUpdateBlobsRequest, Directory, GetTreeRequest,
        batch_update_blobs_request::Request as Update, compressor, digest_function,
    },
};
use prost::Message as _;
use tokio_stream::StreamExt as _;

use super::{
    super::{
        results::{get, result, set},
        streams::{blob, content, messages, packed_upload, read, status, upload, write},
    },
    fake::Fake,
    *,
};
use crate::{config::LimitEntry, tests::remote::wire_over};

/// Everybody from afar may have so many requests at once.
fn with_requests(config: &mut Config, requests: usize) {
    let requests = Some(requests);
    let limit = LimitEntry { who: vec!["*".into()], requests, ..LimitEntry::default() };
    *config = Config::of(Settings { limits: vec![limit], ..config.settings.clone() }).unwrap();
}

#[tokio::test]
async fn small_contents_go_there_and_come_back() {
    let farm = Farm::start().await;
    let digest = farm.daemon.put(b"content").await;
    assert_eq!(farm.store.stored().len(), 1);
    let (other, empty) = (sha256(b"other"), sha256(b""));
    let missing = farm.daemon.missing(&[&digest, &other, &empty]).await;
    assert_eq!(missing, std::slice::from_ref(&other));
    let request = BatchReadBlobsRequest { digests: vec![digest, other], ..Default::default() };
    let read = farm.daemon.storage().await.batch_read_blobs(request).await.unwrap().into_inner();
    assert_eq!(read.responses[0].data, "content");
    assert_eq!(read.responses[1].status.as_ref().unwrap().code, Code::NotFound as i32);
    let root = farm.daemon.put(&Directory::default().encode_to_vec()).await;
    let request = GetTreeRequest { root_digest: Some(root), ..Default::default() };
    let mut pages = farm.daemon.storage().await.get_tree(request).await.unwrap().into_inner();
    assert_eq!(pages.message().await.unwrap().unwrap().directories.len(), 1);
    farm.end().await;
}

#[tokio::test]
async fn streams_go_through_plain_and_compressed_and_keep_their_errors() {
    let farm = Farm::start().await;
    let content = content(3_000_001);
    let digest = sha256(&content);
    let packed = zstd::bulk::compress(&content, 1).unwrap();
    for (name, sent, whole) in
        [(upload(&digest), &content, 3_000_001), (packed_upload(&digest), &packed, -1)]
    {
        let written = write(&farm.daemon, messages(&name, sent, 0, true)).await.unwrap();
        assert_eq!(written, sent.len() as i64);
        assert_eq!(status(&farm.daemon, &name).await.unwrap(), (whole, true));
        assert!(read(&farm.daemon, &blob(&digest), 0, 0).await.unwrap() == content);
        let part = read(&farm.daemon, &blob(&digest), 2_999_000, 500).await.unwrap();
        assert!(part == content[2_999_000..2_999_500]);
        let zstd = format!("compressed-{}", blob(&digest).replace("blobs/", "blobs/zstd/"));
        let unpacked = read(&farm.daemon, &zstd, 0, 0).await.unwrap();
        assert!(zstd::stream::decode_all(&*unpacked).unwrap() == content);
        std::fs::remove_file(&farm.store.stored()[0]).unwrap();
    }
    let refused = read(&farm.daemon, &blob(&digest), 0, 0).await.unwrap_err();
    assert_eq!(told(&refused, ""), (Code::NotFound, "MISSING_BLOB".to_owned(), String::new()));
    let wrong = messages(&upload(&sha256(b"content")), b"CONTENT", 0, true);
    let refused = write(&farm.daemon, wrong).await.unwrap_err();
    let said = (Code::InvalidArgument, "CONTENT_MISMATCH".to_owned(), String::new());
    assert_eq!(told(&refused, ""), said);
    let refused = read(&farm.daemon, "blobs/../etc", 0, 0).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "BAD_REQUEST");
    farm.end().await;
}

#[tokio::test]
async fn a_write_that_was_cut_off_goes_on_in_the_store() {
    let farm = Farm::start().await;
    let content = content(2_000_000);
    let name = upload(&sha256(&content));
    // The client goes away in the middle.
    let (wire, cord) = farm.daemon.connect().await;
    let mut streams = ByteStreamClient::with_origin(wire, ORIGIN.parse().unwrap());
    let (to, from) = tokio::sync::mpsc::channel(64);
    for message in messages(&name, &content[..1_000_000], 0, false) {
        to.send(message).await.unwrap();
    }
    let stream = tokio_stream::wrappers::ReceiverStream::new(from);
    let call = tokio::spawn(async move { streams.write(stream).await });
    until("the upload arrives there", || farm.store.arriving() == 1).await;
    cord.cut();
    assert!(ended(call).await.is_err());
    let taken = in_time(async {
        loop {
            if let Ok((taken, false)) = status(&farm.daemon, &name).await {
                return usize::try_from(taken).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let taken = taken.await;
    assert!(taken <= 1_000_000);
    let rest = messages(&name, &content[taken..], taken, true);
    assert_eq!(write(&farm.daemon, rest).await.unwrap(), 2_000_000);
    assert!(read(&farm.store, &blob(&sha256(&content)), 0, 0).await.unwrap() == content);
    farm.end().await;
}

#[tokio::test]
async fn who_does_not_read_keeps_nobody_else_from_the_store() {
    let farm = Farm::start().await;
    let content = content(8 << 20);
    let digest = sha256(&content);
    write(&farm.store, messages(&upload(&digest), &content, 0, true)).await.unwrap();
    let mut still = Vec::new();
    for _ in 0..12 {
        let request = ReadRequest { resource_name: blob(&digest), ..Default::default() };
        let mut answers = farm.daemon.streams().await.read(request).await.unwrap().into_inner();
        in_time(answers.message()).await.unwrap().expect("it begins");
        still.push(answers);
    }
    for _ in 0..4 {
        let found = in_time(read(&farm.daemon, &blob(&digest), 0, 0)).await.unwrap();
        assert!(found == content);
    }
    drop(still);
    farm.end().await;
}

#[tokio::test]
async fn uploads_that_wait_for_a_turn_of_the_store_leave_the_others_room() {
    let (store, address) = reachable(|config| with_requests(config, 2)).await;
    let daemon = with_store(at(address, "")).await;
    let streams = daemon.streams().await;
    let upload = |n: usize| {
        let mut streams = streams.clone();
        tokio::spawn(async move {
            let content = [&n.to_le_bytes()[..], &content(2 << 20)].concat();
            let messages = messages(&upload(&sha256(&content)), &content, 0, true);
            streams.write(tokio_stream::iter(messages)).await
        })
    };
    for written in (0..20).map(upload).collect::<Vec<_>>() {
        ended(written).await.unwrap();
    }
    daemon.end().await;
    store.end().await;
}

#[tokio::test]
async fn streams_to_and_from_the_store_have_turns() {
    let (store, address) = reachable(|_| ()).await;
    let (daemon, here) = reachable(|config| {
        with_requests(config, 1);
        config.store = Some(at(address, ""));
    })
    .await;
    let content = content(8 << 20);
    let digest = sha256(&content);
    write(&store, messages(&upload(&digest), &content, 0, true)).await.unwrap();
    let socket = tokio::net::TcpStream::connect(here).await.unwrap();
    let wire = wire_over(socket).await;
    let mut streams = ByteStreamClient::with_origin(wire, ORIGIN.parse().unwrap());
    fn soon<T>(message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(Duration::from_millis(50));
        request
    }
    let assert_no_turn =
        |refused: &Status| assert_eq!(told(refused, "rule").2, "requests = 1", "{refused:?}");

    let request = ReadRequest { resource_name: blob(&digest), ..Default::default() };
    let still = in_time(streams.read(request.clone())).await.unwrap();
    assert_no_turn(&in_time(streams.read(soon(request.clone()))).await.unwrap_err());

    // Those that send have turns of their own.
    let first = messages(&upload(&sha256(b"other")), b"ot", 0, false);
    let stream = tokio_stream::iter(first.clone()).chain(tokio_stream::pending());
    let mut sender = streams.clone();
    let sending = tokio::spawn(async move { sender.write(stream).await });
    until("it arrives there", || store.arriving() == 1).await;
    let late = in_time(streams.write(soon(tokio_stream::iter(first)))).await;
    assert_no_turn(&late.unwrap_err());

    // Each turn ends with its stream.
    drop(still);
    in_time(streams.read(request)).await.unwrap();
    sending.abort();
    let last = messages(&upload(&sha256(b"last")), b"last", 0, true);
    in_time(streams.write(tokio_stream::iter(last))).await.unwrap();
    daemon.end().await;
    store.end().await;
}

#[tokio::test]
async fn results_of_actions_are_the_stores() {
    let farm = Farm::start().await;
    let (result, contents) = result(&farm.daemon).await;
    let action = sha256(b"action");
    let mut here = farm.daemon.results().await;
    let nothing = here.get_action_result(get("main", &action)).await.unwrap_err();
    assert_eq!(told(&nothing, ""), (Code::NotFound, "NOT_FOUND".to_owned(), String::new()));
    here.update_action_result(set("main", &action, &result)).await.unwrap();
    for daemon in [&farm.daemon, &farm.store] {
        let found = daemon.results().await.get_action_result(get("main", &action)).await.unwrap();
        assert_eq!(found.into_inner(), result);
        let other = daemon.results().await.get_action_result(get("", &action)).await;
        assert_eq!(other.unwrap_err().code(), Code::NotFound, "instances are kept apart");
    }
    let path = farm.store.stored().into_iter().find(|path| path.ends_with(&contents[0].hash));
    std::fs::remove_file(path.unwrap()).unwrap();
    let refused = here.update_action_result(set("main", &action, &result)).await.unwrap_err();
    assert_eq!(told(&refused, "").1, "MISSING_BLOB");
    let violations = refused.get_details_precondition_failure().unwrap().violations;
    assert_eq!(violations[0].r#type, "MISSING", "what clients act by is given on");
    farm.end().await;
}

#[tokio::test]
async fn clients_are_told_what_the_store_can_do_and_held_to_it() {
    let farm = Farm::start().await;
    let ask = |wire| async move {
        let mut client = CapabilitiesClient::with_origin(wire, ORIGIN.parse().unwrap());
        let said = client.get_capabilities(reapi::GetCapabilitiesRequest::default()).await;
        said.unwrap().into_inner().cache_capabilities.unwrap()
    };
    assert_eq!(ask(farm.daemon.wire().await).await, ask(farm.store.wire().await).await);
    farm.end().await;

    let store = Fake::start().await;
    let daemon = with_store(at(store.address, "")).await;
    let said = ask(daemon.wire().await).await;
    assert_eq!((said.digest_functions, said.max_batch_total_size_bytes), (vec![1], 100));
    assert!(said.supported_compressors.is_empty());

    let bad = (Code::InvalidArgument, "BAD_REQUEST".to_owned(), String::new());
    let mut storage = daemon.storage().await;
    let blake3 = reapi::FindMissingBlobsRequest {
        digest_function: digest_function::Value::Blake3.into(),
        ..Default::default()
    };
    assert_eq!(told(&storage.find_missing_blobs(blake3).await.unwrap_err(), ""), bad);
    let digests = vec![sha256(&[0; 101])];
    let large = BatchReadBlobsRequest { digests, ..Default::default() };
    assert_eq!(told(&storage.batch_read_blobs(large).await.unwrap_err(), ""), bad);
    let zstd = Update {
        digest: Some(sha256(b"x")),
        compressor: compressor::Value::Zstd.into(),
        ..Default::default()
    };
    let packed = BatchUpdateBlobsRequest { requests: vec![zstd], ..Default::default() };
    assert_eq!(told(&storage.batch_update_blobs(packed).await.unwrap_err(), ""), bad);
    let packed = messages(&packed_upload(&sha256(b"x")), b"x", 0, true);
    assert_eq!(told(&write(&daemon, packed).await.unwrap_err(), ""), bad);
    daemon.end().await;
}
