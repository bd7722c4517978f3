//! Content that is sent in a stream.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use v1::{
    Outcome::*, PublishBegin, PublishFinish, PublishStreamRequest, PublishStreamResponse,
    publish_stream_request::Step as In, publish_stream_response::Step as Out,
};

use super::*;

pub(super) fn begin(path: &str, digest: Option<&[u8]>) -> In {
    let blake3 = digest.map(<[u8]>::to_vec);
    In::Begin(PublishBegin { context: context("stream"), to: to(path), blake3 })
}

pub(super) fn chunk(content: impl Into<Vec<u8>>) -> In {
    In::Chunk(content.into().into())
}

pub(super) fn finish(size: u64) -> In {
    In::Finish(PublishFinish { size })
}

fn digest(content: &[u8]) -> Vec<u8> {
    blake3::hash(content).as_bytes().to_vec()
}

/// Both ends of a stream.
pub(super) struct Exchange {
    steps: mpsc::Sender<PublishStreamRequest>,
    answers: tonic::Streaming<PublishStreamResponse>,
}

impl Exchange {
    pub(super) async fn begin(client: &mut MutationsClient<Wire>, first: In) -> Self {
        let (steps, stream) = mpsc::channel(4);
        steps.send(PublishStreamRequest { step: Some(first) }).await.unwrap();
        let answers = in_time(client.publish_stream(ReceiverStream::new(stream))).await;
        Self { steps, answers: answers.unwrap().into_inner() }
    }

    pub(super) async fn send(&self, step: In) {
        in_time(self.steps.send(PublishStreamRequest { step: Some(step) })).await.unwrap();
    }

    pub(super) async fn answer(&mut self) -> Result<Option<Out>, Status> {
        let message = in_time(self.answers.message()).await?;
        Ok(message.and_then(|message| message.step))
    }

    async fn done(&mut self) -> Vec<(String, v1::Outcome)> {
        match self.answer().await.unwrap() {
            Some(Out::Done(done)) => outcomes(done),
            other => panic!("{other:?}"),
        }
    }

