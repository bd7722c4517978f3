//! What the policy lets people do.

use onewriter_core::journal::Query;
use tokio_stream::StreamExt as _;

use super::*;

/// Alice writes below `stage` and reads below `src`.
async fn server() -> Server {
    Server::with(|settings| {
        settings.groups = [("team".to_owned(), vec!["cert:alice".to_owned()])].into();
        settings.rules =
            vec![rule("team", "stage", &["read", "write"]), rule("team", "src", &["read"])];
    })
    .await
}

fn assert_forbidden(status: &Status, path: &str) {
    assert_eq!(told(status, "path"), (Code::PermissionDenied, "FORBIDDEN".into(), path.into()));
    for (key, part) in
        [("identity", "cert:alice"), ("rule", "rules["), ("cure", "[\"cert:alice\"]")]
    {
        let (_, _, value) = told(status, key);
        assert!(value.contains(part), "{key}: {value}");
    }
}

/// The same for what is at no path of its own.
fn assert_forbidden_to(who: &str, status: &Status) {
    let said = (Code::PermissionDenied, "FORBIDDEN".into(), who.into());
    assert_eq!(told(status, "identity"), said);
}

#[tokio::test]
async fn what_no_rule_allows_is_refused_with_its_cure_and_is_on_record() {
    let server = server().await;
    let mut alice = server.mutations("alice").await;
    in_time(alice.make_directories(mkdir(&["stage/a"]))).await.unwrap();
    let refused = in_time(alice.make_directories(mkdir(&["src/a"]))).await.unwrap_err();
    assert_forbidden(&refused, "src/a");
    // One path of several is enough.
    let refused = in_time(alice.make_directories(mkdir(&["stage/b", "src/b"]))).await.unwrap_err();
    assert_forbidden(&refused, "src/b");
    assert!(!server.daemon.path("stage/b").exists(), "nothing of it was done");

    let journal = server.daemon.engine.journal();
    journal.flushed().await;
    let records = journal.list(&Query { changes_only: false, ..Query::default() }).unwrap();
    let refused: Vec<_> = records.iter().filter(|record| record.outcome == "refused").collect();
    let told = |n: usize| {
        let record = refused[n];
        (&*record.identity, &record.path[..], record.error.as_deref())
    };
    assert_eq!(told(0), ("cert:alice", &b"src/a"[..], Some("FORBIDDEN")));
    assert_eq!(told(1), ("cert:alice", &b"src/b"[..], Some("FORBIDDEN")));
}

#[tokio::test]
async fn content_for_a_place_that_is_forbidden_is_not_taken_in() {
    use crate::tests::publishing::{Exchange, begin};
    let server = server().await;
    let mut alice = server.mutations("alice").await;
    let mut stream = Exchange::begin(&mut alice, begin("elsewhere", None)).await;
    // None of it was sent yet.
    assert_forbidden(&stream.answer().await.unwrap_err(), "elsewhere");
    assert_eq!(server.daemon.staging(), 0);
}

/// To publish b"content", which is not sent.
fn by_digest(path: &str, unchanged: v1::Unchanged) -> v1::PublishDigestRequest {
    let content = onewriter_store::Digest::of(onewriter_store::Function::Sha256, b"content");
    let digest = v1::Digest {
        function: v1::digest::Function::Sha256.into(),
        hash: content.hash.to_vec(),
        size: content.size,
    };
    let to = v1::Publication { unchanged: unchanged.into(), ..to(path).unwrap() };
    let publish = v1::PublishDigest { to: Some(to), digest: Some(digest) };
    v1::PublishDigestRequest { context: None, publish: Some(publish) }
}

#[tokio::test]
async fn content_for_a_place_that_is_forbidden_is_not_looked_for_either() {
    let server = server().await;
    let mut alice = server.mutations("alice").await;
    for unchanged in [v1::Unchanged::Keep, v1::Unchanged::Replace] {
        let request = by_digest("elsewhere", unchanged);
        // Not that it is missing.
        assert_forbidden(&in_time(alice.publish_digest(request)).await.unwrap_err(), "elsewhere");
    }
}

