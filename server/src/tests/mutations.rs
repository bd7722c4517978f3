//! Every mutation once, through the wire.

use v1::Outcome::{self, *};

use super::*;

fn only(path: &str, outcome: Outcome) -> Vec<(String, Outcome)> {
    vec![(path.to_owned(), outcome)]
}

#[tokio::test]
async fn directories_are_made_and_found() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let made = client.make_directories(mkdir(&["a/b", "c"])).await.unwrap().into_inner();
    let created = ["a", "a/b", "c"].map(|path| (path.to_owned(), Created));
    assert_eq!(outcomes(made), created);
    let found = client.make_directories(mkdir(&["a/b"])).await.unwrap().into_inner();
    assert_eq!(outcomes(found), only("a/b", Existed));
    assert!(daemon.path("a/b").is_dir());
    std::fs::write(daemon.path("f"), "").unwrap();
    let refused = client.make_directories(mkdir(&["f/g"])).await.unwrap_err();
    let reason = (Code::FailedPrecondition, "NOT_A_DIRECTORY".into(), "f".into());
    assert_eq!(told(&refused, "component"), reason);
    assert_eq!(refused.message(), "'f/g': 'f' is a regular file, not a directory");
}

#[tokio::test]
async fn files_are_published_from_where_they_lie() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let outside = tempfile::tempdir().unwrap();
    let source = outside.path().join("source");
    std::fs::write(&source, "content").unwrap();
    let publish = v1::PublishLocal {
        to: to("f"),
        source: source.to_str().unwrap().into(),
        ..Default::default()
    };
    let request = v1::PublishLocalRequest { context: context("f"), publish: Some(publish) };
    for outcome in [Created, Unchanged] {
        let done = client.publish_local(request.clone()).await.unwrap().into_inner();
        assert_eq!(outcomes(done), only("f", outcome));
    }
    std::fs::remove_file(&source).unwrap();
    let refused = client.publish_local(request).await.unwrap_err();
    assert_eq!(told(&refused, "path"), (Code::FailedPrecondition, "SOURCE".into(), "f".into()));

    std::fs::write(daemon.path(".onewriter/staging/c-1"), "staged").unwrap();
    let staged = |name: &str| v1::PublishStagedRequest {
        context: None,
        publish: Some(v1::PublishStaged { to: to("f"), name: name.into() }),
    };
    let done = client.publish_staged(staged("c-1")).await.unwrap().into_inner();
    assert_eq!(outcomes(done), only("f", Replaced));
    assert_eq!(std::fs::read(daemon.path("f")).unwrap(), b"staged");
    for name in ["c-1", "../f", "s-1", ""] {
        let refused = client.publish_staged(staged(name)).await.unwrap_err();
        assert_eq!(told(&refused, "path").1, "SOURCE", "{name}");
    }
    assert_eq!(daemon.staging(), 0);
}

#[tokio::test]
async fn links_are_made() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    std::fs::write(daemon.path("f"), "x").unwrap();
    let link = v1::Symlink { path: "l".into(), target: "f".into(), ..Default::default() };
    let request = v1::SymlinkRequest { context: None, link: Some(link) };
    let done = client.symlink(request.clone()).await.unwrap().into_inner();
    assert_eq!(outcomes(done), only("l", Created));
    assert_eq!(std::fs::read_link(daemon.path("l")).unwrap(), Path::new("f"));
    let mut other = request.clone();
    other.link.as_mut().unwrap().target = "g".into();
    let refused = client.symlink(other).await.unwrap_err();
    assert_eq!(told(&refused, "path"), (Code::AlreadyExists, "EXISTS".into(), "l".into()));

    let link = v1::HardLink { source: "f".into(), path: "h".into(), ..Default::default() };
    let request = v1::HardLinkRequest { context: None, link: Some(link) };
    let done = client.hard_link(request).await.unwrap().into_inner();
    assert_eq!(outcomes(done), only("h", Created));
    assert_eq!(std::fs::read(daemon.path("h")).unwrap(), b"x");
}

