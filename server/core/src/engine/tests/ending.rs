//! How mutations end that do not simply succeed.

use onewriter_tree::Reason;

use super::*;

#[tokio::test]
async fn who_goes_away_while_waiting_leaves_nothing() {
    let site = Site::new();
    let hold = site.hold("d").await;
    let waiter = site.start("t", mkdir("d/e"));
    until("it waits", || site.waiting() == ["d"]).await;
    waiter.abort();
    until("its place is free", || site.waiting().is_empty()).await;
    hold.let_go().await.unwrap();
    assert!(site.engine.locks().is_idle());
    assert!(!site.path("d").exists());
    assert_eq!(site.recorded().await.len(), 1, "only the holder did anything");
    tokio::time::timeout(LIMIT, site.engine.drain()).await.expect("nothing is under way");
}

#[tokio::test]
async fn who_goes_away_while_acting_is_finished_and_recorded() {
    let site = Site::new();
    let Hold { go_on, task } = site.hold("d").await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let next = site.start("t", mkdir("d"));
    until("the next one waits for it", || site.waiting() == ["d"]).await;
    go_on.send(()).unwrap();
    ended(next).await.unwrap();
    assert!(site.engine.locks().is_idle());
    let methods: Vec<_> = site.recorded().await.into_iter().map(|(method, ..)| method).collect();
    assert_eq!(methods, ["probe", "mkdir"]);
}

#[tokio::test]
async fn what_was_done_before_a_second_attempt_is_recorded_when_there_is_none() {
    let site = Site::new();
    let (hold_up, stop) = Probe::stopping("p");
    let (first, first_stop) = (site.hold("p").await, stop);
    let mut attempts = 0;
    let two_steps = Probe::new("p", move |effects| {
        attempts += 1;
        effects.changes.push(Change::new(&rel("half"), Outcome::Created));
        if attempts == 1 { Err(Fault::Moved) } else { Ok(()) }
    });
    let cancelled = site.start("t", two_steps);
    until("it waits", || site.waiting() == ["p"]).await;
    // This one comes next, and keeps it from its second attempt.
    let between = site.start("between", hold_up);
    let waiters = || site.engine.locks().counters().waiters;
    until("both wait", || waiters() == 2).await;
    first.let_go().await.unwrap();
    let entered = tokio::task::spawn_blocking(move || first_stop.entered.recv_timeout(LIMIT));
    entered.await.unwrap().unwrap();
    until("it waits for its second attempt", || waiters() == 1).await;
    cancelled.abort();
    until("it is gone", || waiters() == 0).await;
    first_stop.go_on.send(()).unwrap();
    ended(between).await.unwrap();
    let recorded = site.recorded().await;
    let half = ("probe".to_owned(), "half".to_owned(), "created".to_owned());
    assert_eq!(recorded.iter().filter(|entry| **entry == half).count(), 1, "{recorded:?}");
}

#[tokio::test]
async fn a_lock_that_is_not_had_in_time_is_told_with_its_holder() {
    let site = Site::new();
    let hold = site.hold("d").await;
    let deadline = Some(Instant::now() + Duration::from_millis(50));
    let late = Caller { deadline, ..caller("late") };
    let done = site.engine.run(late, Box::new(mkdir("d/e/f"))).await;
    let Refusal { error, holder, .. } = done.unwrap_err();
    assert_eq!(error.reason, Reason::LockTimeout);
    assert_eq!((&error.path[..], error.component.as_deref()), (&b"d/e/f"[..], Some(&b"d"[..])));
    assert_eq!(holder.unwrap().target, "holder");
    let text = error.to_string();
    assert!(
        text.starts_with("'d/e/f': 'd' is held by pid 7 (probe for target 'holder')"),
        "{text}"
    );
    hold.let_go().await.unwrap();
    assert!(!site.path("d").exists());
    let recorded = site.recorded().await;
    assert!(recorded.contains(&("mkdir".into(), "d/e/f".into(), "refused".into())), "{recorded:?}");
}

#[tokio::test]
async fn a_mutation_that_panics_costs_itself_only() {
    let site = Site::new();
    let broken = Probe::new("p", |effects| {
        effects.changes.push(Change::new(&rel("half"), Outcome::Created));
        panic!("on purpose");
    });
    let error = refused(site.run(broken).await);
    assert_eq!((error.reason, &error.path[..]), (Reason::Io, &b"p"[..]));
    assert!(site.engine.locks().is_idle());
    site.run(mkdir("p")).await.unwrap();
    let outcomes: Vec<_> = site.recorded().await.into_iter().map(|(.., o)| o).collect();
    assert_eq!(outcomes, ["created", "refused", "created"]);
}

#[tokio::test]
async fn draining_refuses_the_new_and_waits_for_the_old() {
    let site = Site::new();
    let hold = site.hold("d").await;
    let waiting = site.start("t", mkdir("d/e"));
    until("one more is under way", || site.waiting() == ["d"]).await;
    let engine = Arc::clone(&site.engine);
    let drain = tokio::spawn(async move { engine.drain().await });
    until("it drains", || site.engine.is_draining()).await;
    let error = refused(site.run(mkdir("new")).await);
    assert_eq!((error.reason, &error.path[..]), (Reason::Draining, &b"new"[..]));
    assert!(!drain.is_finished(), "two are under way");
    hold.let_go().await.unwrap();
    ended(waiting).await.unwrap();
    ended(drain).await;
    assert_eq!(site.engine.journal().stats().queued, 0, "all is recorded by then");
    assert!(!site.path("new").exists());
}

#[tokio::test]
async fn links_that_never_stay_still_are_given_up() {
    let site = Site::new();
    let mut attempts = 0;
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let restless = Probe::new("p", move |_| {
        attempts += 1;
        counted.store(attempts, std::sync::atomic::Ordering::SeqCst);
        Err(Fault::Moved)
    });
    assert_eq!(refused(site.run(restless).await).reason, Reason::SymlinkRace);
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), MAX_RESOLUTIONS);
    assert!(site.engine.locks().is_idle());
}