#[tokio::test]
async fn builds_are_of_those_who_may_write_and_their_sums_of_those_who_may_read_all() {
    use onewriter_proto::v1::builds_client::BuildsClient;
    let server = Server::with(|settings| {
        settings.rules = vec![
            rule("cert:alice", "stage", &["write"]),
            rule("cert:bob", ".", &["read"]),
            rule("token:nightly", ".", &["read"]),
            rule("token:nightly", "stage", &["write"]),
        ];
    })
    .await;
    let origin: http::Uri = ORIGIN.parse().unwrap();
    let builds = |wire| BuildsClient::with_origin(wire, origin.clone());
    let begin = || v1::BuildBegin { context: context(""), ..Default::default() };
    let ran = || v1::RecipeRan { context: context("t"), ..Default::default() };
    let end = |id: &str| v1::BuildEnd { id: id.into(), exit_code: 3 };

    let mut bob = builds(server.wire("bob").await);
    assert_forbidden_to("cert:bob", &in_time(bob.begin(begin())).await.unwrap_err());
    assert_forbidden_to("cert:bob", &in_time(bob.ran(ran())).await.unwrap_err());
    assert_forbidden_to("cert:bob", &in_time(bob.end(end("b1"))).await.unwrap_err());
    assert!(
        in_time(bob.list(v1::BuildList::default())).await.unwrap().into_inner().builds.is_empty()
    );

    let mut alice = builds(server.wire("alice").await);
    in_time(alice.begin(begin())).await.unwrap();
    in_time(alice.ran(ran())).await.unwrap();
    // It ends, but what the others did in it is not told.
    assert_forbidden_to("cert:alice", &in_time(alice.end(end("b1"))).await.unwrap_err());
    let listed = in_time(bob.list(v1::BuildList::default())).await.unwrap().into_inner().builds;
    assert_eq!(listed[0].exit_code, Some(3));
    let refused = in_time(alice.end(end(&"x".repeat(129)))).await.unwrap_err();
    assert_eq!(told(&refused, "field"), (Code::InvalidArgument, "BAD_REQUEST".into(), "id".into()));

    let mut nightly = builds(server.wire("bob").await);
    in_time(nightly.begin(with_token(begin(), &server.token()))).await.unwrap();
    in_time(nightly.ran(with_token(ran(), &server.token()))).await.unwrap();
    let sums = in_time(nightly.end(with_token(end("b1"), &server.token()))).await.unwrap();
    assert_eq!(sums.into_inner().recipes, 2);
}

#[tokio::test]
async fn both_names_of_a_rename_and_of_a_link_count() {
    let server = server().await;
    std::fs::create_dir_all(server.daemon.path("src")).unwrap();
    std::fs::create_dir_all(server.daemon.path("stage")).unwrap();
    std::fs::write(server.daemon.path("src/f"), "").unwrap();
    std::fs::write(server.daemon.path("stage/g"), "").unwrap();
    let mut alice = server.mutations("alice").await;
    let rename = |from: &str, to: &str| {
        let rename = v1::Rename { from: from.into(), to: to.into(), ..Default::default() };
        v1::RenameRequest { context: None, rename: Some(rename) }
    };
    let link = |source: &str, path: &str| {
        let link = v1::HardLink { source: source.into(), path: path.into(), ..Default::default() };
        v1::HardLinkRequest { context: None, link: Some(link) }
    };
    assert_forbidden(
        &in_time(alice.rename(rename("src/f", "stage/f"))).await.unwrap_err(),
        "src/f",
    );
    assert_forbidden(
        &in_time(alice.rename(rename("stage/g", "src/g"))).await.unwrap_err(),
        "src/g",
    );
    assert_forbidden(
        &in_time(alice.hard_link(link("src/f", "stage/f"))).await.unwrap_err(),
        "src/f",
    );
    in_time(alice.rename(rename("stage/g", "stage/h"))).await.unwrap();

    let batch = |path: &str| v1::Mutation {
        kind: Some(v1::mutation::Kind::Remove(v1::Remove {
            paths: vec![path.into()],
            ..Default::default()
        })),
    };
    let mutations = vec![batch("stage/h"), batch("src/f")];
    let request = v1::BatchRequest { context: None, mutations };
    assert_forbidden(&in_time(alice.batch(request)).await.unwrap_err(), "src/f");
    assert!(server.daemon.path("stage/h").exists() && server.daemon.path("src/f").exists());
}

