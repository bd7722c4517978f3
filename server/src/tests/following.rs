//! The journal as it is followed: history, then what is written, without a seam.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;

type Watching = tonic::Streaming<v1::WatchJournalResponse>;

async fn watch(
    daemon: &Daemon,
    after_seq: Option<i64>,
    adjust: impl FnOnce(&mut v1::WatchJournalRequest),
) -> Watching {
    let mut request = v1::WatchJournalRequest { after_seq, ..Default::default() };
    adjust(&mut request);
    let asked = daemon.reading().await.watch_journal(request).await;
    asked.unwrap().into_inner()
}

async fn next(watching: &mut Watching) -> Result<v1::WatchJournalResponse, Status> {
    Ok(in_time(watching.message()).await?.expect("it has no end"))
}

/// The paths of the next `count` records, whose numbers grow, and the position that is reached.
async fn paths(watching: &mut Watching, count: usize) -> (Vec<String>, i64) {
    let (mut paths, mut position) = (Vec::new(), i64::MIN);
    while paths.len() < count {
        let message = next(watching).await.unwrap();
        for record in &message.records {
            assert!(record.seq > position && record.seq <= message.seq, "{record:?}");
            position = record.seq;
            paths.push(String::from_utf8(record.path.clone()).unwrap());
        }
        position = message.seq;
    }
    (paths, position)
}

async fn make(daemon: &Daemon, names: impl IntoIterator<Item = String>) {
    let names: Vec<_> = names.into_iter().collect();
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    daemon.mutations().await.make_directories(mkdir(&names)).await.unwrap();
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("d{n}")).collect()
}

#[tokio::test]
async fn history_goes_over_into_what_happens() {
    let daemon = Daemon::start().await;
    make(&daemon, numbered(0..600)).await;
    let mut watching = watch(&daemon, Some(0), |_| {}).await;
    assert_eq!(paths(&mut watching, 600).await.0, numbered(0..600));
    for n in 600..620 {
        make(&daemon, numbered(n..n + 1)).await;
    }
    let (seen, position) = paths(&mut watching, 20).await;
    assert_eq!(seen, numbered(600..620));
    let mut again = watch(&daemon, Some(position - 5), |_| {}).await;
    assert_eq!(paths(&mut again, 5).await, (numbered(615..620), position));
}

#[tokio::test]
async fn from_now_on_is_after_all_that_was_answered() {
    let daemon = Daemon::start().await;
    for n in 0..20 {
        make(&daemon, numbered(n..n + 1)).await;
        let mut watching = watch(&daemon, None, |_| {}).await;
        let begun = next(&mut watching).await.unwrap();
        assert_eq!((begun.seq, begun.records.len()), (n as i64 + 1, 0), "it says where it begins");
    }
    until("nobody watches", || daemon.engine.journal().followers() == 0).await;
}

#[tokio::test]
async fn no_record_is_missed_or_repeated_however_often_it_is_asked_again_under_load() {
    const COUNT: usize = 3000;
    let daemon = Daemon::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let (ends, engine) = (Arc::clone(&over), Arc::clone(&daemon.engine));
    let mut client = daemon.mutations().await;
    let load = tokio::spawn(async move {
        for name in numbered(0..COUNT) {
            client.make_directories(mkdir(&[&name])).await.unwrap();
        }
        ends.store(true, SeqCst);
        engine.journal().flushed().await;
    });
    let (mut seen, mut position, mut asked) = (Vec::new(), 0, 0);
    while seen.len() < COUNT {
        let mut watching = watch(&daemon, Some(position), |_| {}).await;
        asked += 1;
        for _ in 0..3 {
            if seen.len() == COUNT {
                break;
            }
            let message = next(&mut watching).await.unwrap();
            seen.extend(message.records.into_iter().map(|record| record.seq));
            position = message.seq;
        }
    }
    ended(load).await;
    assert!(over.load(SeqCst) && asked > 1);
    assert_eq!(seen, Vec::from_iter(1..=COUNT as i64));
}

