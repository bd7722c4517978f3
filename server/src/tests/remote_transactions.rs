//! Transactions that are filled over the wire.

use onewriter_proto::v1::{
    OnConflict, RemoteAsk, RemoteBegin, RemoteContentEnd, RemoteDirectory, RemoteEntries,
    RemoteEntry, RemoteFile, RemotePlace, RemoteRemoval, RemoteRequest, RemoteResponse, RemoteSeen,
    TransactionAbandon, TransactionBegin, TransactionCommit, remote_entry::What,
    remote_known::Fate, remote_request::Step as In, remote_response::Step as Out,
    transactions_client::TransactionsClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::*;

/// A call under way.
pub(super) struct Call {
    steps: mpsc::Sender<RemoteRequest>,
    answers: Streaming<RemoteResponse>,
}

impl Call {
    pub(super) async fn open(wire: Wire) -> Self {
        let mut client = TransactionsClient::with_origin(wire, ORIGIN.parse().unwrap());
        let (steps, sent) = mpsc::channel(4);
        let answers = in_time(client.transact_remote(ReceiverStream::new(sent))).await.unwrap();
        Self { steps, answers: answers.into_inner() }
    }

    pub(super) async fn send(&self, step: In) {
        self.steps.send(RemoteRequest { step: Some(step) }).await.unwrap();
    }

    pub(super) async fn answer(&mut self) -> Result<Out, Status> {
        let answer = in_time(self.answers.message()).await?;
        Ok(answer.and_then(|answer| answer.step).expect("an answer"))
    }

    pub(super) async fn ask(&mut self, step: In) -> Result<Out, Status> {
        self.send(step).await;
        self.answer().await
    }

    pub(super) async fn begin(&mut self, key: &str) {
        assert!(matches!(self.ask(begin(key)).await.unwrap(), Out::Begun(_)));
    }

    /// Sends entries; which files are wanted.
    pub(super) async fn fill(&mut self, entries: Vec<RemoteEntry>) -> Result<Vec<u32>, Status> {
        match self.ask(In::Entries(RemoteEntries { entries, seen: Vec::new() })).await? {
            Out::Wanted(wanted) => Ok(wanted.files),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn content(&self, content: &[u8]) {
        self.send(In::Chunk(content.to_vec().into())).await;
        self.send(In::ContentEnd(RemoteContentEnd {})).await;
    }

    /// Has a file at `path` put, which nobody knows.
    async fn put(&mut self, path: &str, content: &str) {
        assert_eq!(self.fill(vec![file(path, content)]).await.unwrap(), [0]);
        self.content(content.as_bytes()).await;
    }

    pub(super) async fn commit(&mut self) -> Result<Out, Status> {
        self.ask(In::Commit(TransactionCommit::default())).await
    }

    async fn fate(&mut self, key: &str) -> (Fate, Option<(u64, u64)>) {
        let asked = RemoteAsk { context: None, key: of(key) };
        match self.ask(In::Ask(asked)).await.unwrap() {
            Out::Known(known) => {
                let counts = known.committed.as_ref().map(|done| (done.changed, done.unchanged));
                (known.fate(), counts)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A key of a good length.
fn of(key: &str) -> Vec<u8> {
    format!("{key:0>16}").into_bytes()
}

pub(super) fn begin(key: &str) -> In {
    begin_for(key, 0)
}

/// One that waits for so many milliseconds.
pub(super) fn begin_for(key: &str, wait_ms: u64) -> In {
    let begin = TransactionBegin { method: "run".into(), wait_ms, ..Default::default() };
    In::Begin(RemoteBegin { begin: Some(begin), key: of(key) })
}

fn entry(path: &str, what: What) -> RemoteEntry {
    RemoteEntry { path: path.into(), what: Some(what), seen: None }
}

fn directory(path: &str) -> RemoteEntry {
    entry(path, What::Directory(RemoteDirectory { mode: 0o755, yields: false, opaque: false }))
}

fn described(content: &str) -> RemoteFile {
    let blake3 = blake3::hash(content.as_bytes()).as_bytes().to_vec();
    RemoteFile { mode: 0o644, blake3, size: content.len() as u64, ..Default::default() }
}

pub(super) fn file(path: &str, content: &str) -> RemoteEntry {
    entry(path, What::File(described(content)))
}

fn removal(path: &str) -> RemoteEntry {
    entry(path, What::Removal(RemoteRemoval {}))
}

async fn call(daemon: &Daemon) -> Call {
    Call::open(daemon.wire().await).await
}

async fn started(key: &str) -> (Daemon, Call) {
    let daemon = Daemon::start().await;
    let mut call = call(&daemon).await;
    call.begin(key).await;
    (daemon, call)
}

/// Writes a file behind the daemon's back.
fn write(daemon: &Daemon, path: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(daemon.path(path), content).unwrap();
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(daemon.path(path), mode).unwrap();
}

fn read(daemon: &Daemon, path: &str) -> String {
    std::fs::read_to_string(daemon.path(path)).unwrap()
}

#[tokio::test]
async fn what_is_sent_is_committed_and_what_is_known_is_not_sent() {
    let (daemon, mut call) = started("one").await;
    write(&daemon, "old", "old");
    let entries = vec![
        directory("d"),
        file("d/new", "content"),
        file("d/empty", ""),
        entry("d/link", What::Symlink(b"new".to_vec())),
        file("old", "old"),
    ];
    assert_eq!(call.fill(entries).await.unwrap(), [1], "what lies there is known");
    call.content(b"content").await;
    let hard = entry("d/hard", What::LinkTo(b"d/new".to_vec()));
    assert_eq!(call.fill(vec![hard]).await.unwrap(), [0; 0]);
    let Out::Committed(done) = call.commit().await.unwrap() else { panic!("not committed") };
    assert_eq!((done.changed, done.unchanged), (5, 1));
    assert_eq!((read(&daemon, "d/hard"), read(&daemon, "d/link")), {
        ("content".into(), "content".into())
    });
    // The same content elsewhere; and another transaction on the same call.
    call.begin("two").await;
    let entries = vec![file("again", "content"), removal("d"), removal("nothing")];
    assert_eq!(call.fill(entries).await.unwrap(), [0; 0]);
    call.commit().await.unwrap();
    assert_eq!(read(&daemon, "again"), "content");
    assert!(!daemon.path("d").exists());
    until("staging is empty", || daemon.staging() == 0).await;
    daemon.end().await;
}

#[tokio::test]
async fn a_client_learns_later_what_was_committed_also_from_the_next_daemon() {
    let (daemon, mut call) = started("known").await;
    call.put("f", "content").await;
    call.commit().await.unwrap();
    let mut later = self::call(&daemon).await;
    assert_eq!(later.fate("known").await, (Fate::Committed, Some((1, 0))));
    let refused = later.ask(begin("known")).await.unwrap_err();
    assert_eq!(told(&refused, "field").2, "key");
    let daemon = Daemon::with(daemon.end().await, |_| {}).await;
    let mut later = self::call(&daemon).await;
    assert_eq!(later.fate("known").await, (Fate::Committed, None));
    assert_eq!(later.fate("other").await.0, Fate::Unknown);
    assert_eq!(later.fate("other").await.0, Fate::NotCommitted);
    let refused = later.ask(begin("other")).await.unwrap_err();
    assert_eq!(told(&refused, "field").2, "key", "it has been said that nothing will come of it");
    daemon.end().await;
}

#[tokio::test]
async fn who_has_asked_first_is_not_overtaken_by_the_commit() {
    let (daemon, mut call) = started("late").await;
    call.put("f", "content").await;
    let mut asking = self::call(&daemon).await;
    assert_eq!(asking.fate("late").await.0, Fate::NotCommitted);
    // Of the connection that was given up, the commit comes after all.
    let refused = call.commit().await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "INCOMPLETE");
    assert!(!daemon.path("f").exists());
    until("staging is empty", || daemon.staging() == 0).await;
    daemon.end().await;
}

#[tokio::test]
async fn a_commit_goes_on_when_its_client_is_gone_and_who_asks_waits_for_it() {
    let (daemon, mut call) = started("waits").await;
    call.put("held", "content").await;
    let held = daemon.hold("held").await;
    call.send(In::Commit(TransactionCommit::default())).await;
    until("it waits", || daemon.waiting() == ["held"]).await;
    drop(call);
    let mut asking = self::call(&daemon).await;
    asking.send(In::Ask(RemoteAsk { context: None, key: of("waits") })).await;
    held.let_go().await;
    let Out::Known(known) = asking.answer().await.unwrap() else { panic!("nothing is known") };
    assert_eq!((known.fate(), &*read(&daemon, "held")), (Fate::Committed, "content"));
    daemon.end().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_nothing() {
    for with_content in [false, true] {
        let (daemon, mut call) = started("broken").await;
        call.fill(vec![directory("d"), file("d/f", "content")]).await.unwrap();
        if with_content {
            call.send(In::Chunk(b"con".to_vec().into())).await;
        }
        drop(call);
        until("staging is empty", || daemon.staging() == 0).await;
        assert!(!daemon.path("d").exists());
        let mut later = self::call(&daemon).await;
        assert_eq!(later.fate("broken").await.0, Fate::NotCommitted);
        daemon.end().await;
    }
}

#[tokio::test]
async fn entries_that_make_no_sense_are_refused_by_name() {
    let daemon = Daemon::start().await;
    let link = || entry("l", What::Symlink(b"/etc".to_vec()));
    let cases = [
        (vec![file("../f", "x")], "PATH_PARENT"),
        (vec![file("/etc/f", "x")], "PATH_ABSOLUTE"),
        (vec![file(".onewriter/f", "x")], "PATH_RESERVED"),
        (vec![entry("f", What::LinkTo(b"../f".to_vec()))], "PATH_PARENT"),
        (vec![removal(".")], "BAD_REQUEST"),
        (vec![file("no/directory", "")], "BAD_REQUEST"),
        (vec![link(), file("l/f", "")], "BAD_REQUEST"),
        (vec![link(), link()], "BAD_REQUEST"),
        (vec![entry("f", What::LinkTo(b"missing".to_vec()))], "BAD_REQUEST"),
        (vec![entry("f", What::Symlink(Vec::new()))], "BAD_REQUEST"),
        (
            vec![entry("f", What::File(RemoteFile { blake3: vec![1], ..described("x") }))],
            "BAD_REQUEST",
        ),
        (
            vec![entry("f", What::File(RemoteFile { mode: 0o10000, ..described("x") }))],
            "BAD_REQUEST",
        ),
        (vec![RemoteEntry { what: None, ..removal("f") }], "BAD_REQUEST"),
        (vec![removal("f"); 1001], "BAD_REQUEST"),
    ];
    for (n, (entries, reason)) in cases.into_iter().enumerate() {
        let mut call = call(&daemon).await;
        call.begin(&n.to_string()).await;
        let refused = call.fill(entries).await.unwrap_err();
        assert_eq!(told(&refused, "path").1, reason, "{n}: {refused}");
    }
    let mut short = call(&daemon).await;
    let refused = short.ask(In::Begin(RemoteBegin { key: vec![0; 15], ..Default::default() }));
    assert_eq!(told(&refused.await.unwrap_err(), "field").2, "key");
    let mut early = call(&daemon).await;
    assert_eq!(told(&early.commit().await.unwrap_err(), "field").2, "step");
    let mut kept = call(&daemon).await;
    kept.begin("kept").await;
    let keep = In::Abandon(TransactionAbandon { keep: true, exit_code: 1 });
    assert_eq!(told(&kept.ask(keep).await.unwrap_err(), "field").2, "step");
    until("staging is empty", || daemon.staging() == 0).await;
    assert_eq!(std::fs::read_dir(daemon.root.path()).unwrap().count(), 1);
    daemon.end().await;
}

#[tokio::test]
async fn content_is_what_was_announced() {
    let daemon = Daemon::start().await;
    for (n, (sent, reason)) in [
        ("contenT", "CONTENT_MISMATCH"),
        ("content, and more", "CONTENT_MISMATCH"),
        ("con", "CONTENT_MISMATCH"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut call = call(&daemon).await;
        call.begin(&n.to_string()).await;
        call.fill(vec![file("f", "content")]).await.unwrap();
        call.content(sent.as_bytes()).await;
        let refused = call.answer().await.unwrap_err();
        assert_eq!(told(&refused, "path").1, reason, "{sent}");
    }
    let mut call = call(&daemon).await;
    call.begin("another").await;
    call.fill(vec![file("f", "content")]).await.unwrap();
    let refused = call.commit().await.unwrap_err();
    assert_eq!(told(&refused, "field").2, "step");
    until("staging is empty", || daemon.staging() == 0).await;
    daemon.end().await;
}

#[tokio::test]
async fn what_was_not_seen_is_neither_replaced_nor_removed() {
    let daemon = Daemon::start().await;
    write(&daemon, "f", "theirs");
    std::fs::create_dir(daemon.path("d")).unwrap();
    write(&daemon, "d/x", "x");
    let seen = |content: &str| RemoteSeen {
        kind: v1::FileKind::Regular.into(),
        mode: 0o644,
        blake3: described(content).blake3,
        ..Default::default()
    };
    let tree = RemoteSeen { kind: v1::FileKind::Directory.into(), ..Default::default() };
    let place = |path: &str, seen| RemotePlace { path: path.into(), seen: Some(seen) };
    let with = |entry: RemoteEntry, seen| RemoteEntry { seen: Some(seen), ..entry };
    let cases = [
        (with(file("f", ""), seen("mine")), vec![], Some("f")),
        (with(file("f", ""), RemoteSeen::default()), vec![], Some("f")),
        (with(removal("d"), tree.clone()), vec![], Some("d/x")),
        (with(removal("d"), tree.clone()), vec![place("d/x", seen("y"))], Some("d/x")),
        (with(removal("d"), seen("x")), vec![], Some("d")),
        (with(file("f", ""), seen("theirs")), vec![], None),
        (with(removal("d"), tree), vec![place("d/x", seen("x"))], None),
    ];
    for (n, (entry, places, conflict)) in cases.into_iter().enumerate() {
        let mut call = call(&daemon).await;
        call.begin(&n.to_string()).await;
        call.ask(In::Entries(RemoteEntries { entries: vec![entry], seen: places })).await.unwrap();
        match (call.commit().await.unwrap(), conflict) {
            (Out::Conflicted(found), Some(path)) => {
                assert_eq!(found.conflicts[0].path, path.as_bytes(), "{n}");
            }
            (Out::Committed(_), None) => {}
            (other, _) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(read(&daemon, "f"), "");
    assert!(!daemon.path("d").exists());
    let mut call = call(&daemon).await;
    call.begin("fails").await;
    call.fill(vec![with(removal("f"), seen("mine"))]).await.unwrap();
    let fail = TransactionCommit { on_conflict: OnConflict::Fail.into(), ..Default::default() };
    let refused = call.ask(In::Commit(fail)).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "CONFLICT");
    daemon.end().await;
}
