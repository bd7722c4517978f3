//! Nobody is served what is half done and may be undone.

use super::*;

/// A commit that has made `d`, and is going to fail and take it back.
async fn half_done(site: &Site) -> Hold {
    let (enter, entered) = channel();
    let (go_on, wait) = channel();
    let made = site.path("d");
    let mut probe = Probe::new("d", move |_| {
        std::fs::create_dir(&made).unwrap();
        let _ = enter.send(());
        let _ = wait.recv_timeout(LIMIT);
        std::fs::remove_dir(&made).unwrap();
        Err(Error::new(onewriter_tree::Reason::Io, b"d", "a later step failed").into())
    });
    probe.stepwise = true;
    let task = site.start("commit", probe);
    tokio::task::spawn_blocking(move || entered.recv_timeout(LIMIT)).await.unwrap().unwrap();
    Hold { go_on, task }
}

#[tokio::test]
async fn a_directory_that_may_be_taken_back_does_not_exist_yet() {
    let site = Site::new();
    let commit = half_done(&site).await;
    let make = site.start("mkdir", mkdir("d"));
    until("it waits for the commit", || site.waiting() == ["d"]).await;
    refused(commit.let_go().await);
    let changes = ended(make).await.unwrap();
    assert_eq!(changes, [Change::new(&rel("d"), Outcome::Created)]);
    assert!(site.path("d").is_dir());
}

#[tokio::test]
async fn a_look_waits_for_what_is_half_done_there_and_for_nothing_else() {
    let site = Site::new();
    let commit = half_done(&site).await;
    let look = |path: &str| {
        let (engine, paths) = (Arc::clone(&site.engine), [rel(path)].into());
        let exists = |sight: &Sight<'_>, paths: &[RelPath]| {
            Ok(sight.stat(&paths[0], Last::Keep)?.1.is_some())
        };
        tokio::spawn(async move { engine.look(caller("look"), paths, exists).await.unwrap() })
    };
    assert!(!ended(look("elsewhere")).await);
    let at_it = look("d");
    until("it waits for the commit", || site.waiting() == ["d"]).await;
    refused(commit.let_go().await);
    assert!(!ended(at_it).await, "it saw what was taken back");
}
