//! Transactions over the wire.

use std::os::unix::fs::MetadataExt as _;

use onewriter_proto::v1::{
    OnConflict, TransactRequest, TransactResponse, TransactionAbandon, TransactionBegin,
    TransactionCommit, transact_request::Step as In, transact_response::Step as Out,
    transactions_client::TransactionsClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::*;

/// A call under way.
pub(super) struct Transact {
    steps: mpsc::Sender<TransactRequest>,
    answers: Streaming<TransactResponse>,
    pub(super) upper: PathBuf,
}

impl Transact {
    pub(super) async fn open(daemon: &Daemon) -> Self {
        let mut client =
            TransactionsClient::with_origin(daemon.wire().await, ORIGIN.parse().unwrap());
        let (steps, sent) = mpsc::channel(4);
        let answers = in_time(client.transact(ReceiverStream::new(sent))).await.unwrap();
        Self { steps, answers: answers.into_inner(), upper: PathBuf::new() }
    }

    async fn send(&self, step: In) {
        self.steps.send(TransactRequest { step: Some(step) }).await.unwrap();
    }

    pub(super) async fn answer(&mut self) -> Result<Out, Status> {
        let answer = in_time(self.answers.message()).await?;
        Ok(answer.and_then(|answer| answer.step).expect("an answer"))
    }

    pub(super) async fn ask(&mut self, step: In) -> Result<Out, Status> {
        self.send(step).await;
        self.answer().await
    }

    /// Begins one for `target`.
    pub(super) async fn begin(&mut self, daemon: &Daemon, target: &str) {
        match self.ask(begin(target)).await.unwrap() {
            Out::Begun(begun) => {
                self.upper = daemon.path(".onewriter/staging").join(begun.name).join("upper");
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        std::fs::write(self.upper.join(path), content).unwrap();
    }
}

pub(super) fn begin(target: &str) -> In {
    let (method, command) = ("run".to_owned(), "cc -c x.c".to_owned());
    In::Begin(TransactionBegin { context: context(target), method, command, wait_ms: 0 })
}

pub(super) fn commit() -> TransactionCommit {
    TransactionCommit { report: true, ..Default::default() }
}

async fn started(target: &str) -> (Daemon, Transact) {
    let daemon = Daemon::start().await;
    let mut call = Transact::open(&daemon).await;
    call.begin(&daemon, target).await;
    (daemon, call)
}

#[tokio::test]
async fn a_transaction_is_begun_filled_and_committed_and_another_after_it() {
    let (daemon, mut call) = started("all").await;
    for round in ["one", "two"] {
        if round == "two" {
            call.begin(&daemon, "all").await;
        }
        call.write(round, "content");
        let Out::Changes(changes) = call.ask(In::Commit(commit())).await.unwrap() else {
            panic!("no changes")
        };
        assert_eq!(changes.changes[0].path, round.as_bytes());
        let Out::Committed(done) = call.answer().await.unwrap() else { panic!("no end") };
        assert_eq!((done.changed, done.unchanged), (1, 0));
        assert_eq!(std::fs::read_to_string(daemon.path(round)).unwrap(), "content");
    }
    daemon.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let (daemon, call) = started("all").await;
    call.write("f", "half");
    drop(call);
    until("staging is empty", || daemon.staging() == 0).await;
    assert!(!daemon.path("f").exists());
    daemon.end().await;
}

#[tokio::test]
async fn status_shows_what_is_under_way() {
    let (daemon, call) = started("x.o").await;
    let status = daemon.administration().await.status(v1::StatusRequest {}).await.unwrap();
    let underway = &status.into_inner().transactions[0];
    assert_eq!((&*underway.method, &*underway.target), ("run", "x.o"));
    assert_eq!(underway.command, "cc -c x.c");
    drop(call);
    until("it is given up", || daemon.engine.transactions().is_empty()).await;
    daemon.end().await;
}

#[tokio::test]
async fn after_a_conflict_the_call_goes_on_in_its_turn() {
    let (daemon, mut call) = started("late").await;
    let mut first = Transact::open(&daemon).await;
    first.begin(&daemon, "first").await;
    first.write("f", "first");
    first.ask(In::Commit(commit())).await.unwrap();
    call.write("f", "late");
    let Out::Conflicted(conflicted) = call.ask(In::Commit(commit())).await.unwrap() else {
        panic!("no conflict")
    };
    assert_eq!(conflicted.conflicts[0].path, b"f");
    assert!(conflicted.conflicts[0].other.contains("'first'"), "{conflicted:?}");
    call.begin(&daemon, "late").await;
    let turns = daemon.administration().await.status(v1::StatusRequest {}).await.unwrap();
    assert_eq!(turns.into_inner().turns[0].holders[0].target, "late");
    call.write("f", "late");
    call.ask(In::Commit(commit())).await.unwrap();
    assert_eq!(std::fs::read_to_string(daemon.path("f")).unwrap(), "late");
    assert!(daemon.engine.turns().is_idle());
    daemon.end().await;
}

#[tokio::test]
async fn a_conflict_may_be_an_error() {
    let (daemon, mut call) = started("late").await;
    let mut other = daemon.mutations().await;
    other.make_directories(mkdir(&["d/e"])).await.unwrap();
    // A file's time has the grain of the kernel's clock.
    let ctime = |path: PathBuf| {
        let found = std::fs::metadata(path).unwrap();
        (found.ctime(), found.ctime_nsec())
    };
    let birth = ctime(call.upper.with_file_name("gone"));
    until("the clock goes on", || {
        std::fs::write(daemon.path("clock"), "").unwrap();
        ctime(daemon.path("clock")) > birth
    })
    .await;
    std::fs::write(daemon.path("f"), "behind its back").unwrap();
    call.write("f", "late");
    let fail = TransactionCommit { on_conflict: OnConflict::Fail.into(), ..commit() };
    let refused = call.ask(In::Commit(fail)).await.unwrap_err();
    let (code, reason, path) = told(&refused, "path");
    assert_eq!((code, &*reason, &*path), (Code::Aborted, "CONFLICT", "f"));
    assert!(refused.message().contains("something outside of onewriter"), "{refused}");
    daemon.end().await;
}

#[tokio::test]
async fn what_was_not_declared_is_told_or_refused() {
    let (daemon, mut call) = started("all").await;
    let outputs = vec![b"f".to_vec(), b"missing".to_vec()];
    call.write("f", "declared");
    call.write("g", "not declared");
    let declared = TransactionCommit { outputs: outputs.clone(), report: false, ..commit() };
    let Out::Committed(done) = call.ask(In::Commit(declared.clone())).await.unwrap() else {
        panic!("not committed")
    };
    assert_eq!(done.undeclared, [b"g".to_vec()]);
    assert_eq!(done.missing, [b"missing".to_vec()]);
    call.begin(&daemon, "all").await;
    call.write("f", "declared");
    call.write("h", "not declared");
    let strict = TransactionCommit { strict: true, ..declared };
    let refused = call.ask(In::Commit(strict)).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "UNDECLARED");
    assert!(!daemon.path("h").exists());
    daemon.end().await;
}

#[tokio::test]
async fn what_is_abandoned_may_be_kept() {
    let (daemon, mut call) = started("all").await;
    call.write("f", "half");
    let abandon = In::Abandon(TransactionAbandon { keep: true, ..Default::default() });
    let Out::Abandoned(abandoned) = call.ask(abandon).await.unwrap() else { panic!("not kept") };
    let kept = PathBuf::from(String::from_utf8(abandoned.kept).unwrap());
    assert_eq!(std::fs::read_to_string(kept.join("f")).unwrap(), "half");
    call.begin(&daemon, "all").await;
    let abandon = In::Abandon(TransactionAbandon::default());
    let Out::Abandoned(abandoned) = call.ask(abandon).await.unwrap() else { panic!("kept") };
    assert!(abandoned.kept.is_empty());
    until("staging is empty", || daemon.staging() == 0).await;
    daemon.end().await;
}

#[tokio::test]
async fn steps_out_of_order_are_refused_by_name() {
    let daemon = Daemon::start().await;
    for step in
        [In::Commit(commit()), In::Abandon(TransactionAbandon { keep: true, ..Default::default() })]
    {
        let mut call = Transact::open(&daemon).await;
        let refused = call.ask(step).await.unwrap_err();
        assert_eq!(
            told(&refused, "field"),
            (Code::InvalidArgument, "BAD_REQUEST".into(), "step".into())
        );
    }
    let mut call = Transact::open(&daemon).await;
    call.begin(&daemon, "all").await;
    let refused = call.ask(begin("all")).await.unwrap_err();
    assert_eq!(told(&refused, "field").2, "begin");
    until("staging is empty", || daemon.staging() == 0).await;
    daemon.end().await;
}