#[tokio::test]
async fn a_symbolic_link_leads_nobody_past_a_rule() {
    let server = server().await;
    for dir in ["stage", "secret"] {
        std::fs::create_dir(server.daemon.path(dir)).unwrap();
    }
    std::fs::write(server.daemon.path("secret/f"), "key").unwrap();
    std::os::unix::fs::symlink("../secret", server.daemon.path("stage/way")).unwrap();
    let mut alice = server.mutations("alice").await;
    let refused = in_time(alice.make_directories(mkdir(&["stage/way/d"]))).await.unwrap_err();
    assert_forbidden(&refused, "secret/d");
    let remove = v1::Remove { paths: vec!["stage/way/f".into()], ..Default::default() };
    let request = v1::RemoveRequest { context: None, remove: Some(remove) };
    assert_forbidden(&in_time(alice.remove(request)).await.unwrap_err(), "secret/f");
    let mut reading = server.reading("alice").await;
    let stat = |path: &str, follow| v1::StatRequest {
        paths: vec![path.into()],
        follow,
        ..Default::default()
    };
    let refused = in_time(reading.stat(stat("stage/way/f", false))).await.unwrap_err();
    assert_forbidden(&refused, "secret/f");
    let read = v1::ReadFileRequest { path: "stage/way/f".into(), ..Default::default() };
    let mut answers = in_time(reading.read_file(read)).await.unwrap().into_inner();
    assert_forbidden(&in_time(answers.message()).await.unwrap_err(), "secret/f");
}

#[tokio::test]
async fn reading_needs_a_rule_too_and_so_does_the_journal() {
    let server = server().await;
    server.daemon.mutations().await.make_directories(mkdir(&["secret/d", "src/d"])).await.unwrap();
    let mut alice = server.reading("alice").await;
    let stat = |path: &str| v1::StatRequest { paths: vec![path.into()], ..Default::default() };
    in_time(alice.stat(stat("src/d"))).await.unwrap();
    for path in ["secret", "secret/d", "."] {
        assert_forbidden(&in_time(alice.stat(stat(path))).await.unwrap_err(), path);
    }
    let list = |path: &str| v1::ListJournalRequest {
        path: path.into(),
        below: true,
        ..Default::default()
    };
    for (path, named) in [("", "."), ("secret", "secret")] {
        assert_forbidden(&in_time(alice.list_journal(list(path))).await.unwrap_err(), named);
    }
    let mut records = in_time(alice.list_journal(list("src"))).await.unwrap().into_inner();
    assert_eq!(in_time(records.message()).await.unwrap().unwrap().path, b"src");
}

#[tokio::test]
async fn leases_reports_and_the_daemons_end_need_rules() {
    use onewriter_proto::v1::{builds_client::BuildsClient, leases_client::LeasesClient};
    let server = server().await;
    let wire = server.wire("alice").await;
    let origin: http::Uri = ORIGIN.parse().unwrap();
    let mut leases = LeasesClient::with_origin(wire.clone(), origin.clone());
    let subject = Some(v1::lease_acquire::Subject::Path("src/d".into()));
    let acquire = v1::LeaseAcquire { subject, ..Default::default() };
    let step = Some(v1::hold_request::Step::Acquire(acquire));
    let steps = tokio_stream::iter([v1::HoldRequest { step }]).chain(tokio_stream::pending());
    let mut held = in_time(leases.hold(steps)).await.unwrap().into_inner();
    assert_forbidden(&in_time(held.message()).await.unwrap_err(), "src/d");

    let mut builds = BuildsClient::with_origin(wire.clone(), origin.clone());
    let refused = in_time(builds.list(v1::BuildList { limit: 0 })).await.unwrap_err();
    assert_forbidden(&refused, ".");
    let mut administration = AdministrationClient::with_origin(wire, origin);
    assert_forbidden(&in_time(administration.stop(v1::StopRequest {})).await.unwrap_err(), ".");
    assert_forbidden(&in_time(administration.drain(v1::DrainRequest {})).await.unwrap_err(), ".");

    let _held = (server.daemon.hold("secret").await, server.daemon.hold("src/x").await);
    let status = in_time(administration.status(v1::StatusRequest {})).await.unwrap().into_inner();
    let seen: Vec<_> = status.locks.iter().map(|lock| &lock.path[..]).collect();
    assert_eq!(seen, [&b"src"[..], b"src/x"], "what it may not read, it does not see");
    let (secret, src) = _held;
    secret.let_go().await;
    src.let_go().await;
}

#[tokio::test]
async fn nobody_from_afar_names_files_of_this_machine() {
    let server = Server::start().await;
    let mut alice = server.mutations("alice").await;
    let publish =
        v1::PublishLocal { to: to("f"), source: b"/etc/hostname".to_vec(), ..Default::default() };
    let request = v1::PublishLocalRequest { context: None, publish: Some(publish) };
    let refused = in_time(alice.publish_local(request)).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "NOT_LOCAL");
}