#[tokio::test]
async fn names_are_changed_and_removed() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    std::fs::create_dir_all(daemon.path("d/e")).unwrap();
    std::fs::write(daemon.path("f"), "x").unwrap();
    let rename = v1::Rename { from: "f".into(), to: "d/g".into(), ..Default::default() };
    let request = v1::RenameRequest { context: None, rename: Some(rename) };
    client.rename(request.clone()).await.unwrap();
    assert_eq!(std::fs::read(daemon.path("d/g")).unwrap(), b"x");
    let refused = client.rename(request).await.unwrap_err();
    assert_eq!(
        (told(&refused, "path").0, told(&refused, "path").1),
        (Code::NotFound, "NOT_FOUND".into())
    );

    let remove = |path: &str, recursive| v1::RemoveRequest {
        context: None,
        remove: Some(v1::Remove { paths: vec![path.into()], recursive, ..Default::default() }),
    };
    let refused = client.remove(remove("d", false)).await.unwrap_err();
    let reason = (Code::FailedPrecondition, "IS_A_DIRECTORY".into(), "d".into());
    assert_eq!(told(&refused, "path"), reason);
    let done = client.remove(remove("d", true)).await.unwrap().into_inner();
    assert_eq!(outcomes(done), only("d", Removed));
    assert!(!daemon.path("d").exists());
    until("it is deleted in the background", || daemon.staging() == 0).await;
}

#[tokio::test]
async fn attributes_and_times_are_set() {
    use std::os::unix::fs::MetadataExt as _;
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let time = v1::Time { seconds: 1_000_000_000, nanoseconds: 5 };
    let touch = v1::Touch { paths: vec!["f".into()], mtime: Some(time), ..Default::default() };
    let request = v1::TouchRequest { context: None, touch: Some(touch) };
    let done = client.touch(request).await.unwrap().into_inner();
    assert_eq!(outcomes(done), only("f", Created));
    let found = std::fs::metadata(daemon.path("f")).unwrap();
    assert_eq!(
        (found.mtime(), found.mtime_nsec(), found.mode() & 0o7777),
        (time.seconds, 5, 0o644)
    );
    let mode = Some(v1::ModeChange { keep: 0o7777, set: 0o100 });
    let set = v1::SetAttributes { paths: vec!["f".into()], mode, ..Default::default() };
    let request = v1::SetAttributesRequest { context: None, set: Some(set) };
    let done = client.set_attributes(request).await.unwrap().into_inner();
    assert_eq!(outcomes(done), only("f", Attributes));
    assert_eq!(std::fs::metadata(daemon.path("f")).unwrap().mode() & 0o7777, 0o744);
}

#[tokio::test]
async fn the_umask_is_the_callers() {
    use std::os::unix::fs::MetadataExt as _;
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let mut request = mkdir(&["d"]);
    request.context.as_mut().unwrap().umask = Some(0o077);
    client.make_directories(request).await.unwrap();
    assert_eq!(std::fs::metadata(daemon.path("d")).unwrap().mode() & 0o7777, 0o700);
}

fn make(path: &str) -> v1::Mutation {
    let make = v1::MakeDirectories { paths: vec![path.into()], ..Default::default() };
    v1::Mutation { kind: Some(v1::mutation::Kind::MakeDirectories(make)) }
}

