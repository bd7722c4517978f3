//! Who excludes whom.

use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutations_of_one_path_never_overlap() {
    let site = Site::new();
    let (inside, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let probe = || {
        let (inside, done) = (Arc::clone(&inside), Arc::clone(&done));
        Probe::new("a/b", move |_| {
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "somebody else is inside");
            std::thread::yield_now();
            done.fetch_add(1, SeqCst);
            inside.fetch_sub(1, SeqCst);
            Ok(())
        })
    };
    let tasks: Vec<_> = (0..400).map(|_| site.start("t", probe())).collect();
    for task in tasks {
        ended(task).await.unwrap();
    }
    assert_eq!(done.load(SeqCst), 400);
    assert!(site.engine.locks().is_idle());
}

#[tokio::test]
async fn different_paths_are_changed_in_parallel_even_by_more_than_there_are_threads() {
    let site = Site::new();
    let all = Arc::new(Barrier::new(12));
    let meet = |n: usize| {
        let all = Arc::clone(&all);
        Probe::new(&format!("d/{n}"), move |_| {
            all.wait();
            Ok(())
        })
    };
    let tasks: Vec<_> = (0..12).map(|n| site.start("t", meet(n))).collect();
    for task in tasks {
        ended(task).await.unwrap();
    }
}

#[tokio::test]
async fn a_place_has_one_lock_whatever_links_lead_to_it() {
    let site = Site::new();
    std::fs::create_dir(site.path("real")).unwrap();
    std::os::unix::fs::symlink("real", site.path("link")).unwrap();
    let hold = site.hold("real/x").await;
    let through_link = site.start("t", mkdir("link/x"));
    until("it waits for the real place", || site.waiting() == ["real/x"]).await;
    assert!(!site.path("real/x").exists(), "it acted although the place is held");
    hold.let_go().await.unwrap();
    let changes = ended(through_link).await.unwrap();
    assert_eq!(changes, [Change::new(&rel("real/x"), Outcome::Created)]);
}

#[tokio::test]
async fn what_is_below_waits_for_what_is_above() {
    let site = Site::new();
    let hold = site.hold("d").await;
    let below = site.start("t", mkdir("d/e/f"));
    until("it waits for its ancestor", || site.waiting() == ["d"]).await;
    let beside = site.run(mkdir("other")).await.unwrap();
    assert_eq!(beside.len(), 1);
    hold.let_go().await.unwrap();
    assert_eq!(ended(below).await.unwrap().len(), 3);
}
