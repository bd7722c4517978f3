//! Many clients at once, while owners are killed, stopped and cut off: what was accepted is neither lost,
//! nor reordered, nor done twice.
//!
//! Each client notes what it asked for, when, and what it was told; somebody else reads the files all the
//! time; and the journal tells how often a path was changed. Every content is another one, so that all can
//! be told apart. `ONEWRITER_CLUSTER_ROUNDS` sets how many faults there are (three, one of each kind, if
//! not set): a campaign of 60 takes some five minutes.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Cluster, go_on};

/// Clients that publish, all to the same files.
const WRITERS: usize = 3;

/// Those files.
const FILES: [&str; 2] = ["shared/one", "shared/two"];

/// The first owner is killed when it has acted so often and has not said so.
const FIRST: &str = "keys.done:40";

/// How long a client waits for an owner, in seconds: longer than any fault lasts.
const PATIENCE: &str = "45";

/// A publish.
#[derive(Clone, Debug)]
struct Publish {
    path: &'static str,
    content: String,
    begun: Instant,
    ended: Instant,
    accepted: bool,
}

/// What was seen of the files.
#[derive(Default)]
struct History {
    published: Mutex<Vec<Publish>>,
    /// Contents of each file, each time that it was another one.
    seen: Mutex<BTreeMap<&'static str, Vec<String>>>,
    over: AtomicBool,
}

#[test]
fn nothing_accepted_is_lost_reordered_or_done_twice() {
    let rounds = std::env::var("ONEWRITER_CLUSTER_ROUNDS").ok().and_then(|n| n.parse().ok());
    let Some(cluster) = Cluster::led(&[("ONEWRITER_FAULT", FIRST)], 3) else { return };
    let (history, url) = (History::default(), cluster.url());
    let root = &cluster.root;
    let moved = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (history, url) = (&history, &url);
            scope.spawn(move || history.publish(root, url, writer));
        }
        let mover = scope.spawn(|| history.rename(root, &url));
        scope.spawn(|| history.watch(root));
        let faults = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..rounds.unwrap_or(3)).for_each(|round| fault(&cluster, round));
        }));
        history.over.store(true, SeqCst);
        let moved = mover.join();
        faults.unwrap();
        moved.unwrap()
    });
    let published = history.published.into_inner().unwrap();
    let seen = history.seen.into_inner().unwrap();
    assert!(published.iter().all(|publish| publish.accepted), "clients resume by themselves");
    assert!(published.len() > 20, "too little was published: {}", published.len());
    assert!(root.at(&format!("moved/{moved}")).exists(), "a rename was lost, or done twice");
    assert_eq!(fs::read_dir(root.at("moved")).unwrap().count(), 1);
    for path in FILES {
        check(path, &published, &seen[path], &root.read(path));
        let of_path = |publish: &&Publish| publish.path == path;
        let journal = cluster.run(&format!("log -c -n 0 --path {path}"));
        let changes = journal.ok().lines().count();
        let asked = published.iter().filter(of_path).count();
        // A killed daemon may have lost its last records, and none is there twice.
        assert!(
            (asked / 2..=asked).contains(&changes),
            "{path}: {asked} publishes were {changes} changes"
        );
    }
}

impl History {
    fn publish(&self, root: &crate::support::Root, url: &str, writer: usize) {
        for number in 0.. {
            if self.over.load(SeqCst) {
                return;
            }
            let path = FILES[number % FILES.len()];
            let content = format!("{writer}-{number}");
            let begun = Instant::now();
            let done = root
                .client()
                .within(root.outside("afar"))
                .env("ONEWRITER_SERVER", url)
                .env("ONEWRITER_TIMEOUT", PATIENCE)
                .input(&content)
                .run(&format!("publish -p {path}"));
            if !done.succeeded() {
                eprintln!("{done}");
            }
            let (ended, accepted) = (Instant::now(), done.succeeded());
            let publish = Publish { path, content, begun, ended, accepted };
            self.published.lock().unwrap().push(publish);
        }
    }