#[tokio::test]
async fn a_batch_stops_at_the_one_that_fails_and_says_which() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    std::fs::write(daemon.path("f"), "").unwrap();
    let batch = |paths: &[&str]| v1::BatchRequest {
        context: None,
        mutations: paths.iter().map(|path| make(path)).collect(),
    };
    let done = client.batch(batch(&["a", "a/b"])).await.unwrap().into_inner();
    assert_eq!(outcomes(done), [("a".to_owned(), Created), ("a/b".to_owned(), Created)]);
    let refused = client.batch(batch(&["c", "f/x", "d"])).await.unwrap_err();
    let reason = (Code::FailedPrecondition, "NOT_A_DIRECTORY".into(), "1".into());
    assert_eq!(told(&refused, "index"), reason);
    assert!(daemon.path("c").exists() && !daemon.path("d").exists());
    let refused = client.batch(batch(&["e", "../g"])).await.unwrap_err();
    assert_eq!(told(&refused, "index"), (Code::InvalidArgument, "PATH_PARENT".into(), "1".into()));
    assert!(!daemon.path("e").exists(), "what cannot be meant is refused before anything is done");
    for nothing in
        [batch(&[]), v1::BatchRequest { context: None, mutations: vec![v1::Mutation::default()] }]
    {
        assert_eq!(told(&client.batch(nothing).await.unwrap_err(), "path").1, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn a_batch_holds_the_locks_of_all_from_first_to_last() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let held = daemon.hold("z").await;
    let batch = v1::BatchRequest { context: None, mutations: vec![make("a"), make("z")] };
    let mut batching = client.clone();
    let batch = tokio::spawn(async move { batching.batch(batch).await });
    until("the batch waits", || daemon.waiting() == ["z"]).await;
    assert!(!daemon.path("a").exists(), "it begins when it has all");
    let single = tokio::spawn(async move { client.make_directories(mkdir(&["a"])).await });
    until("whoever comes later waits for it", || daemon.waiting() == ["a", "z"]).await;
    held.let_go().await;
    assert_eq!(outcomes(ended(batch).await.unwrap().into_inner()).len(), 2);
    assert_eq!(outcomes(ended(single).await.unwrap().into_inner()), only("a", Existed));
}

#[tokio::test]
async fn requests_without_meaning_are_refused_by_field_or_path() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let long = "n".repeat(256);
    let deep = "d/".repeat(5000);
    let cases = [
        ("", "PATH_EMPTY"),
        ("a\0b", "PATH_NUL"),
        ("/etc", "PATH_ABSOLUTE"),
        ("a/../b", "PATH_PARENT"),
        (".onewriter/x", "PATH_RESERVED"),
        (&long, "NAME_TOO_LONG"),
        (&deep, "PATH_TOO_LONG"),
    ];
    for (path, reason) in cases {
        let refused = client.make_directories(mkdir(&[path])).await.unwrap_err();
        let (code, told, _) = told(&refused, "path");
        assert_eq!((code, &told[..]), (Code::InvalidArgument, reason));
    }
    let refused = client.make_directories(mkdir(&[])).await.unwrap_err();
    assert_eq!(
        told(&refused, "field"),
        (Code::InvalidArgument, "BAD_REQUEST".into(), "paths".into())
    );
    let refused = client.make_directories(v1::MakeDirectoriesRequest::default()).await.unwrap_err();
    assert_eq!(told(&refused, "field").2, "request");
    assert_eq!(std::fs::read_dir(daemon.root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn clients_of_another_version_are_told_so() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let as_version = |version: &str| {
        let mut request = tonic::Request::new(mkdir(&["d"]));
        let key = onewriter_proto::PROTOCOL_KEY;
        request.metadata_mut().insert(key, version.parse().unwrap());
        request
    };
    for version in ["0", "2", "nonsense"] {
        let refused = client.make_directories(as_version(version)).await.unwrap_err();
        let (code, reason, _) = told(&refused, "path");
        assert_eq!((code, &reason[..]), (Code::FailedPrecondition, "VERSION_MISMATCH"));
        assert!(refused.message().contains("onewriter stop"), "the cure: {}", refused.message());
    }
    assert!(!daemon.path("d").exists());
    client.make_directories(as_version("1")).await.unwrap();
    let mut request = tonic::Request::new(v1::StatusRequest {});
    request.metadata_mut().insert(onewriter_proto::PROTOCOL_KEY, "2".parse().unwrap());
    daemon.administration().await.status(request).await.expect("any version may ask and stop it");
}
