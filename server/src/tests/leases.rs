//! Leases and what runs once, over the wire.

use onewriter_proto::v1::{
    HoldRequest, HoldResponse, LeaseAcquire, LeaseKeepAlive, OnceBegin, OnceFinish, OnceForget,
    OnceRequest, OnceResponse, hold_request, hold_response, lease_acquire, leased,
    leases_client::LeasesClient, once_request, once_response,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::*;

/// A call of a client: what it sends, and what comes back.
struct Talk<Q, R> {
    say: mpsc::Sender<Q>,
    hear: Streaming<R>,
    _cord: Cord,
}

impl<Q, R> Talk<Q, R> {
    async fn say(&self, message: Q) {
        self.say.send(message).await.unwrap_or_else(|_| panic!("nobody listens"));
    }

    async fn hear(&mut self) -> Result<Option<R>, Status> {
        in_time(self.hear.message()).await
    }

    /// Half-closes the call, and hears how it ends.
    async fn end(self) -> Result<Option<R>, Status> {
        let Self { say, mut hear, _cord } = self;
        drop(say);
        in_time(hear.message()).await
    }
}

type Hold = Talk<HoldRequest, HoldResponse>;
type OnceTalk = Talk<OnceRequest, OnceResponse>;

fn path(path: &str) -> LeaseAcquire {
    let subject = Some(lease_acquire::Subject::Path(path.into()));
    LeaseAcquire { context: context("leaser"), subject, ..Default::default() }
}

fn name(name: &str) -> LeaseAcquire {
    let subject = Some(lease_acquire::Subject::Name(name.into()));
    LeaseAcquire { context: context("leaser"), subject, ..Default::default() }
}

fn under(acquire: LeaseAcquire, tokens: &[u64]) -> LeaseAcquire {
    let context = v1::Context { leases: tokens.to_vec(), ..acquire.context.unwrap_or_default() };
    LeaseAcquire { context: Some(context), ..acquire }
}

impl Daemon {
    async fn ask(&self, acquire: LeaseAcquire) -> Hold {
        let (wire, cord) = self.connect().await;
        let mut client = LeasesClient::with_origin(wire, ORIGIN.parse().unwrap());
        let (say, steps) = mpsc::channel(8);
        let step = Some(hold_request::Step::Acquire(acquire));
        say.send(HoldRequest { step }).await.unwrap();
        let hear = client.hold(ReceiverStream::new(steps)).await.unwrap().into_inner();
        Talk { say, hear, _cord: cord }
    }

    async fn lease(&self, acquire: LeaseAcquire) -> (Hold, u64) {
        let mut hold = self.ask(acquire).await;
        let token = granted(hold.hear().await);
        (hold, token)
    }

    async fn once(&self, step: once_request::Step) -> OnceTalk {
        let (wire, cord) = self.connect().await;
        let mut client = LeasesClient::with_origin(wire, ORIGIN.parse().unwrap());
        let (say, steps) = mpsc::channel(8);
        say.send(OnceRequest { step: Some(step) }).await.unwrap();
        let hear = client.once(ReceiverStream::new(steps)).await.unwrap().into_inner();
        Talk { say, hear, _cord: cord }
    }

    fn waiters(&self) -> usize {
        self.engine.leases().iter().map(|status| status.waiters.len()).sum()
    }
}

#[track_caller]
fn granted(answer: Result<Option<HoldResponse>, Status>) -> u64 {
    match answer.unwrap().and_then(|answer| answer.step) {
        Some(hold_response::Step::Granted(granted)) => granted.token,
        other => panic!("not granted: {other:?}"),
    }
}

fn begin(key: &str) -> once_request::Step {
    let context = context("t");
    once_request::Step::Begin(OnceBegin { context, key: key.into(), ..Default::default() })
}

#[tokio::test]
async fn a_lease_is_held_until_its_call_ends_and_seen_meanwhile() {
    let daemon = Daemon::start().await;
    let (hold, token) = daemon.lease(path("d")).await;
    let mut second = daemon.ask(LeaseAcquire { shared: true, ..path("d") }).await;
    until("it waits", || daemon.waiters() == 1).await;
    let mut client = daemon.mutations().await;
    let third = tokio::spawn(async move { client.make_directories(mkdir(&["d/x"])).await });
    until("both wait", || daemon.waiters() == 2).await;

    let mut administration = daemon.administration().await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    let [lease] = &status.leases[..] else { panic!("{:?}", status.leases) };
    assert_eq!(lease.subject, Some(leased::Subject::Path(b"d".to_vec())));
    let party = |p: &v1::LockParty| (p.method.clone(), p.target.clone(), p.exclusive, p.token);
    let holders: Vec<_> = lease.holders.iter().map(party).collect();
    assert_eq!(holders, [("lock".into(), "leaser".into(), true, token)]);
    let waiters: Vec<_> = lease.waiters.iter().map(party).collect();
    let expected =
        [("lock".into(), "leaser".into(), false, 0), ("mkdir".into(), "test".into(), true, 0)];
    assert_eq!(waiters, expected);

    assert!(hold.end().await.unwrap().is_none());
    assert!(granted(second.hear().await) > token);
    assert!(!third.is_finished());
    second._cord.cut();
    ended(third).await.unwrap();
    until("nothing is left", || daemon.engine.leases().is_empty()).await;
}

#[tokio::test]
async fn a_lease_is_kept_alive_and_lost_without_that() {
    let daemon = Daemon::start().await;
    let (mut hold, token) = daemon.lease(LeaseAcquire { ttl_ms: 300, ..path("d") }).await;
    let keep = || HoldRequest { step: Some(hold_request::Step::KeepAlive(LeaseKeepAlive {})) };
    for _ in 0..3 {
        hold.say(keep()).await;
        let answer = hold.hear().await.unwrap().unwrap();
        assert!(matches!(answer.step, Some(hold_response::Step::Kept(_))), "{answer:?}");
    }
    let lost = hold.hear().await.unwrap_err();
    assert_eq!(told(&lost, "").1, "STALE_LEASE");
    let mut request = mkdir(&["d/x"]);
    request.context.get_or_insert_default().leases = vec![token];
    let stale = daemon.mutations().await.make_directories(request).await.unwrap_err();
    assert_eq!(
        told(&stale, "path"),
        (Code::FailedPrecondition, "STALE_LEASE".into(), "d/x".into())
    );
}

#[tokio::test]
async fn requests_without_meaning_name_their_field() {
    let daemon = Daemon::start().await;
    for (acquire, field) in [
        (LeaseAcquire::default(), "subject"),
        (name(""), "name"),
        (name("a/b"), "name"),
        (name(&"x".repeat(256)), "name"),
        (LeaseAcquire { ttl_ms: 99, ..name("n") }, "ttl_ms"),
        (under(name("n"), &[1; 65]), "leases"),
    ] {
        let refused = daemon.ask(acquire).await.hear().await.unwrap_err();
        assert_eq!(told(&refused, "field").2, field, "{refused:?}");
    }
    let refused = daemon.ask(path("../x")).await.hear().await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "PATH_PARENT");
    let root = OnceBegin { context: None, key: "k".into(), ..Default::default() };
    let none = once_request::Step::Begin(root);
    for (step, field) in [(none, "build"), (begin(""), "key"), (begin("a\0"), "key")] {
        let refused = daemon.once(step).await.hear().await.unwrap_err();
        assert_eq!(told(&refused, "field").2, field, "{refused:?}");
    }
}

