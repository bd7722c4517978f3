//! Leases and mutations; what runs once.

use onewriter_tree::{
    Reason,
    mutation::Access::{Exclusive, Shared},
};

use super::*;
use crate::{
    journal::Ran,
    leases::{DEFAULT_TTL, Lease, Subject},
};

fn path(path: &str) -> Subject {
    Subject::Path(rel(path))
}

impl Site {
    async fn lease(&self, subject: Subject, access: onewriter_tree::mutation::Access) -> Lease {
        let lease = self.engine.lease(caller("leaser"), subject, access, DEFAULT_TTL);
        tokio::time::timeout(LIMIT, lease).await.expect("in time").unwrap()
    }

    /// Runs a mutation that brings tokens.
    async fn run_under(&self, tokens: &[u64], mutation: impl Mutation + 'static) -> Done {
        let caller = Caller { leases: tokens.to_vec(), ..caller("under") };
        let run = self.engine.run(caller, Box::new(mutation));
        tokio::time::timeout(LIMIT, run).await.expect("in time")
    }

    /// Who waits for leases.
    fn waiting_for_leases(&self) -> usize {
        self.engine.leases().iter().map(|status| status.waiters.len()).sum()
    }

    async fn once(&self, build: &str, key: &str) -> Turn {
        let key = OnceKey { build: build.into(), key: key.into() };
        let turn = self.engine.once(caller(""), key, DEFAULT_TTL);
        tokio::time::timeout(LIMIT, turn).await.expect("in time").unwrap()
    }

    fn ask(&self, build: &str, key: &str) -> JoinHandle<Turn> {
        let key = OnceKey { build: build.into(), key: key.into() };
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move { engine.once(caller(""), key, DEFAULT_TTL).await.unwrap() })
    }
}

#[tokio::test]
async fn mutations_of_others_wait_for_a_lease_and_its_own_pass() {
    for access in [Exclusive, Shared] {
        let site = Site::new();
        let lease = site.lease(path("d"), access).await;
        let stranger = site.start("stranger", mkdir("d/x"));
        until("it waits", || site.waiting_for_leases() == 1).await;
        assert!(site.engine.locks().is_idle(), "whoever waits for a lease holds no lock");
        site.run(mkdir("beside")).await.unwrap();
        site.run_under(&[lease.token()], mkdir("d/own")).await.unwrap();
        assert!(!site.path("d/x").exists());
        drop(lease);
        ended(stranger).await.unwrap();
        assert!(site.path("d/x").exists());
        assert!(site.engine.leases().is_empty());
    }
}

#[tokio::test]
async fn a_lease_is_not_had_before_the_mutations_that_did_not_see_it_are_over() {
    for wanted in ["d", ".", "d/x/below"] {
        let site = Site::new();
        let hold = site.hold("d/x").await;
        let engine = Arc::clone(&site.engine);
        let lease =
            async move { engine.lease(caller(""), path(wanted), Exclusive, DEFAULT_TTL).await };
        let lease = tokio::spawn(lease);
        until("it is in the table", || !site.engine.leases().is_empty()).await;
        until("it waits for the lock", || site.engine.locks().counters().waiters == 1).await;
        assert!(!lease.is_finished());
        hold.let_go().await.unwrap();
        ended(lease).await.unwrap();
        assert!(site.engine.locks().is_idle());
    }
}

#[tokio::test]
async fn who_gives_up_waiting_for_a_lease_leaves_nothing() {
    let site = Site::new();
    let lease = site.lease(path("d"), Exclusive).await;
    let waiter = site.start("t", mkdir("d/x"));
    until("it waits", || site.waiting_for_leases() == 1).await;
    waiter.abort();
    until("it has left", || site.waiting_for_leases() == 0).await;
    let deadline = Some(Instant::now() + Duration::from_millis(30));
    let late = Caller { deadline, ..caller("late") };
    let refusal = site.engine.run(late, Box::new(mkdir("d/x"))).await.unwrap_err();
    assert_eq!(refusal.error.reason, Reason::LockTimeout);
    assert_eq!(refusal.holder.unwrap().target, "leaser");
    drop(lease);
    assert!(site.engine.leases().is_empty() && site.engine.locks().is_idle());
    assert!(!site.path("d").exists());
}

#[tokio::test]
async fn who_gives_up_at_the_barrier_leaves_nothing() {
    let site = Site::new();
    let hold = site.hold("d").await;
    let engine = Arc::clone(&site.engine);
    let lease =
        tokio::spawn(
            async move { engine.lease(caller(""), path("d"), Exclusive, DEFAULT_TTL).await },
        );
    until("it waits for the lock", || site.engine.locks().counters().waiters == 1).await;
    lease.abort();
    until("it has left", || site.engine.leases().is_empty()).await;
    hold.let_go().await.unwrap();
    assert!(site.engine.locks().is_idle());
}