    /// Renames one file again and again; what its last name is. Done twice, a rename fails.
    fn rename(&self, root: &crate::support::Root, url: &str) -> usize {
        root.write("moved/0", "moved");
        let mut at = 0;
        while !self.over.load(SeqCst) {
            let done = root
                .client()
                .within(root.outside("afar"))
                .env("ONEWRITER_SERVER", url)
                .env("ONEWRITER_TIMEOUT", PATIENCE)
                .run(&format!("mv moved/{at} moved/{}", at + 1));
            done.ok();
            at += 1;
        }
        at
    }

    fn watch(&self, root: &crate::support::Root) {
        let mut last = HashMap::new();
        while !self.over.load(SeqCst) {
            for path in FILES {
                let Ok(content) = fs::read_to_string(root.at(path)) else { continue };
                if last.get(path) != Some(&content) {
                    last.insert(path, content.clone());
                    self.seen.lock().unwrap().entry(path).or_default().push(content);
                }
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Whether what was published, what was seen and what is there at the end can have happened one after
/// another, each publish once between its begin and its end.
fn check(path: &str, published: &[Publish], seen: &[String], last: &str) {
    let of: HashMap<&str, &Publish> = published
        .iter()
        .filter(|publish| publish.path == path)
        .map(|publish| (publish.content.as_str(), publish))
        .collect();
    let known = |content: &str| {
        *of.get(content).unwrap_or_else(|| panic!("{path}: nobody published '{content}'"))
    };
    let last = known(last);
    for publish in of.values() {
        assert!(publish.begun <= last.ended, "{path}: lost: {publish:?} after {last:?}");
    }
    let mut met = HashMap::new();
    for (at, content) in seen.iter().enumerate() {
        known(content);
        if let Some(before) = met.insert(content, at) {
            panic!(
                "{path}: '{content}' was there twice, first as number {before}, then as {at}: {seen:?}"
            );
        }
    }
    for (at, earlier) in seen.iter().enumerate() {
        for later in &seen[at + 1..] {
            let (earlier, later) = (known(earlier), known(later));
            assert!(
                later.ended >= earlier.begun,
                "{path}: reordered: {later:?} was there after {earlier:?}"
            );
        }
    }
}

/// Something bad happens to the owner, and passes.
fn fault(cluster: &Cluster, round: usize) {
    let owner = cluster.owner();
    match round % 3 {
        0 => {
            if round > 0 {
                cluster.kill(owner);
            }
            cluster.owner_after(owner);
            cluster.join(&[]);
        }
        1 => {
            cluster.process(owner).stop();
            cluster.owner_after(owner);
            go_on(cluster.process(owner));
        }
        _ => {
            cluster.members.borrow()[owner].way.cut();
            cluster.owner_after(owner);
            cluster.members.borrow()[owner].way.heal();
        }
    }
    // Something is to happen under the new owner, too.
    thread::sleep(Duration::from_millis(300));
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let now = Instant::now();
    let at = |from: u64, to: u64, content: &str| Publish {
        path: "f",
        content: content.into(),
        begun: now + Duration::from_secs(from),
        ended: now + Duration::from_secs(to),
        accepted: true,
    };
    let published = [at(0, 1, "a"), at(2, 3, "b"), at(2, 5, "c")];
    let verdict = |seen: &[&str], last: &str| {
        let seen: Vec<_> = seen.iter().map(ToString::to_string).collect();
        std::panic::catch_unwind(|| check("f", &published, &seen, last)).is_ok()
    };
    assert!(verdict(&["a", "b", "c"], "c") && verdict(&["a", "c", "b"], "b"));
    assert!(!verdict(&["a"], "a"), "b is lost");
    assert!(!verdict(&["b", "a", "c"], "c"), "reordered");
    assert!(!verdict(&["a", "b", "a", "c"], "c"), "twice");
    assert!(!verdict(&["x"], "c"), "nobody's");
}
