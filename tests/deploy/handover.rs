//! `onewriterd --replace`: an upgrade that no client notices.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread,
};

use crate::support::{Done, LIMIT, ONEWRITERD, Process, Root, until};

fn replace(root: &Root) -> Done {
    let replaced = root.daemons();
    let mut words = vec!["--root".into(), root.path().as_os_str().to_owned()];
    words.extend(["--replace", "--detach"].map(Into::into));
    let done = root.client().start_program(ONEWRITERD, words).done();
    if done.succeeded() {
        // The old one has given the root up; its process may be a moment away from its end, with its
        // command line gone from /proc already.
        assert!(replaced.iter().all(|old| old.ends_within(LIMIT)), "one daemon is left");
    }
    done
}

/// The daemon that serves, by its own word.
fn serving(root: &Root) -> Process {
    let pid = root.run("status --json").json()["pid"].as_u64().expect("a pid");
    Process(pid.try_into().unwrap())
}

/// Has the clients end, also where the test fails: it waits for them.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn ten_upgrades_under_load_cost_no_request() {
    let root = Root::new();
    root.started();
    let (over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let client = |n: u32| {
        for round in 0.. {
            root.run(["mkdir", &format!("d{n}/{round}")]).ok();
            root.client().input(format!("{round}")).run(["publish", &format!("d{n}/f")]).ok();
            root.run(["mv", &format!("d{n}/f"), &format!("d{n}/{round}/g")]).ok();
            root.run(["run", "sh", "-c", &format!("echo {n} > d{n}/{round}/h")]).ok();
            root.run(["rm", &format!("d{n}/{round}/h")]).ok();
            done.fetch_add(1, Relaxed);
            if over.load(Relaxed) {
                return round;
            }
        }
        0
    };
    let rounds: Vec<u32> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|n| scope.spawn(move || client(n))).collect();
        let over = Over(&over);
        for _ in 0..10 {
            let (old, before) = (root.daemon(), done.load(Relaxed));
            replace(&root).ok();
            assert!(!old.lives(), "it has ended");
            until("clients get on", || done.load(Relaxed) >= before + 4);
        }
        drop(over);
        clients.into_iter().map(|client| client.join().expect("no request fails")).collect()
    });
    for (n, rounds) in rounds.into_iter().enumerate() {
        for round in 0..=rounds {
            assert_eq!(root.read(&format!("d{n}/{round}/g")), round.to_string());
            assert!(!root.at(&format!("d{n}/{round}/h")).exists());
        }
    }
    assert_eq!(root.daemon(), serving(&root));
}

#[test]
fn where_none_runs_it_starts() {
    let root = Root::new();
    replace(&root).ok();
    assert_eq!(root.daemon(), serving(&root));
}

#[test]
fn a_transaction_that_ends_in_time_is_committed_by_the_old_daemon() {
    let root = Root::new();
    let old = root.started();
    let command = root.client().start([
        "run",
        "sh",
        "-c",
        "echo x > f; until test -e \"$0\"; do sleep 0.01; done",
        root.outside("go").to_str().unwrap(),
    ]);
    until("it runs", || root.run("status").text().contains("run"));
    thread::scope(|scope| {
        let successor = scope.spawn(|| replace(&root).ok().to_owned());
        until("it has handed over", || {
            fs::read_to_string(root.at(".onewriter/daemon.log")).unwrap().contains("takes over")
        });
        fs::write(root.outside("go"), "").unwrap();
        successor.join().unwrap();
    });
    command.done().ok();
    assert_eq!(root.read("f"), "x\n");
    assert!(!old.lives());
}

#[test]
fn a_lease_ends_with_the_daemon_that_gave_it_and_what_comes_under_it_is_refused() {
    let root = Root::new();
    root.run("mkdir d").ok();
    let script = "until test -e \"$0\"; do sleep 0.01; done; onewriter mkdir d/late";
    let holder = root.client().start([
        "lock",
        "d",
        "--",
        "sh",
        "-c",
        script,
        root.outside("go").to_str().unwrap(),
    ]);
    until("it holds the lease", || root.run("status").text().contains("lock"));
    replace(&root).ok();
    fs::write(root.outside("go"), "").unwrap();
    let done = holder.done();
    assert!(!done.succeeded(), "{done}");
    assert!(!root.at("d/late").exists());
    root.run("mkdir d/e").ok();
}

#[test]
fn what_is_no_request_for_it_hands_nothing_over() {
    use std::io::Write as _;
    let root = Root::new();
    let daemon = root.started();
    let socket = root.at(".onewriter/handover.sock");
    for words in [&b""[..], b"HAND", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stranger = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stranger.write_all(words).unwrap();
    }
    root.run("mkdir d").ok();
    assert_eq!(root.daemon(), daemon);
    replace(&root).ok();
    assert_ne!(root.daemon(), daemon);
}

#[test]
fn a_transaction_that_takes_too_long_runs_again_under_the_new_daemon() {
    let root = Root::new();
    let directory = root.path().to_str().unwrap();
    let start = ["--root", directory, "--drain-timeout", "0", "--detach"];
    root.client().start_program(ONEWRITERD, start).done().ok();
    let (runs, go) = (root.outside("runs"), root.outside("go"));
    let script = format!(
        "echo x >> {}; echo x >> f; until test -e {}; do sleep 0.01; done",
        runs.display(),
        go.display()
    );
    let command = root.client().start(["run", "sh", "-c", &script]);
    until("it runs", || runs.exists());
    replace(&root).ok();
    fs::write(go, "").unwrap();
    let done = command.done();
    assert!(done.succeeded(), "{done}");
    assert_eq!(fs::read_to_string(runs).unwrap(), "x\nx\n");
    assert_eq!(root.read("f"), "x\n", "the first run has left nothing");
}
