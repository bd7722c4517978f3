//! Requests that wait for locks: deadlines, cancellation, and what others see of them.

use prost::Message as _;
use v1::mutation::Kind;

use super::{
    publishing::{begin, chunk, finish},
    *,
};

/// How long the requests of these tests may take.
const SHORT: Duration = Duration::from_secs(2);

/// Requests that are under way, by the names of their rpcs.
type Rows = Vec<(&'static str, JoinHandle<Result<(), Status>>)>;

/// Makes a request that has a deadline, on a client of its own.
macro_rules! ask {
    ($rows:ident, $client:ident.$rpc:ident($message:expr)) => {
        let mut client = $client.clone();
        let mut request = tonic::Request::new($message);
        request.set_timeout(SHORT);
        let asked = async move { client.$rpc(request).await?.into_inner().drained().await };
        $rows.push((stringify!($rpc), tokio::spawn(asked)));
    };
}

/// What an answer consists of.
trait Answer {
    async fn drained(self) -> Result<(), Status>;
}

impl Answer for v1::MutationResponse {
    async fn drained(self) -> Result<(), Status> {
        Ok(())
    }
}

impl Answer for v1::StatResponse {
    async fn drained(self) -> Result<(), Status> {
        Ok(())
    }
}

impl<T> Answer for tonic::Streaming<T> {
    async fn drained(mut self) -> Result<(), Status> {
        while self.message().await?.is_some() {}
        Ok(())
    }
}

/// The rpcs of a service, as Rust calls them.
fn rpcs(service: &str) -> Vec<String> {
    let all = prost_types::FileDescriptorSet::decode(onewriter_proto::DESCRIPTORS).unwrap();
    let mut services = all.file.into_iter().flat_map(|file| file.service);
    let found = services.find(|found| found.name() == service).unwrap();
    let snake = |name: &str| {
        let letter = |c: char| match c.is_uppercase() {
            true => format!("_{}", c.to_lowercase()),
            false => c.to_string(),
        };
        name.chars().map(letter).collect::<String>().trim_start_matches('_').to_owned()
    };
    found.method.iter().map(|rpc| snake(rpc.name())).collect()
}

#[tokio::test]
async fn every_mutation_gives_up_at_its_deadline_and_has_done_nothing() {
    let daemon = Daemon::start().await;
    let client = daemon.mutations().await;
    std::fs::create_dir(daemon.path("d")).unwrap();
    std::fs::write(daemon.path("d/f"), "content").unwrap();
    std::fs::write(daemon.path(".onewriter/staging/c-1"), "staged").unwrap();
    let outside = tempfile::tempdir().unwrap();
    let source = outside.path().join("source");
    std::fs::write(&source, "source").unwrap();
    let source: Vec<u8> = source.to_str().unwrap().into();
    let (path, paths) = (|path: &str| path.as_bytes().to_vec(), vec![b"d/f".to_vec()]);
    let context = || context("late");
    let held = daemon.hold("d").await;

    let mut rows = Rows::new();
    ask!(rows, client.make_directories(mkdir(&["d/e"])));
    let publish = Some(v1::PublishLocal { to: to("d/f"), source, consume: true });
    ask!(rows, client.publish_local(v1::PublishLocalRequest { context: context(), publish }));
    let publish = Some(v1::PublishStaged { to: to("d/f"), name: path("c-1") });
    ask!(rows, client.publish_staged(v1::PublishStagedRequest { context: context(), publish }));
    let function = v1::digest::Function::Blake3.into();
    let digest = v1::Digest { function, hash: blake3::hash(b"").as_bytes().to_vec(), size: 0 };
    let publish = Some(v1::PublishDigest { to: to("d/f"), digest: Some(digest) });
    ask!(rows, client.publish_digest(v1::PublishDigestRequest { context: context(), publish }));
    let steps = [begin("d/f", None), chunk("sent"), finish(4)];
    let steps = steps.map(|step| v1::PublishStreamRequest { step: Some(step) });
    ask!(rows, client.publish_stream(tokio_stream::iter(steps)));
    let link = v1::Symlink { path: path("d/l"), target: path("f"), ..Default::default() };
    ask!(rows, client.symlink(v1::SymlinkRequest { context: context(), link: Some(link) }));
    let link = v1::HardLink { source: path("d/f"), path: path("h"), ..Default::default() };
    ask!(rows, client.hard_link(v1::HardLinkRequest { context: context(), link: Some(link) }));
    let rename = Some(v1::Rename { from: path("d/f"), to: path("g"), ..Default::default() });
    ask!(rows, client.rename(v1::RenameRequest { context: context(), rename }));
    let remove = Some(v1::Remove { paths: paths.clone(), ..Default::default() });
    ask!(rows, client.remove(v1::RemoveRequest { context: context(), remove }));
    let mode = Some(v1::ModeChange { keep: 0, set: 0o600 });
    let set = Some(v1::SetAttributes { paths: paths.clone(), mode, ..Default::default() });
    ask!(rows, client.set_attributes(v1::SetAttributesRequest { context: context(), set }));
    let touch = Some(v1::Touch { paths, ..Default::default() });
    ask!(rows, client.touch(v1::TouchRequest { context: context(), touch }));
    let kind = mkdir(&["d/e"]).make.map(Kind::MakeDirectories);
    let mutations = vec![v1::Mutation { kind }];
    ask!(rows, client.batch(v1::BatchRequest { context: context(), mutations }));

    let picture = || {
        let entries = std::fs::read_dir(daemon.path("d")).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        let found = std::fs::metadata(daemon.path("d/f")).unwrap();
        (names, found.permissions(), found.modified().unwrap())
    };
    let before = picture();
    let mut asked: Vec<_> = rows.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    let mut all = rpcs("Mutations");
    asked.sort();
    all.sort();
    assert_eq!(asked, all);
    let holder = "pid 7 (hold for target 'holder')".to_owned();
    for (rpc, asked) in rows {
        let late = ended(asked).await.expect_err(rpc);
        let expected = (Code::DeadlineExceeded, "LOCK_TIMEOUT".into(), holder.clone());
        assert_eq!(told(&late, "holder"), expected, "{rpc}");
    }
    assert!(daemon.waiting().is_empty(), "their places are free");
    held.let_go().await;
    until("nothing is left in staging", || daemon.staging() == 0).await;
    assert_eq!(picture(), before);
    assert_eq!(std::fs::read(daemon.path("d/f")).unwrap(), b"content");
    assert!(!daemon.path("g").exists() && !daemon.path("h").exists());
    assert!(outside.path().join("source").exists());
}

#[tokio::test]
async fn who_looks_behind_a_commit_gives_up_at_the_deadline() {
    let daemon = Daemon::start().await;
    let client = daemon.reading().await;
    std::fs::create_dir(daemon.path("d")).unwrap();
    std::fs::write(daemon.path("d/f"), "content").unwrap();
    let (path, paths, context) = (b"d/f".to_vec(), vec![b"d/f".to_vec()], context("late"));
    let held = daemon.hold_half_done("d").await;

    let mut rows = Rows::new();
    let request = v1::StatRequest { paths: paths.clone(), ..Default::default() };
    ask!(rows, client.stat(request));
    ask!(rows, client.read_file(v1::ReadFileRequest { path, ..Default::default() }));
    ask!(rows, client.list_tree(v1::ListTreeRequest { context, paths: paths.clone() }));
    ask!(rows, client.wait(v1::WaitRequest { paths, ..Default::default() }));
    // These two read the journal only, which nobody keeps from them: one has no end before its time.
    ask!(rows, client.list_journal(v1::ListJournalRequest::default()));
    ask!(rows, client.watch_journal(v1::WatchJournalRequest::default()));
    assert_eq!(rows.len(), rpcs("Reading").len());

    for (rpc, asked) in rows {
        let done = ended(asked).await;
        if rpc == "list_journal" {
            done.expect(rpc);
            continue;
        }
        let (code, reason, _) = told(&done.expect_err(rpc), "holder");
        let expected = match rpc {
            "watch_journal" => (Code::Aborted, "INCOMPLETE"),
            _ => (Code::DeadlineExceeded, "LOCK_TIMEOUT"),
        };
        assert_eq!((code, &*reason), expected, "{rpc}");
    }
    assert!(daemon.waiting().is_empty(), "their places are free");
    held.let_go().await;
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_names_the_holder() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let held = daemon.hold("d").await;
    let mut request = tonic::Request::new(mkdir(&["d/e"]));
    request.set_timeout(Duration::from_millis(50));
    let late = in_time(client.make_directories(request)).await.unwrap_err();
    let holder = "pid 7 (hold for target 'holder')".to_owned();
    assert_eq!(told(&late, "holder"), (Code::DeadlineExceeded, "LOCK_TIMEOUT".into(), holder));
    assert_eq!(told(&late, "path").2, "d/e");
    assert_eq!(told(&late, "component").2, "d");
    assert!(daemon.waiting().is_empty());
    held.let_go().await;
    client.make_directories(mkdir(&["d/e"])).await.unwrap();
}

#[tokio::test]
async fn who_waits_is_seen_and_goes_with_its_client() {
    let daemon = Daemon::start().await;
    let client = daemon.mutations().await;
    let mut administration = daemon.administration().await;
    let held = daemon.hold("d").await;
    let mut waiter = client.clone();
    let waiting = tokio::spawn(async move { waiter.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    let [locked] = &status.locks[..] else { panic!("{:?}", status.locks) };
    assert_eq!(locked.path, b"d");
    let party = |p: &v1::LockParty| (p.method.clone(), p.target.clone(), p.pid, p.exclusive);
    assert_eq!(party(&locked.holders[0]), ("hold".into(), "holder".into(), 7, true));
    let ours = std::process::id();
    assert_eq!(party(&locked.waiters[0]), ("mkdir".into(), "test".into(), ours, false));
    assert_eq!(locked.waiters[0].build, "b1");
    let counts = administration.statistics(v1::StatisticsRequest {}).await.unwrap().into_inner();
    assert_eq!((counts.lock_holders, counts.lock_waiters), (1, 1));

    waiting.abort();
    until("the cancelled request has left the queue", || daemon.waiting().is_empty()).await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.locks[0].waiters.is_empty());
    held.let_go().await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.locks.is_empty());
    assert!(!daemon.path("d").exists(), "the cancelled request did nothing");
}

#[tokio::test]
async fn who_waits_goes_with_its_connection() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("d").await;
    let (wire, cord) = daemon.connect().await;
    let mut client = client(wire);
    let waiting = tokio::spawn(async move { client.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;
    cord.cut();
    ended(waiting).await.unwrap_err();
    until("its place is free", || daemon.waiting().is_empty()).await;
    held.let_go().await;
    assert!(!daemon.path("d").exists());
}