#[tokio::test]
async fn links_lead_to_one_lease() {
    let site = Site::new();
    std::fs::create_dir(site.path("real")).unwrap();
    std::os::unix::fs::symlink("real", site.path("link")).unwrap();
    let lease = site.lease(path("link"), Exclusive).await;
    for place in ["real/x", "link/x", "link"] {
        let waiter = site.start("t", mkdir(&format!("{place}/y")));
        until("it waits", || site.waiting_for_leases() == 1).await;
        waiter.abort();
        until("it has left", || site.waiting_for_leases() == 0).await;
    }
    drop(lease);
}

#[tokio::test]
async fn a_stale_token_is_refused_even_where_there_is_nothing_to_do() {
    let site = Site::new();
    let lease = site.lease(path("d"), Exclusive).await;
    let token = lease.token();
    drop(lease);
    site.run(mkdir("d")).await.unwrap();
    let _next = site.lease(path("d"), Exclusive).await;
    for target in ["d", "other"] {
        let refusal = site.run_under(&[token], mkdir(target)).await.unwrap_err();
        assert_eq!(refusal.error.reason, Reason::StaleLease);
        assert_eq!(refusal.holder.unwrap().target, "leaser");
    }
    let many = vec![token; 65];
    assert_eq!(refused(site.run_under(&many, mkdir("d")).await).reason, Reason::BadRequest);
}

#[tokio::test]
async fn who_waited_under_a_lease_that_ended_meanwhile_does_not_act() {
    let site = Site::new();
    let own = site.lease(path("own"), Exclusive).await;
    let other = site.lease(path("d"), Exclusive).await;
    let caller = Caller { leases: vec![own.token()], ..caller("t") };
    let engine = Arc::clone(&site.engine);
    let waiter = tokio::spawn(async move { engine.run(caller, Box::new(mkdir("d/x"))).await });
    until("it waits", || site.waiting_for_leases() == 1).await;
    drop(own);
    drop(other);
    assert_eq!(refused(ended(waiter).await).reason, Reason::StaleLease);
    assert!(site.engine.leases().is_empty() && site.engine.locks().is_idle());
}

#[tokio::test]
async fn tokens_of_an_earlier_daemon_are_stale_and_new_ones_greater() {
    let site = Site::new();
    let token = site.lease(path("d"), Exclusive).await.token();
    let Site { engine, root } = site;
    drop(engine);
    let tree = Arc::new(Tree::open(root.path()).unwrap());
    let engine = Engine::start_on(tree, &root.path().join(".onewriter"), None, 0).unwrap();
    let site = Site { engine: Arc::new(engine), root };
    let done = site.run_under(&[token], mkdir("d")).await;
    assert_eq!(refused(done).reason, Reason::StaleLease);
    assert!(site.lease(path("d"), Exclusive).await.token() > token);
}

#[tokio::test]
async fn tokens_grow_even_where_the_clock_went_back() {
    let site = Site::new();
    let ahead = i64::MAX / 2;
    site.engine.journal().set_number("last_token", ahead).unwrap();
    let Site { engine, root } = site;
    drop(engine);
    let tree = Arc::new(Tree::open(root.path()).unwrap());
    let engine = Engine::start_on(tree, &root.path().join(".onewriter"), None, 0).unwrap();
    let site = Site { engine: Arc::new(engine), root };
    assert!(site.lease(path("d"), Exclusive).await.token() > ahead as u64);
}

#[tokio::test]
async fn draining_refuses_who_waits_for_a_lease_and_does_not_wait_for_who_has_one() {
    let site = Site::new();
    let _lease = site.lease(path("d"), Exclusive).await;
    let waiter = site.start("t", mkdir("d/x"));
    until("it waits", || site.waiting_for_leases() == 1).await;
    tokio::time::timeout(LIMIT, site.engine.drain()).await.expect("it drains");
    assert_eq!(refused(ended(waiter).await).reason, Reason::Draining);
}

#[track_caller]
fn told(turn: Turn) -> Ran {
    match turn {
        Turn::Told(ran) => ran,
        Turn::Run(_) => panic!("it is to run it again"),
    }
}

#[track_caller]
fn runs(turn: Turn) -> Box<Run> {
    match turn {
        Turn::Run(run) => run,
        Turn::Told(ran) => panic!("it is told {ran:?}"),
    }
}

