//! Waiting for something to be at a path.

use super::*;

type Waiting = tonic::Streaming<v1::WaitResponse>;

async fn wait(
    daemon: &Daemon,
    paths: &[&str],
    adjust: impl FnOnce(&mut v1::WaitRequest),
) -> Waiting {
    let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let mut request = v1::WaitRequest { paths, ..Default::default() };
    adjust(&mut request);
    daemon.reading().await.wait(request).await.unwrap().into_inner()
}

/// Where it begins.
async fn begun(waiting: &mut Waiting) -> i64 {
    let first = in_time(waiting.message()).await.unwrap().unwrap();
    assert!(first.found.is_empty());
    first.seq
}

async fn found(waiting: &mut Waiting) -> Vec<v1::Awaited> {
    in_time(waiting.message()).await.unwrap().map_or_else(Vec::new, |message| message.found)
}

#[tokio::test]
async fn paths_are_told_as_they_come_and_the_call_ends_with_the_last() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    client.make_directories(mkdir(&["there"])).await.unwrap();
    let mut waiting = wait(&daemon, &["d/e", "there"], |_| {}).await;
    assert_eq!(begun(&mut waiting).await, 1);
    assert_eq!(found(&mut waiting).await[0].index, 1);
    client.make_directories(mkdir(&["d/e"])).await.unwrap();
    let [one] = &found(&mut waiting).await[..] else { panic!("one") };
    assert_eq!((one.index, one.stat.as_ref().unwrap().kind()), (0, v1::FileKind::Directory));
    assert!(in_time(waiting.message()).await.unwrap().is_none());
    until("nobody waits", || daemon.engine.waits() == 0).await;
}

#[tokio::test]
async fn a_change_is_waited_for_from_the_position_that_was_told() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    client.make_directories(mkdir(&["d"])).await.unwrap();
    let mut waiting = wait(&daemon, &["d"], |r| r.changed = true).await;
    let seq = begun(&mut waiting).await;
    // The call breaks off, and the change comes before it is made again.
    drop(waiting);
    client.make_directories(mkdir(&["d/e"])).await.unwrap();
    let again = |r: &mut v1::WaitRequest| (r.changed, r.after_seq) = (true, Some(seq));
    let mut waiting = wait(&daemon, &["d"], again).await;
    assert_eq!(begun(&mut waiting).await, seq);
    assert_eq!(found(&mut waiting).await[0].seq, 2);
    let late = |r: &mut v1::WaitRequest| (r.changed, r.after_seq) = (true, Some(7));
    let mut waiting = wait(&daemon, &["d"], late).await;
    begun(&mut waiting).await;
    let refused = in_time(waiting.message()).await.unwrap_err();
    assert_eq!(told(&refused, "newest"), (Code::OutOfRange, "POSITION_GONE".into(), "2".into()));
}

#[tokio::test]
async fn a_deadline_names_the_path_and_who_holds_it() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("d").await;
    let paths: [Vec<u8>; 2] = ["d/f".into(), "d".into()];
    for (paths, path, holder) in
        [(&paths[..1], "d/f", ""), (&paths[1..], "d", "pid 7 (hold for target 'holder')")]
    {
        let message = v1::WaitRequest { paths: paths.to_vec(), ..Default::default() };
        let mut request = tonic::Request::new(message);
        request.set_timeout(Duration::from_millis(50));
        let mut waiting = daemon.reading().await.wait(request).await.unwrap().into_inner();
        begun(&mut waiting).await;
        let late = in_time(waiting.message()).await.unwrap_err();
        let expected = (Code::DeadlineExceeded, "WAIT_TIMEOUT".to_owned(), holder.to_owned());
        assert_eq!(told(&late, "holder"), expected);
        assert_eq!(told(&late, "path").2, path);
    }
    held.let_go().await;
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_refused() {
    let daemon = Daemon::start().await;
    std::os::unix::fs::symlink("/", daemon.path("out")).unwrap();
    let mut reading = daemon.reading().await;
    for (paths, key, value) in [(vec![], "field", "paths"), (vec![b"..".to_vec()], "path", "..")] {
        let request = v1::WaitRequest { paths, ..Default::default() };
        let refused = reading.wait(request).await.unwrap_err();
        assert_eq!((refused.code(), &*told(&refused, key).2), (Code::InvalidArgument, value));
    }
    let mut waiting = wait(&daemon, &["out/f"], |_| {}).await;
    begun(&mut waiting).await;
    let refused = in_time(waiting.message()).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "OUTSIDE_ROOT");
}

#[tokio::test]
async fn whoever_waits_keeps_no_daemon_from_ending_and_leaves_nothing_behind() {
    let daemon = Daemon::start().await;
    let mut gone = wait(&daemon, &["f"], |_| {}).await;
    begun(&mut gone).await;
    let mut waiting = wait(&daemon, &["f"], |_| {}).await;
    begun(&mut waiting).await;
    assert_eq!(daemon.engine.waits(), 2);
    drop(gone);
    until("one has left", || daemon.engine.waits() == 1).await;
    daemon.stop.send(()).unwrap();
    let refused = in_time(waiting.message()).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "ASK_AGAIN");
    ended(daemon.task).await.unwrap();
    assert_eq!(daemon.engine.waits(), 0);
}