#[tokio::test]
async fn a_quota_ends_a_stream_that_goes_beyond_and_leaves_others_alone() {
    let limit = |who: &str, bytes| LimitEntry {
        who: vec![who.into()],
        bytes: Some(bytes),
        ..LimitEntry::default()
    };
    let server = Server::with(|settings| {
        settings.allow = vec!["*".into()];
        settings.limits = vec![limit("cert:alice", 1000)];
    })
    .await;
    let publish = |path: &str, size: usize| {
        use v1::publish_stream_request::Step;
        let begin = v1::PublishBegin { to: to(path), ..Default::default() };
        let steps = [
            Step::Begin(begin),
            Step::Chunk(vec![b'x'; size].into()),
            Step::Finish(v1::PublishFinish { size: size as u64 }),
        ];
        tokio_stream::iter(steps.map(|step| v1::PublishStreamRequest { step: Some(step) }))
    };
    let mut alice = server.mutations("alice").await;
    let mut answers = in_time(alice.publish_stream(publish("a", 900))).await.unwrap().into_inner();
    in_time(answers.message()).await.unwrap().unwrap();
    let mut answers = in_time(alice.publish_stream(publish("b", 200))).await.unwrap().into_inner();
    let refused = in_time(answers.message()).await.unwrap_err();
    assert_eq!(
        told(&refused, "rule"),
        (Code::ResourceExhausted, "QUOTA".into(), "bytes = 1000".into())
    );
    assert!(server.daemon.path("a").exists() && !server.daemon.path("b").exists());
    assert_eq!(server.daemon.staging(), 0);
    let mut bob = server.mutations("bob").await;
    let mut answers = in_time(bob.publish_stream(publish("b", 9000))).await.unwrap().into_inner();
    in_time(answers.message()).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_identity_keeps_its_own_requests_waiting_and_no_others() {
    let server = Server::with(|settings| {
        settings.allow = vec!["*".into()];
        settings.limits = vec![LimitEntry {
            who: vec!["cert:alice".into()],
            requests: Some(2),
            waiting: Some(1),
            ..LimitEntry::default()
        }];
    })
    .await;
    let held = server.daemon.hold("d").await;
    let alice = server.mutations("alice").await;
    let ask = |path: &'static str| {
        let mut alice = alice.clone();
        tokio::spawn(async move { alice.make_directories(mkdir(&[path])).await })
    };
    let served = [ask("d/1"), ask("d/2")];
    let two_wait = || {
        let locks = server.daemon.engine.locks().snapshot();
        locks.iter().map(|lock| lock.waiters.len()).sum::<usize>() == 2
    };
    until("two wait for the lock", two_wait).await;
    // Of two more one waits for a turn, and the other is one too many.
    let more = [ask("e/1"), ask("e/2")];
    until("one is refused", || more.iter().any(|ask| ask.is_finished())).await;
    server.serves("other").await;
    assert!(!server.daemon.path("e").exists(), "its turn has not come");
    held.let_go().await;
    for done in served {
        ended(done).await.unwrap();
    }
    let mut refused = Vec::new();
    for done in more {
        refused.extend(ended(done).await.err());
    }
    assert_eq!(refused.len(), 1);
    assert_eq!(
        told(&refused[0], "rule"),
        (Code::ResourceExhausted, "TOO_MANY_REQUESTS".into(), "waiting = 1".into())
    );
}

#[tokio::test]
async fn content_is_looked_for_in_its_publishers_turn() {
    let server = Server::with_requests(1).await;
    let held = server.daemon.hold("d").await;
    let mut alice = server.mutations("alice").await;
    let mut other = alice.clone();
    let served = tokio::spawn(async move { other.make_directories(mkdir(&["d/1"])).await });
    until("it waits for the lock", || !server.daemon.waiting().is_empty()).await;
    let mut late = tonic::Request::new(by_digest("f", v1::Unchanged::Replace));
    late.set_timeout(Duration::from_millis(50));
    let refused = in_time(alice.publish_digest(late)).await.unwrap_err();
    assert_eq!(told(&refused, "rule").2, "requests = 1");
    held.let_go().await;
    ended(served).await.unwrap();
    let refused = in_time(alice.publish_digest(by_digest("f", v1::Unchanged::Replace))).await;
    assert_eq!(told(&refused.unwrap_err(), "").1, "MISSING_BLOB");
}