#[tokio::test]
async fn a_wait_names_the_holder_and_a_circle_its_members() {
    let daemon = Daemon::start().await;
    let (_a, a) = daemon.lease(name("a")).await;
    let (_b, b) = daemon.lease(name("b")).await;
    let late = daemon.ask(LeaseAcquire { wait_ms: 30, ..name("a") }).await.hear().await;
    let ours = format!("pid {} (lock for target 'leaser')", std::process::id());
    let refused = told(&late.unwrap_err(), "holder");
    assert_eq!(refused, (Code::DeadlineExceeded, "LOCK_TIMEOUT".into(), ours));
    let _waiting = daemon.ask(under(name("b"), &[a])).await;
    until("it waits", || daemon.waiters() == 1).await;
    let circle = daemon.ask(under(name("a"), &[b])).await.hear().await.unwrap_err();
    assert_eq!(told(&circle, "path"), (Code::Aborted, "DEADLOCK".into(), "a".into()));
    assert_eq!(daemon.waiters(), 1);
}

#[tokio::test]
async fn a_lease_keeps_no_daemon_from_stopping_and_ends_with_it() {
    let daemon = Daemon::start().await;
    let (mut hold, _) = daemon.lease(path("d")).await;
    let mut waiting = daemon.ask(path("d")).await;
    until("it waits", || daemon.waiters() == 1).await;
    let begun = std::time::Instant::now();
    daemon.end().await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    for talk in [&mut hold, &mut waiting] {
        assert_eq!(told(&talk.hear().await.unwrap_err(), "").1, "DRAINING");
    }
}

#[tokio::test]
async fn who_asks_first_runs_and_the_others_are_told() {
    let daemon = Daemon::start().await;
    let mut first = daemon.once(begin("key")).await;
    let run = first.hear().await.unwrap().unwrap();
    assert!(matches!(run.step, Some(once_response::Step::Run(_))), "{run:?}");
    let mut second = daemon.once(begin("key")).await;
    until("it waits", || daemon.waiters() == 1).await;
    let mut third = daemon.once(begin("key")).await;
    until("both wait", || daemon.waiters() == 2).await;

    // It goes away: the next one takes over.
    first._cord.cut();
    let run = second.hear().await.unwrap().unwrap();
    assert!(matches!(run.step, Some(once_response::Step::Run(_))), "{run:?}");
    let finish = OnceFinish { exit_code: 5, outputs: Vec::new() };
    second.say(OnceRequest { step: Some(once_request::Step::Finish(finish)) }).await;
    let mut late = daemon.once(begin("key")).await;
    for talk in [&mut second, &mut third, &mut late] {
        let answer = talk.hear().await.unwrap().unwrap();
        let Some(once_response::Step::Ended(ended)) = answer.step else { panic!("{answer:?}") };
        let by = format!("pid {} (once for target 't')", std::process::id());
        assert_eq!((ended.exit_code, ended.by), (5, by));
        assert!(talk.hear().await.unwrap().is_none());
    }
    for existed in [true, false] {
        let forget = OnceForget { context: context("t"), key: "key".into(), root: false };
        let answer = daemon.once(once_request::Step::Forget(forget)).await.hear().await;
        let Some(once_response::Step::Forgotten(told)) = answer.unwrap().unwrap().step else {
            panic!()
        };
        assert_eq!(told.existed, existed);
    }
}
