//! Looking at the tree and at the journal.

use v1::read_file_response::Step;

use super::*;

fn read(path: &str, offset: u64, length: Option<u64>) -> v1::ReadFileRequest {
    v1::ReadFileRequest { context: None, path: path.into(), offset, length }
}

/// What a stream sends: the description, then the content.
async fn content(mut stream: tonic::Streaming<v1::ReadFileResponse>) -> (v1::Stat, Vec<u8>) {
    let first = in_time(stream.message()).await.unwrap().unwrap();
    let Some(Step::Stat(stat)) = first.step else { panic!("{first:?}") };
    let mut content = Vec::new();
    while let Some(message) = in_time(stream.message()).await.unwrap() {
        let Some(Step::Chunk(chunk)) = message.step else { panic!("a second description") };
        assert!(!chunk.is_empty() && chunk.len() <= 256 * 1024);
        content.extend_from_slice(&chunk);
    }
    (stat, content)
}

#[tokio::test]
async fn paths_are_described() {
    let daemon = Daemon::start().await;
    let mut client = daemon.reading().await;
    std::fs::write(daemon.path("f"), "four").unwrap();
    std::os::unix::fs::symlink("f", daemon.path("l")).unwrap();
    let stat = |follow| v1::StatRequest {
        context: None,
        paths: ["f", "l", "missing", "."].map(Into::into).into(),
        follow,
    };
    let stats = client.stat(stat(false)).await.unwrap().into_inner().stats;
    let kinds: Vec<_> = stats.iter().map(|stat| stat.kind()).collect();
    use v1::FileKind::*;
    assert_eq!(kinds, [Regular, Symlink, Unspecified, Directory]);
    assert_eq!(
        (stats[0].size, &stats[1].target[..], &stats[3].path[..]),
        (4, &b"f"[..], &b"."[..])
    );
    let stats = client.stat(stat(true)).await.unwrap().into_inner().stats;
    assert_eq!((stats[1].kind(), &stats[1].path[..]), (Regular, &b"f"[..]));
    let refused = client.stat(v1::StatRequest::default()).await.unwrap_err();
    assert_eq!(told(&refused, "field").2, "paths");
}

#[tokio::test]
async fn content_is_read_in_whole_and_in_part() {
    let daemon = Daemon::start().await;
    let mut client = daemon.reading().await;
    let whole: Vec<u8> = (0..3_000_000u32).map(|n| (n % 253) as u8).collect();
    std::fs::write(daemon.path("f"), &whole).unwrap();
    std::fs::write(daemon.path("empty"), "").unwrap();
    let parts = [
        ("f", 0, None, &whole[..]),
        ("f", 1_000_000, None, &whole[1_000_000..]),
        ("f", 5, Some(1_500_000), &whole[5..1_500_005]),
        ("f", 2_999_999, Some(10), &whole[2_999_999..]),
        ("f", 4_000_000, None, &[]),
        ("f", 0, Some(0), &[]),
        ("empty", 0, None, &[]),
    ];
    for (path, offset, length, expected) in parts {
        let stream = client.read_file(read(path, offset, length)).await.unwrap().into_inner();
        let (stat, found) = content(stream).await;
        assert_eq!(stat.kind(), v1::FileKind::Regular);
        assert!(found == expected, "{path} {offset} {length:?}: {} bytes", found.len());
    }
    std::fs::create_dir(daemon.path("d")).unwrap();
    for (path, code, reason) in [
        ("missing", Code::NotFound, "NOT_FOUND"),
        ("d", Code::FailedPrecondition, "IS_A_DIRECTORY"),
        (".onewriter/lock", Code::InvalidArgument, "PATH_RESERVED"),
    ] {
        let mut stream = client.read_file(read(path, 0, None)).await.unwrap().into_inner();
        let refused = in_time(stream.message()).await.unwrap_err();
        assert_eq!(told(&refused, "path"), (code, reason.to_owned(), path.to_owned()));
    }
}

#[tokio::test]
async fn a_stream_is_one_files_content_whatever_becomes_of_its_path() {
    let daemon = Daemon::start().await;
    let mut client = daemon.reading().await;
    let old = vec![b'o'; 32 << 20];
    std::fs::write(daemon.path("f"), &old).unwrap();
    let mut stream = client.read_file(read("f", 0, None)).await.unwrap().into_inner();
    let first = in_time(stream.message()).await.unwrap().unwrap();
    assert!(matches!(first.step, Some(Step::Stat(_))));
    let chunk = in_time(stream.message()).await.unwrap().unwrap();
    // More than fits between the two ends: most of it has not been read yet.
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), "new").unwrap();
    let publish = v1::PublishLocal {
        to: to("f"),
        source: source.path().to_str().unwrap().into(),
        ..Default::default()
    };
    let request = v1::PublishLocalRequest { context: None, publish: Some(publish) };
    daemon.mutations().await.publish_local(request).await.unwrap();
    assert_eq!(std::fs::read(daemon.path("f")).unwrap(), b"new");
    let mut seen = 0;
    let mut next = Some(chunk);
    while let Some(v1::ReadFileResponse { step: Some(Step::Chunk(chunk)) }) = next {
        assert!(chunk.iter().all(|byte| *byte == b'o'));
        seen += chunk.len();
        next = in_time(stream.message()).await.unwrap();
    }
    assert_eq!(seen, old.len());
}

