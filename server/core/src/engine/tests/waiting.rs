//! Waiting for something to be at a path: no wake-up is lost, and nothing but the disk is believed.

use onewriter_tree::{
    Reason,
    mutation::{Rename, Symlink},
};

use super::*;
use crate::{
    leases::{DEFAULT_TTL, Subject},
    policy::{Book, Kinds, Policy, Rule},
};

/// So long that a wake-up that is lost is a test that fails.
const NEVER: Duration = Duration::from_secs(3600);

impl Site {
    fn wait(&self, paths: &[&str], since: Option<i64>) -> Wait {
        let paths = paths.iter().map(|path| rel(path)).collect();
        let deadline = Some(Instant::now() + LIMIT);
        let caller = Caller { deadline, ..caller("waiter") };
        self.engine.wait(caller, paths, since).looking_again(NEVER)
    }
}

/// The places of all that come, in the order in which they do.
async fn all(mut wait: Wait) -> Vec<usize> {
    let mut come = Vec::new();
    while let Some(arrived) = wait.next().await.unwrap() {
        come.extend(arrived.into_iter().map(|one| one.which));
    }
    come
}

/// What comes first.
async fn first(wait: &mut Wait) -> Arrived {
    wait.next().await.unwrap().expect("something comes").remove(0)
}

