//! How a daemon ends: idle, told to, or with its root; and what a client that comes at that very
//! moment sees, which is nothing.

use std::{fs, thread, time::Duration};

use crate::support::{LIMIT, Raw, Root, Running, reason_of, until};

#[test]
fn an_idle_daemon_ends_and_the_next_client_starts_another() {
    let root = Root::new();
    root.client().env("ONEWRITER_IDLE_TIMEOUT", "1").run("mkdir a").ok();
    let first = root.daemon();
    assert!(first.ends_within(LIMIT));
    until("no socket is left", || !root.at(".onewriter/daemon.sock").exists());
    root.run("mkdir b").ok();
    assert_ne!(root.daemon(), first);
}

#[test]
fn a_client_that_comes_at_the_moment_of_idle_exit_is_served() {
    let rounds = |root: &Root, seed: u64| {
        for round in 0..5 {
            let client = || root.client().env("ONEWRITER_IDLE_TIMEOUT", "1");
            client().run(["mkdir", &format!("{round}")]).ok();
            // Not to wait for anything: to hit the moment, from all sides.
            let offset = (seed * 7 + round * 11) % 40;
            thread::sleep(Duration::from_millis(975 + offset));
            client().run(["mkdir", &format!("{round}/late")]).ok();
        }
    };
    let roots: Vec<Root> = (0..6).map(|_| Root::new()).collect();
    thread::scope(|scope| {
        for (seed, root) in (0..).zip(&roots) {
            scope.spawn(move || rounds(root, seed));
        }
    });
}

#[test]
fn clients_that_come_while_the_daemon_is_told_to_stop_are_served() {
    let root = Root::new();
    for round in 0..12 {
        root.run(["mkdir", &format!("{round}")]).ok();
        let stop = root.client().start("stop");
        let start = |n| root.client().start(["mkdir", &format!("{round}/{n}")]);
        let clients: Vec<Running> = (0..5).map(start).collect();
        stop.done().ok();
        for client in clients {
            client.done().ok();
        }
        assert_eq!(fs::read_dir(root.at(&round.to_string())).unwrap().count(), 5);
    }
}

#[test]
fn stop_returns_when_the_daemon_has_ended() {
    let root = Root::new();
    let daemon = root.started();
    assert_eq!(root.run("stop --json").json()["stopped"], daemon.0);
    assert!(!daemon.lives());
    assert!(!root.at(".onewriter/daemon.sock").exists());
    assert!(root.run("stop --json").json()["stopped"].is_null());
    assert_eq!(root.daemons(), [], "asking starts none");
}

#[test]
fn a_daemon_that_stands_still_is_waited_for_no_longer_than_asked() {
    let root = Root::new();
    let daemon = root.started();
    daemon.stop();
    for command in ["mkdir d --timeout 0.5", "status --timeout 0.5", "stop --timeout=0.5"] {
        let done = root.client().json(command);
        done.failed(5, "TIMED_OUT");
        assert!(done.took < Duration::from_secs(20), "{done}");
    }
    daemon.signal(rustix::process::Signal::CONT);
    root.run("mkdir d").ok();
}

#[test]
fn a_daemon_that_stands_still_without_a_socket_is_waited_for_no_longer_than_asked() {
    let root = Root::new();
    let daemon = root.started();
    daemon.stop();
    fs::remove_file(root.at(".onewriter/daemon.sock")).unwrap();
    let done = root.client().json("mkdir d --timeout 1");
    assert!(!done.succeeded() && done.took < Duration::from_secs(10), "{done}");
    done.failed(5, "TIMED_OUT");
}

#[test]
fn a_daemon_whose_root_was_removed_says_so_and_ends() {
    let root = Root::new();
    let daemon = root.started();
    let mut connection = Raw::connect(&root);
    connection.mkdir("before").unwrap();
    fs::remove_dir_all(root.path()).unwrap();
    assert_eq!(reason_of(connection.mkdir("after")), "ROOT_GONE");
    assert!(daemon.ends_within(Duration::from_secs(15)));
    fs::create_dir(root.path()).unwrap();
    root.refuses("mkdir d", 3, "NO_ROOT");
}

#[test]
fn a_root_that_was_moved_gets_a_daemon_where_it_is() {
    let root = Root::new();
    let first = root.started();
    let moved = root.outside("moved");
    fs::rename(root.path(), &moved).unwrap();
    root.client().within(&moved).run("mkdir d").ok();
    assert!(moved.join("d").is_dir());
    assert!(first.ends_within(LIMIT));
    root.client().within(&moved).run("stop").ok();
    fs::create_dir(root.path()).unwrap();
}

#[test]
fn a_daemon_ends_at_a_signal_and_takes_its_socket_with_it() {
    let root = Root::new();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let daemon = root.started();
        daemon.signal(signal);
        assert!(daemon.ends_within(LIMIT));
        assert!(!root.at(".onewriter/daemon.sock").exists());
    }
}