    async fn proceeds(&mut self) {
        let answer = self.answer().await.unwrap();
        assert!(matches!(answer, Some(Out::Proceed(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn content_that_is_there_is_never_sent() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let content = b"content".repeat(1000);
    let mut first = Exchange::begin(&mut client, begin("f", Some(&digest(&content)))).await;
    first.proceeds().await;
    for part in content.chunks(999) {
        first.send(chunk(part)).await;
    }
    first.send(finish(7000)).await;
    assert_eq!(first.done().await, [("f".to_owned(), Created)]);
    let inode =
        |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let before = inode(&daemon.path("f"));

    let mut second = Exchange::begin(&mut client, begin("f", Some(&digest(&content)))).await;
    assert_eq!(second.done().await, [("f".to_owned(), Unchanged)]);
    assert!(second.answer().await.unwrap().is_none());
    assert_eq!(inode(&daemon.path("f")), before);

    let mut third = Exchange::begin(&mut client, begin("f", Some(&digest(b"new")))).await;
    third.proceeds().await;
    third.send(chunk("new")).await;
    third.send(finish(3)).await;
    assert_eq!(third.done().await, [("f".to_owned(), Replaced)]);
    assert_eq!(std::fs::read(daemon.path("f")).unwrap(), b"new");
    let counts = daemon.engine.counts();
    assert_eq!(counts.mutations[&("publish", "unchanged")], 1);
    assert!(!counts.mutations.contains_key(&("publish", "refused")), "to look is no failure");
}

#[tokio::test]
async fn known_content_is_left_through_links_and_only_where_it_is_a_file() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    std::fs::create_dir(daemon.path("real")).unwrap();
    std::fs::write(daemon.path("real/f"), "x").unwrap();
    std::os::unix::fs::symlink("real", daemon.path("link")).unwrap();
    let mut through = Exchange::begin(&mut client, begin("link/f", Some(&digest(b"x")))).await;
    assert_eq!(through.done().await, [("real/f".to_owned(), Unchanged)]);

    std::os::unix::fs::symlink("real/f", daemon.path("alias")).unwrap();
    let mut alias = Exchange::begin(&mut client, begin("alias", Some(&digest(b"x")))).await;
    // Not sent, since it is known to lie at another path.
    assert_eq!(alias.done().await, [("alias".to_owned(), Replaced)]);
    assert!(daemon.path("alias").symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn sixty_four_mebibytes_arrive_whole() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let part: Vec<u8> = (0..256 * 1024).map(|n: u32| (n % 251) as u8).collect();
    let whole = digest(&part.repeat(256));
    let mut stream = Exchange::begin(&mut client, begin("big", Some(&whole))).await;
    stream.proceeds().await;
    for _ in 0..256 {
        stream.send(chunk(part.clone())).await;
    }
    stream.send(finish(64 << 20)).await;
    assert_eq!(stream.done().await, [("big".to_owned(), Created)]);
    let written = std::fs::read(daemon.path("big")).unwrap();
    assert!(written.len() == 64 << 20 && written.chunks(part.len()).all(|found| found == part));
}

#[tokio::test]
async fn what_is_not_what_was_announced_is_not_published() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    std::fs::write(daemon.path("f"), "old").unwrap();
    let mismatch = (Code::DataLoss, "CONTENT_MISMATCH".to_owned(), "f".to_owned());

    let mut short = Exchange::begin(&mut client, begin("f", None)).await;
    short.send(chunk("new")).await;
    short.send(finish(4)).await;
    assert_eq!(told(&short.answer().await.unwrap_err(), "path"), mismatch);

    let mut other = Exchange::begin(&mut client, begin("f", Some(&digest(b"announced")))).await;
    other.proceeds().await;
    other.send(chunk("different")).await;
    other.send(finish(9)).await;
    assert_eq!(told(&other.answer().await.unwrap_err(), "path"), mismatch);

    let cut = Exchange::begin(&mut client, begin("f", None)).await;
    cut.send(chunk("new")).await;
    let Exchange { steps, mut answers } = cut;
    drop(steps);
    let incomplete = in_time(answers.message()).await.unwrap_err();
    assert_eq!(told(&incomplete, "path"), (Code::Aborted, "INCOMPLETE".into(), "f".into()));

    assert_eq!(std::fs::read(daemon.path("f")).unwrap(), b"old");
    assert_eq!(daemon.staging(), 0);
}

#[tokio::test]
async fn streams_without_meaning_are_refused() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let mut nowhere = begin("f", None);
    let In::Begin(PublishBegin { to, .. }) = &mut nowhere else { unreachable!() };
    *to = None;
    let large = vec![0; (1 << 20) + 1];
    let cases = [
        (vec![chunk("x")], "begin"),
        (vec![nowhere], "to"),
        (vec![begin("f", Some(b"short"))], "blake3"),
        (vec![begin("f", None), chunk(large)], "chunk"),
        (vec![begin("f", None), begin("f", None)], "begin"),
    ];
    for (steps, field) in cases {
        let mut steps = steps.into_iter();
        let mut stream = Exchange::begin(&mut client, steps.next().unwrap()).await;
        for step in steps {
            stream.send(step).await;
        }
        let refused = stream.answer().await.unwrap_err();
        let expected = (Code::InvalidArgument, "BAD_REQUEST".into(), field.into());
        assert_eq!(told(&refused, "field"), expected);
    }
    let mut outside = Exchange::begin(&mut client, begin("../f", None)).await;
    assert_eq!(told(&outside.answer().await.unwrap_err(), "path").1, "PATH_PARENT");
    until("staging is empty", || daemon.staging() == 0).await;
    assert!(!daemon.path("f").exists());
}

#[tokio::test]
async fn what_was_written_behind_the_daemons_back_is_noticed_though_it_looks_the_same() {
    use std::os::unix::fs::FileExt as _;
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let content = vec![1; 100_000];
    let publish = async |client: &mut MutationsClient<Wire>| {
        let mut stream = Exchange::begin(client, begin("f", Some(&digest(&content)))).await;
        let answer = stream.answer().await.unwrap();
        if let Some(Out::Done(done)) = answer {
            return outcomes(done)[0].1;
        }
        stream.send(chunk(content.clone())).await;
        stream.send(finish(100_000)).await;
        stream.done().await[0].1
    };
    assert_eq!(publish(&mut client).await, Created);
    // The place where the content was put is one to copy it from; that may not hide the change.
    for _ in 0..3 {
        // Twice, so that the digest of what lies there is known.
        for _ in 0..2 {
            assert_eq!(publish(&mut client).await, Unchanged);
        }
        let file = std::fs::File::options().write(true).open(daemon.path("f")).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(&[2], 5000).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(publish(&mut client).await, Replaced);
        assert_eq!(std::fs::read(daemon.path("f")).unwrap(), content);
    }
}

#[tokio::test]
async fn a_client_that_is_gone_mid_stream_leaves_nothing() {
    let daemon = Daemon::start().await;
    let (wire, cord) = daemon.connect().await;
    let stream = Exchange::begin(&mut client(wire), begin("f", None)).await;
    stream.send(chunk(vec![1; 1 << 20])).await;
    until("content waits in staging", || daemon.staging() == 1).await;
    cord.cut();
    until("staging is empty", || daemon.staging() == 0).await;
    assert!(!daemon.path("f").exists());
    assert!(daemon.engine.locks().is_idle());
    // One that only ends the stream.
    let mut client = daemon.mutations().await;
    let stream = Exchange::begin(&mut client, begin("f", None)).await;
    until("content waits in staging", || daemon.staging() == 1).await;
    drop(stream);
    until("staging is empty", || daemon.staging() == 0).await;
}

#[tokio::test]
async fn a_client_that_is_gone_while_its_content_waits_for_the_lock_leaves_nothing() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("f").await;
    let (wire, cord) = daemon.connect().await;
    let stream = Exchange::begin(&mut client(wire), begin("f", None)).await;
    stream.send(chunk("x")).await;
    stream.send(finish(1)).await;
    until("it waits", || daemon.waiting() == ["f"]).await;
    cord.cut();
    until("its place is free", || daemon.waiting().is_empty()).await;
    until("staging is empty", || daemon.staging() == 0).await;
    held.let_go().await;
    assert!(!daemon.path("f").exists());
}

#[tokio::test]
async fn a_stream_that_stands_still_ends_at_its_deadline() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let (steps, stream) = mpsc::channel(4);
    steps.send(PublishStreamRequest { step: Some(begin("f", None)) }).await.unwrap();
    let mut request = tonic::Request::new(ReceiverStream::new(stream));
    request.set_timeout(Duration::from_millis(100));
    let answers = in_time(client.publish_stream(request)).await;
    let late = in_time(answers.unwrap().into_inner().message()).await.unwrap_err();
    assert_eq!(told(&late, "path"), (Code::Aborted, "INCOMPLETE".into(), "f".into()));
    assert_eq!(daemon.staging(), 0);
}

#[test]
fn streams_that_stand_still_keep_nobody_waiting() {
    with_few_threads(async {
        let daemon = Daemon::start().await;
        let mut client = daemon.mutations().await;
        let mut still = Vec::new();
        for n in 0..20 {
            let stream = Exchange::begin(&mut client, begin(&format!("f{n}"), None)).await;
            stream.send(chunk("x")).await;
            still.push(stream);
        }
        until("all have begun", || daemon.staging() == 20).await;
        let mut other = daemon.mutations().await;
        let mut quick = Exchange::begin(&mut other, begin("quick", None)).await;
        quick.send(chunk("x")).await;
        quick.send(finish(1)).await;
        assert_eq!(quick.done().await, [("quick".to_owned(), Created)]);
        drop(still);
        until("staging is empty", || daemon.staging() == 0).await;
    });
}