#[tokio::test]
async fn only_what_was_asked_for_comes() {
    let daemon = Daemon::start().await;
    let mut of_a = watch(&daemon, None, |r| r.paths = vec!["a".into(), "b/c".into()]).await;
    let mut of_target = watch(&daemon, None, |r| r.target = "test".into()).await;
    let mut changes = watch(&daemon, None, |r| r.changes_only = true).await;
    for watching in [&mut of_a, &mut of_target, &mut changes] {
        assert!(next(watching).await.unwrap().records.is_empty());
    }
    make(&daemon, ["x".into(), "a".into(), "x".into(), "ab".into(), "b/c/d".into()]).await;
    let seen = async |watching: &mut Watching, count| paths(watching, count).await.0;
    assert_eq!(seen(&mut of_a, 3).await, ["a", "b/c", "b/c/d"]);
    assert_eq!(seen(&mut of_target, 7).await, ["x", "a", "x", "ab", "b", "b/c", "b/c/d"]);
    assert_eq!(seen(&mut changes, 6).await, ["x", "a", "ab", "b", "b/c", "b/c/d"]);
    let paths = vec!["x".into(); 1001];
    let request = v1::WatchJournalRequest { paths, ..Default::default() };
    let refused = daemon.reading().await.watch_journal(request).await.unwrap_err();
    assert_eq!(
        told(&refused, "field"),
        (Code::InvalidArgument, "BAD_REQUEST".into(), "paths".into())
    );
}

#[tokio::test]
async fn a_position_that_there_is_not_is_refused_with_those_that_there_are() {
    let daemon = Daemon::start().await;
    make(&daemon, numbered(0..3)).await;
    for position in [-1, 4] {
        let refused = next(&mut watch(&daemon, Some(position), |_| {}).await).await.unwrap_err();
        assert_eq!(
            told(&refused, "oldest"),
            (Code::OutOfRange, "POSITION_GONE".into(), "0".into())
        );
        assert_eq!(told(&refused, "newest").2, "3");
    }
}

#[test]
fn who_reads_nothing_keeps_nobody_waiting_and_misses_nothing() {
    with_few_threads(async {
        const COUNT: usize = 20_000;
        let daemon = Daemon::start().await;
        let mut slow = Vec::new();
        for _ in 0..12 {
            slow.push(watch(&daemon, Some(0), |_| {}).await);
        }
        let long = "n".repeat(200);
        for from in (0..COUNT).step_by(2000) {
            make(&daemon, (from..from + 2000).map(|n| format!("{n}{long}"))).await;
        }
        let mut quick = watch(&daemon, Some(0), |_| {}).await;
        assert_eq!(paths(&mut quick, COUNT).await.1, COUNT as i64);
        for mut watching in slow {
            let (seen, position) = paths(&mut watching, COUNT).await;
            assert_eq!((seen.len(), position), (COUNT, COUNT as i64));
        }
    });
}

#[tokio::test]
async fn a_daemon_that_is_about_to_end_says_so_and_its_successor_goes_on() {
    let daemon = Daemon::start().await;
    make(&daemon, numbered(0..2)).await;
    let mut watching = watch(&daemon, Some(0), |_| {}).await;
    let (_, position) = paths(&mut watching, 2).await;
    let Daemon { root, engine, stop, task } = daemon;
    stop.send(()).unwrap();
    let told = loop {
        match next(&mut watching).await {
            Ok(message) => assert!(message.records.is_empty()),
            Err(status) => break told(&status, "path"),
        }
    };
    assert_eq!((told.0, &*told.1), (Code::Unavailable, "ASK_AGAIN"));
    ended(task).await.expect("nobody who watches keeps it from ending");
    drop(engine);
    let daemon = Daemon::with(root, |_| {}).await;
    make(&daemon, numbered(2..4)).await;
    let mut watching = watch(&daemon, Some(position), |_| {}).await;
    assert_eq!(paths(&mut watching, 2).await, (numbered(2..4), 4));
}