#[test]
fn readers_that_take_their_time_keep_nobody_waiting() {
    with_few_threads(async {
        let daemon = Daemon::start().await;
        std::fs::write(daemon.path("f"), vec![0; 8 << 20]).unwrap();
        let mut slow = Vec::new();
        for _ in 0..20 {
            let mut client = daemon.reading().await;
            let stream = in_time(client.read_file(read("f", 0, None))).await;
            let mut stream = stream.unwrap().into_inner();
            in_time(stream.message()).await.unwrap();
            slow.push((client, stream));
        }
        let mut other = daemon.reading().await;
        let request = v1::StatRequest { paths: vec!["f".into()], ..Default::default() };
        in_time(other.stat(request)).await.unwrap();
        let stream = in_time(other.read_file(read("f", 0, Some(10)))).await.unwrap().into_inner();
        assert_eq!(content(stream).await.1.len(), 10);
    });
}

#[tokio::test]
async fn a_reader_that_stands_still_is_let_go_at_its_deadline() {
    let daemon = Daemon::start().await;
    std::fs::write(daemon.path("f"), vec![0; 32 << 20]).unwrap();
    let mut client = daemon.reading().await;
    let mut request = tonic::Request::new(read("f", 0, None));
    request.set_timeout(Duration::from_millis(200));
    let mut stream = in_time(client.read_file(request)).await.unwrap().into_inner();
    in_time(stream.message()).await.unwrap();
    // It takes nothing until the daemon has nothing open any more.
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let name = daemon.path("f");
        links.filter(|l| std::fs::read_link(l.path()).is_ok_and(|to| to == name)).count()
    };
    until("the file is closed", || open() == 0).await;
    let late = loop {
        match in_time(stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if it were whole"),
            Err(late) => break late,
        }
    };
    assert_eq!(told(&late, "path").1, "INCOMPLETE");
}

async fn journal(
    client: &mut ReadingClient<Wire>,
    adjust: impl FnOnce(&mut v1::ListJournalRequest),
) -> Vec<String> {
    let mut request = v1::ListJournalRequest::default();
    adjust(&mut request);
    let mut stream = in_time(client.list_journal(request)).await.unwrap().into_inner();
    let mut found = Vec::new();
    let mut seq = 0;
    while let Some(record) = in_time(stream.message()).await.unwrap() {
        assert!(record.seq > seq, "in the order in which it was written");
        seq = record.seq;
        found.push(format!("{} {}", String::from_utf8_lossy(&record.path), record.outcome));
    }
    found
}

#[tokio::test]
async fn the_journal_is_listed_by_what_is_asked_for() {
    let daemon = Daemon::start().await;
    let mut mutations = daemon.mutations().await;
    for (path, target) in [("a", "one"), ("a/b", "one"), ("ab", "two"), ("a", "two")] {
        let mut request = mkdir(&[path]);
        request.context = Some(v1::Context { build: "b".into(), ..context(target).unwrap() });
        mutations.make_directories(request).await.unwrap();
    }
    std::fs::write(daemon.path("f"), "").unwrap();
    mutations.make_directories(mkdir(&["f"])).await.unwrap_err();

    let mut client = daemon.reading().await;
    let all = ["a created", "a/b created", "ab created", "a existed", "f refused"];
    assert_eq!(journal(&mut client, |_| {}).await, all);
    assert_eq!(journal(&mut client, |r| r.after_seq = 3).await, all[3..]);
    assert_eq!(journal(&mut client, |r| r.limit = 2).await, all[3..]);
    assert_eq!(journal(&mut client, |r| r.limit = 99).await, all);
    let of_a = journal(&mut client, |r| r.path = "a".into()).await;
    assert_eq!(of_a, [all[0], all[3]]);
    let below_a = |r: &mut v1::ListJournalRequest| (r.path, r.below) = ("a".into(), true);
    assert_eq!(journal(&mut client, below_a).await, [all[0], all[1], all[3]]);
    let last_below_a =
        |r: &mut v1::ListJournalRequest| (r.path, r.below, r.limit) = ("a/".into(), true, 2);
    assert_eq!(journal(&mut client, last_below_a).await, [all[1], all[3]]);
    let below_root = |r: &mut v1::ListJournalRequest| (r.path, r.below) = (".".into(), true);
    assert_eq!(journal(&mut client, below_root).await, all);
    assert_eq!(journal(&mut client, |r| r.target = "two".into()).await, all[2..4]);
    assert_eq!(journal(&mut client, |r| r.build = "b1".into()).await, all[4..]);
    assert_eq!(journal(&mut client, |r| r.build = "nothing".into()).await, [""; 0]);
    assert_eq!(journal(&mut client, |r| r.changes_only = true).await, all[..3]);
    let mut request = v1::ListJournalRequest { path: "..".into(), ..Default::default() };
    let refused = client.list_journal(request.clone()).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "PATH_PARENT");
    request.path = "a".into();
    let mut stream = client.list_journal(request).await.unwrap().into_inner();
    let record = stream.message().await.unwrap().unwrap();
    assert_eq!(
        (&record.target[..], &record.build[..], record.pid),
        ("one", "b", std::process::id())
    );
}

#[tokio::test]
async fn a_long_journal_comes_in_pages_without_a_gap() {
    let daemon = Daemon::start().await;
    let paths: Vec<_> = (0..2500).map(|n| format!("d{n}")).collect();
    let paths: Vec<_> = paths.iter().map(|path| &path[..]).collect();
    daemon.mutations().await.make_directories(mkdir(&paths)).await.unwrap();
    let mut client = daemon.reading().await;
    let expected: Vec<_> = paths.iter().map(|path| format!("{path} created")).collect();
    assert_eq!(journal(&mut client, |_| {}).await, expected);
    assert_eq!(journal(&mut client, |r| r.limit = 2100).await, expected[400..]);
    assert_eq!(journal(&mut client, |r| r.limit = 1000).await, expected[1500..]);
}
