//! Transactions on an engine, without an overlay: the upper directory is filled by hand.

#![expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]

use std::{path::PathBuf, time::Duration};

use onewriter_tree::{
    Tree,
    mutation::{MakeDirectory, Publish, Source},
};

use super::*;
use crate::{Durability, journal::Query, leases::Subject, locks::Owner};

const LIMIT: Duration = Duration::from_secs(60);

struct Site {
    engine: Arc<Engine>,
    root: tempfile::TempDir,
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn caller(target: &str) -> Caller {
    let owner = Owner { method: "run", target: target.into(), ..Owner::default() };
    Caller { owner, deadline: Some(Instant::now() + LIMIT), ..Caller::default() }
}

impl Site {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Tree::init(root.path()).unwrap();
        let tree = Arc::new(Tree::open(root.path()).unwrap());
        let state = root.path().join(".onewriter");
        let engine = Engine::start(tree, &state, Durability::Process).unwrap();
        Self { engine: Arc::new(engine), root }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn read(&self, below: &str) -> String {
        std::fs::read_to_string(self.path(below)).unwrap()
    }

    async fn begin(&self, target: &str, after: &[RelPath]) -> Transaction {
        self.engine.begin(caller(target), format!("make {target}"), after.to_vec()).await.unwrap()
    }

    fn upper(&self, transaction: &Transaction, below: &str) -> PathBuf {
        self.path(".onewriter/staging").join(transaction.name()).join("upper").join(below)
    }