/// Lets `wait` look, find nothing, and go to sleep.
async fn asleep(wait: &mut Wait) {
    let patience = Duration::from_millis(20);
    let woken = tokio::time::timeout(patience, wait.next()).await;
    assert!(woken.is_err(), "it must wait: {woken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_publish_is_missed_that_comes_just_as_somebody_begins_to_wait() {
    let site = Site::new();
    for round in 0..400 {
        let path = format!("d/{round}");
        let publish = site.publish(&path, b"content");
        let wait = site.wait(&[&path], None);
        let waiting = tokio::spawn(all(wait));
        let published = site.start("publisher", publish);
        ended(published).await.unwrap();
        assert_eq!(ended(waiting).await, [0]);
    }
    assert_eq!(site.engine.waits(), 0);
}

#[tokio::test]
async fn what_is_there_already_is_not_waited_for_and_the_rest_comes_as_it_does() {
    let site = Site::new();
    site.run(mkdir("d")).await.unwrap();
    let mut wait = site.wait(&["d/f", "d", "d/g"], None);
    assert_eq!(first(&mut wait).await.which, 1, "a directory counts");
    asleep(&mut wait).await;
    site.run(mkdir("d/other")).await.unwrap();
    asleep(&mut wait).await;
    site.run(site.publish("d/g", b"1234")).await.unwrap();
    let come = first(&mut wait).await;
    assert_eq!((come.which, come.stat.size), (2, 4));
    site.run(site.publish("d/f", b"")).await.unwrap();
    assert_eq!(first(&mut wait).await.which, 0);
    assert!(wait.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_directory_comes_with_all_that_is_in_it() {
    let site = Site::new();
    site.run(site.publish("new/d/f", b"")).await.unwrap();
    let mut wait = site.wait(&["now/d/f"], None);
    asleep(&mut wait).await;
    let rename = Rename {
        from: rel("new"),
        to: rel("now"),
        must_create: true,
        parents: false,
        keep_unchanged: false,
        umask: 0,
    };
    site.run(rename).await.unwrap();
    assert_eq!(first(&mut wait).await.stat.path, rel("now/d/f"));
}

#[tokio::test]
async fn symbolic_links_are_followed_to_what_comes_behind_them() {
    let site = Site::new();
    std::fs::create_dir(site.path("real")).unwrap();
    std::os::unix::fs::symlink("real", site.path("way")).unwrap();
    std::os::unix::fs::symlink("real/f", site.path("dangling")).unwrap();
    let mut wait = site.wait(&["way/f", "dangling"], None);
    asleep(&mut wait).await;
    site.run(site.publish("real/f", b"")).await.unwrap();
    let mut come = all(wait).await;
    come.sort_unstable();
    assert_eq!(come, [0, 1]);
    // A link that comes to lead somewhere.
    let mut wait = site.wait(&["link/f"], None);
    asleep(&mut wait).await;
    let link = Symlink {
        path: rel("link"),
        target: b"real".to_vec(),
        replace: false,
        parents: false,
        umask: 0,
    };
    site.run(link).await.unwrap();
    assert_eq!(first(&mut wait).await.stat.path, rel("real/f"));
}

#[tokio::test]
async fn what_comes_behind_the_daemons_back_is_seen_too() {
    let site = Site::new();
    let mut wait = site.wait(&["f"], None).looking_again(Duration::from_millis(5));
    asleep(&mut wait).await;
    std::fs::write(site.path("f"), "").unwrap();
    first(&mut wait).await;
    // And, if nothing else, at the end.
    let caller = Caller { deadline: Some(Instant::now()), ..caller("late") };
    std::fs::write(site.path("g"), "").unwrap();
    let mut wait = site.engine.wait(caller, vec![rel("g")], None);
    first(&mut wait).await;
}

#[tokio::test]
async fn only_what_changes_after_a_position_counts_where_that_is_asked_for() {
    let site = Site::new();
    site.run(site.publish("d/f", b"old")).await.unwrap();
    site.engine.journal().flushed().await;
    let since = site.engine.journal().position();
    let mut wait = site.wait(&["d/f", "d"], Some(since));
    asleep(&mut wait).await;
    site.run(site.publish("d/f", b"old")).await.unwrap();
    asleep(&mut wait).await;
    site.run(remove_all("d/f")).await.unwrap();
    let directory = first(&mut wait).await;
    assert_eq!(directory.which, 1, "something in it is gone");
    asleep(&mut wait).await;
    site.run(site.publish("d/f", b"old")).await.unwrap();
    let file = first(&mut wait).await;
    assert_eq!(file.which, 0);
    // Who asks again with what he was told waits for the next one, and who knows less does not.
    let seq = file.seq.expect("it is on record");
    let mut next = site.wait(&["d/f"], Some(seq));
    asleep(&mut next).await;
    assert_eq!(first(&mut site.wait(&["d/f"], Some(since))).await.seq, Some(seq));
    // Others than ours change it.
    let mut next = next.looking_again(Duration::from_millis(5));
    std::fs::write(site.path("d/f"), "other content").unwrap();
    assert_eq!(first(&mut next).await.seq, None);
    let gone = site.wait(&["d/f"], Some(1000)).next().await.unwrap_err();
    assert_eq!(gone.error.reason, Reason::PositionGone);
    assert!(gone.kept.is_some_and(|kept| kept.contains(&seq) && !kept.contains(&1000)));
}

#[tokio::test]
async fn who_waits_in_vain_is_told_of_whom_to_ask() {
    let site = Site::new();
    let vainly = |path: &str| {
        let deadline = Some(Instant::now() + Duration::from_millis(30));
        let caller = Caller { deadline, ..caller("waiter") };
        let mut wait = site.engine.wait(caller, vec![rel(path), rel("more")], None);
        async move { wait.next().await.unwrap_err() }
    };
    let told = vainly("d/f").await;
    assert_eq!((told.error.reason, &*told.error.path), (Reason::WaitTimeout, &b"d/f"[..]));
    assert!(told.holder.is_none());
    let (probe, stop) = Probe::stopping("d/f");
    let held = site.start("builder", probe);
    until("it holds", || !site.engine.locks().is_idle()).await;
    let told = vainly("d/f").await;
    assert_eq!(told.holder.unwrap().target, "builder");
    drop(stop);
    ended(held).await.unwrap();
    let subject = Subject::Path(rel("d"));
    let lease = site.engine.lease(caller("leaser"), subject, Access::Exclusive, DEFAULT_TTL).await;
    let told = vainly("d/f").await;
    assert_eq!(told.holder.unwrap().target, "leaser");
    drop(lease);
}

#[tokio::test]
async fn rights_that_are_taken_away_end_a_wait_before_it_tells_anything() {
    let site = Site::new();
    let (book, rule) = (Book::default(), |paths: &[&str]| Rule {
        name: "rule".into(),
        who: vec!["one".into()],
        paths: paths.iter().map(|path| rel(path)).collect(),
        may: Kinds::named(["read"]).unwrap(),
    });
    book.replace(Policy { rules: vec![rule(&["d"])], limits: Vec::new() });
    let rights = || Some(book.rights("one", vec!["one".into()]));
    let wait = |path: &str| {
        let caller = Caller { rights: rights(), ..caller("waiter") };
        site.engine.wait(caller, vec![rel(path)], None).looking_again(NEVER)
    };
    assert_eq!(wait("e/f").next().await.unwrap_err().error.reason, Reason::Forbidden);
    let mut waiting = wait("d/f");
    asleep(&mut waiting).await;
    book.replace(Policy { rules: vec![rule(&["e"])], limits: Vec::new() });
    site.run(site.publish("d/f", b"")).await.unwrap();
    assert_eq!(waiting.next().await.unwrap_err().error.reason, Reason::AskAgain);
    assert_eq!(wait("d/f").next().await.unwrap_err().error.reason, Reason::Forbidden);
}