#[tokio::test]
async fn a_policy_is_read_again_at_a_signal_and_a_broken_one_is_not() {
    use rustix::process::{Signal, getpid, kill_process};
    let root = new_root();
    let file = root.path().join(".onewriter/daemon.toml");
    let write = |path: &str| {
        let rule = format!(
            "[[rules]]\nwho = [\"*\"]\npaths = [\"{path}\"]\nmay = [\"read\", \"write\"]\n"
        );
        let server = "listen = [\"127.0.0.1:0\"]\ninsecure-loopback = true\n";
        std::fs::write(&file, format!("{server}{rule}")).unwrap();
    };
    write("a");
    let at = root.path().to_str().unwrap().to_owned();
    let flags = crate::config::Flags::parse_from(["onewriterd", "--root", &*at]);
    let loaded = Config::load(&flags).unwrap();
    let daemon = Daemon::with(root, |config| *config = loaded).await;
    let told = std::fs::read_to_string(daemon.path(".onewriter/listening")).unwrap();
    let address = told.trim().split_once("://").unwrap().1.to_owned();
    let socket = TcpStream::connect(address).await.unwrap();
    // Else each request waits until the one before is acknowledged.
    socket.set_nodelay(true).unwrap();
    let wire = wire_over(socket).await;
    let mut reading = ReadingClient::with_origin(wire.clone(), ORIGIN.parse().unwrap());
    let mut client = client(wire);
    in_time(client.make_directories(mkdir(&["a"]))).await.unwrap();
    assert!(in_time(client.make_directories(mkdir(&["b"]))).await.is_err());

    let watch = v1::WatchJournalRequest { paths: vec!["a".into()], ..Default::default() };
    let mut watching = in_time(reading.watch_journal(watch)).await.unwrap().into_inner();
    assert!(in_time(watching.message()).await.unwrap().is_some_and(|m| m.records.is_empty()));

    write("b");
    kill_process(getpid(), Signal::HUP).unwrap();
    in_time(async { while client.make_directories(mkdir(&["b"])).await.is_err() {} }).await;
    assert!(in_time(client.make_directories(mkdir(&["a/x"]))).await.is_err());
    let ended = in_time(watching.message()).await.unwrap_err();
    assert_eq!(super::told(&ended, "path").1, "ASK_AGAIN", "nothing more is told");

    let nobody = "listen = [\"127.0.0.1:0\"]\ninsecure-loopback = true\n[[rules]]\nwho = []\n\
                  paths = [\"c\"]\nmay = [\"write\"]\n";
    for broken in ["rules = 1", "", nobody] {
        std::fs::write(&file, broken).unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        for _ in 0..100 {
            in_time(client.make_directories(mkdir(&["b"]))).await.unwrap();
        }
        assert!(in_time(client.make_directories(mkdir(&["c"]))).await.is_err());
    }
    // It did not stop listening to signals either.
    write("c");
    kill_process(getpid(), Signal::HUP).unwrap();
    in_time(async { while client.make_directories(mkdir(&["c"])).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_large_file_comes_whole() {
    let server = Server::start().await;
    std::fs::write(server.daemon.path("large"), vec![7; 16 << 20]).unwrap();
    let mut reading = server.reading("alice").await;
    let read = v1::ReadFileRequest { path: "large".into(), ..Default::default() };
    let mut answers = in_time(reading.read_file(read)).await.unwrap().into_inner();
    let mut size = 0;
    while let Some(answer) = in_time(answers.message()).await.unwrap() {
        if let Some(v1::read_file_response::Step::Chunk(chunk)) = answer.step {
            size += chunk.len();
        }
    }
    assert_eq!(size, 16 << 20);
}

#[tokio::test]
async fn a_digest_is_no_way_to_content_of_paths_that_may_not_be_read() {
    let server = server().await;
    let publish = |path: &str| by_digest(path, v1::Unchanged::Keep);
    std::fs::create_dir(server.daemon.path("stage")).unwrap();
    let mut alice = server.mutations("alice").await;
    let mut owner = server.daemon.mutations().await;
    for (place, may_read) in [("secret", false), ("src", true)] {
        std::fs::create_dir(server.daemon.path(place)).unwrap();
        std::fs::write(server.daemon.path(place).join("f"), "content").unwrap();
        in_time(owner.publish_digest(publish(&format!("{place}/f")))).await.unwrap();
        let done = in_time(alice.publish_digest(publish("stage/f"))).await;
        match done {
            Ok(_) => assert!(may_read, "{place}"),
            Err(refused) => {
                assert_eq!((told(&refused, "").1.as_str(), may_read), ("MISSING_BLOB", false))
            }
        }
    }
}