    async fn publish(&self, to: &str, content: &str) {
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), content).unwrap();
        let local = Source::Local { path: source.path().into(), consume: false };
        let mut publish = Publish::new(path(to), local);
        publish.parents = true;
        self.engine.run(caller("other"), Box::new(publish)).await.unwrap();
    }

    /// Outcome and path of all records of `method`.
    async fn recorded(&self, method: &str) -> Vec<(String, String)> {
        self.engine.journal().flushed().await;
        let records = self.engine.journal().list(&Query::default()).unwrap().into_iter();
        let of_method = records.filter(|record| record.method == method);
        of_method.map(|r| (r.outcome, String::from_utf8(r.path).unwrap())).collect()
    }

    async fn until_staging_is_empty(&self) {
        let deadline = Instant::now() + LIMIT;
        while !self.engine.tree().staging().waiting().unwrap().is_empty() {
            assert!(Instant::now() < deadline, "something stays in staging");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn what_is_committed_appears_and_is_recorded() {
    let site = Site::new();
    site.publish("old", "old").await;
    let transaction = site.begin("all", &[]).await;
    std::fs::write(site.upper(&transaction, "old"), "new").unwrap();
    std::fs::create_dir(site.upper(&transaction, "d")).unwrap();
    std::fs::write(site.upper(&transaction, "d/f"), "f").unwrap();
    assert_eq!(site.read("old"), "old", "nothing before the commit");
    let done = transaction.commit(Terms::default()).await.unwrap();
    assert_eq!((site.read("old"), site.read("d/f")), ("new".into(), "f".into()));
    assert!(done.report.conflicts.is_empty());
    let mut recorded = site.recorded("run").await;
    recorded.sort();
    let expected = [("created", "d"), ("created", "d/f"), ("replaced", "old")];
    assert_eq!(recorded, expected.map(|(outcome, path)| (outcome.into(), path.into())));
    site.until_staging_is_empty().await;
}

#[tokio::test]
async fn what_is_dropped_has_never_been() {
    let site = Site::new();
    let transaction = site.begin("all", &[]).await;
    std::fs::write(site.upper(&transaction, "f"), "f").unwrap();
    assert_eq!(site.engine.transactions().len(), 1);
    assert_eq!(site.engine.transactions()[0].command, "make all");
    drop(transaction);
    site.until_staging_is_empty().await;
    assert!(!site.path("f").exists());
    assert!(site.engine.transactions().is_empty());
    assert_eq!(site.recorded("run").await, []);
}

#[tokio::test]
async fn what_is_kept_can_be_looked_at() {
    let site = Site::new();
    let transaction = site.begin("all", &[]).await;
    std::fs::write(site.upper(&transaction, "f"), "half").unwrap();
    let kept = transaction.keep().await.unwrap();
    assert_eq!(std::fs::read_to_string(kept.join("f")).unwrap(), "half");
    site.until_staging_is_empty().await;
    assert!(kept.starts_with(std::fs::canonicalize(site.path(".onewriter/failed")).unwrap()));
}

#[tokio::test]
async fn who_came_first_is_named() {
    let site = Site::new();
    let transaction = site.begin("late", &[]).await;
    site.publish("f", "theirs").await;
    std::fs::write(site.upper(&transaction, "f"), "ours").unwrap();
    std::fs::write(site.upper(&transaction, "g"), "ours").unwrap();
    match transaction.commit(Terms::default()).await {
        Err(NotCommitted::Conflicted(conflicts, refusal)) => {
            assert_eq!(conflicts.len(), 1);
            assert_eq!(conflicts[0].path, path("f"));
            assert!(conflicts[0].other.contains("publish for target 'other'"), "{conflicts:?}");
            assert!(refusal.to_string().contains("publish for target 'other'"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(site.read("f"), "theirs");
    assert!(!site.path("g").exists(), "all or nothing");
    let recorded = site.recorded("run").await;
    assert!(recorded.contains(&("conflict".into(), "f".into())), "{recorded:?}");
}

#[tokio::test]
async fn the_same_content_is_no_conflict_and_neither_is_a_directory() {
    let site = Site::new();
    let transaction = site.begin("late", &[]).await;
    let make = MakeDirectory {
        path: path("d"),
        mode: None,
        umask: 0o022,
        parents: true,
        must_create: false,
    };
    site.engine.run(caller("other"), Box::new(make)).await.unwrap();
    site.publish("d/f", "same").await;
    std::fs::create_dir(site.upper(&transaction, "d")).unwrap();
    std::fs::write(site.upper(&transaction, "d/f"), "same").unwrap();
    std::fs::write(site.upper(&transaction, "d/g"), "more").unwrap();
    transaction.commit(Terms::default()).await.unwrap();
    assert_eq!((site.read("d/f"), site.read("d/g")), ("same".into(), "more".into()));
}

#[tokio::test]
async fn the_last_one_wins_where_that_is_asked_for() {
    let site = Site::new();
    let transaction = site.begin("late", &[]).await;
    site.publish("f", "theirs").await;
    std::fs::write(site.upper(&transaction, "f"), "ours").unwrap();
    let terms = Terms { over_conflicts: true, ..Terms::default() };
    let done = transaction.commit(terms).await.unwrap();
    assert_eq!(site.read("f"), "ours");
    assert_eq!(done.report.conflicts.len(), 1);
    assert!(site.recorded("run").await.contains(&("conflict".into(), "f".into())));
}

/// Adds a line to a file as `ar` adds a member: reads what there is, writes all of it anew.
async fn add_line(site: &Site, line: &str) -> usize {
    let mut after = Vec::new();
    for attempt in 1.. {
        let transaction = site.begin(line, &after).await;
        let before = std::fs::read_to_string(site.path("list")).unwrap_or_default();
        tokio::task::yield_now().await;
        std::fs::write(site.upper(&transaction, "list"), format!("{before}{line}\n")).unwrap();
        match transaction.commit(Terms { give_way: true, ..Terms::default() }).await {
            Ok(_) => return attempt,
            Err(NotCommitted::Conflicted(conflicts, _)) => {
                after = conflicts.into_iter().map(|conflict| conflict.path).collect();
            }
            Err(refused) => panic!("{refused:?}"),
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_that_change_one_file_none_is_lost_and_none_runs_for_ever() {
    let site = Arc::new(Site::new());
    let add = |n: usize| {
        let site = Arc::clone(&site);
        tokio::spawn(async move { add_line(&site, &format!("line {n}")).await })
    };
    let tasks: Vec<_> = (0..20).map(add).collect();
    let mut most = 0;
    for task in tasks {
        most = most.max(task.await.unwrap());
    }
    let mut lines: Vec<_> = site.read("list").lines().map(str::to_owned).collect();
    lines.sort();
    let mut expected: Vec<_> = (0..20).map(|n| format!("line {n}")).collect();
    expected.sort();
    assert_eq!(lines, expected);
    assert!(most <= 2, "one ran {most} times: for the first time, and in its turn");
    assert!(site.engine.turns().is_idle());
    site.until_staging_is_empty().await;
}

/// One has the turn on `f` and waits for the lease on `d`, under which another waits for the turn.
#[tokio::test]
async fn a_turn_is_not_kept_from_who_has_a_lease_that_is_waited_for() {
    let site = Site::new();
    site.publish("d/f", "old").await;
    let first = site.begin("first", &[path("f")]).await;
    std::fs::write(site.upper(&first, "f"), "first").unwrap();
    std::fs::create_dir(site.upper(&first, "d")).unwrap();
    std::fs::write(site.upper(&first, "d/f"), "first").unwrap();
    let on = Subject::Path(path("d"));
    let lease = site.engine.lease(caller("lock"), on, Access::Exclusive, LIMIT).await.unwrap();
    let second = async {
        let under = Caller { leases: vec![lease.token()], ..caller("second") };
        let second = site.engine.begin(under, String::new(), vec![path("f")]).await.unwrap();
        std::fs::write(site.upper(&second, "f"), "second").unwrap();
        second.commit(Terms { give_way: true, ..Terms::default() }).await.unwrap();
        drop(lease);
    };
    let terms = || Terms { give_way: true, ..Terms::default() };
    let both = async { tokio::join!(first.commit(terms()), second).0 };
    let done = tokio::time::timeout(LIMIT / 4, both).await.expect("they wait for each other");
    assert!(matches!(done, Err(NotCommitted::Conflicted(..))), "{done:?}");
    assert_eq!((site.read("f"), site.read("d/f")), ("second".into(), "old".into()));
    assert!(site.engine.turns().is_idle());
}

#[tokio::test]
async fn what_has_begun_may_commit_while_the_daemon_drains() {
    let site = Site::new();
    let transaction = site.begin("all", &[]).await;
    std::fs::write(site.upper(&transaction, "f"), "f").unwrap();
    site.engine.refuse();
    let refused = site.engine.begin(caller("late"), String::new(), Vec::new()).await.map(drop);
    assert_eq!(refused.unwrap_err().error.reason, Reason::Draining);
    transaction.commit(Terms::default()).await.unwrap();
    assert_eq!(site.read("f"), "f");
    site.engine.drain().await;
}