#[tokio::test]
async fn in_a_build_one_runs_and_the_others_are_told_failures_too() {
    let site = Site::new();
    let run = runs(site.once("b", "key").await);
    let others: Vec<_> = (0..5).map(|_| site.ask("b", "key")).collect();
    until("they wait", || site.waiting_for_leases() == 5).await;
    drop(runs(site.once("another", "key").await));
    site.engine.finish(run, 7, Vec::new()).await.unwrap();
    for other in others {
        assert_eq!(told(ended(other).await).exit_code, 7);
    }
    assert_eq!(told(site.once("b", "key").await).exit_code, 7);
    assert!(site.engine.leases().is_empty());
}

#[tokio::test]
async fn when_the_runner_goes_away_the_next_one_takes_over() {
    let site = Site::new();
    let run = runs(site.once("b", "key").await);
    let next = site.ask("b", "key");
    until("it waits", || site.waiting_for_leases() == 1).await;
    drop(run);
    site.engine.finish(runs(ended(next).await), 0, Vec::new()).await.unwrap();
    assert_eq!(told(site.once("b", "key").await).exit_code, 0);
}

#[test]
fn a_runner_that_goes_away_when_it_has_said_how_it_ended_is_believed() {
    // One thread for the journal, which is busy.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let site = Site::new();
        let run = runs(site.once("b", "key").await);
        let (go_on, busy) = channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || busy.recv());
        let mut finish = Box::pin(site.engine.finish(run, 7, Vec::new()));
        assert!(asked_once(finish.as_mut()).await.is_none(), "it waits for the journal");
        drop(finish);
        assert_eq!(site.engine.leases().len(), 1, "nobody else is to run it meanwhile");
        drop(go_on);
        assert!(occupied.await.unwrap().is_err(), "it was kept busy until now");
        assert_eq!(told(site.once("b", "key").await).exit_code, 7);
    });
}

/// What a future has to say when it is asked once.
async fn asked_once<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn for_good_a_success_counts_and_a_failure_only_for_those_who_wait() {
    let site = Site::new();
    let run = runs(site.once("", "key").await);
    let waiters = [site.ask("", "key"), site.ask("", "key")];
    until("they wait", || site.waiting_for_leases() == 2).await;
    site.engine.finish(run, 3, Vec::new()).await.unwrap();
    for waiter in waiters {
        assert_eq!(told(ended(waiter).await).exit_code, 3);
    }
    let run = runs(site.once("", "key").await);
    std::fs::write(site.path("out"), "").unwrap();
    site.engine.finish(run, 0, vec![rel("out")]).await.unwrap();
    told(site.once("", "key").await);
    std::fs::remove_file(site.path("out")).unwrap();
    site.engine.finish(runs(site.once("", "key").await), 0, Vec::new()).await.unwrap();
    told(site.once("", "key").await);
    let key = OnceKey { build: String::new(), key: "key".into() };
    assert!(site.engine.forget(&Caller::default(), key.clone()).await.unwrap());
    assert!(!site.engine.forget(&Caller::default(), key).await.unwrap());
    runs(site.once("", "key").await);
}

#[tokio::test]
async fn a_failure_for_those_who_wait_is_kept_as_long_as_they_do() {
    let site = Site::new();
    let kept = || site.engine.failures.lock().unwrap().kept();
    for goes_away in [false, true] {
        let run = runs(site.once("", "key").await);
        let waiter = site.ask("", "key");
        until("it waits", || site.waiting_for_leases() == 1).await;
        site.engine.finish(run, 3, Vec::new()).await.unwrap();
        assert_eq!(kept(), 1);
        if goes_away {
            waiter.abort();
            assert!(waiter.await.unwrap_err().is_cancelled());
        } else {
            assert_eq!(told(ended(waiter).await).exit_code, 3);
        }
        assert_eq!(kept(), 0);
    }
}

#[tokio::test]
async fn what_ran_is_remembered_by_the_next_daemon() {
    let site = Site::new();
    for build in ["", "b"] {
        let run = runs(site.once(build, "key").await);
        site.engine.finish(run, 0, Vec::new()).await.unwrap();
    }
    let Site { engine, root } = site;
    drop(engine);
    let tree = Arc::new(Tree::open(root.path()).unwrap());
    let engine = Engine::start_on(tree, &root.path().join(".onewriter"), None, 0).unwrap();
    let site = Site { engine: Arc::new(engine), root };
    for build in ["", "b"] {
        told(site.once(build, "key").await);
    }
    site.engine.journal().forget_builds(Duration::ZERO).unwrap();
    told(site.once("", "key").await);
    runs(site.once("b", "key").await);
}
