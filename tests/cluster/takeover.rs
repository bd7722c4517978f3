//! An owner that dies, stands still, or is cut off, and the one that follows.

use rustix::process::Signal;

use super::{Cluster, go_on};
use crate::support::until;

#[test]
fn a_standby_follows_an_owner_that_is_killed() {
    let Some(cluster) = Cluster::new(2) else { return };
    cluster.publish("a", "before").ok();
    until("it is on record", || cluster.run("log --path a").text().contains("publish"));
    let first = cluster.owner();
    cluster.kill(first);
    // The client waits for whoever follows.
    cluster.publish("a", "after").ok();
    assert_eq!(cluster.owner(), 1 - first);
    assert_eq!(cluster.root.read("a"), "after");
    let log = cluster.run("log --path a").ok().to_owned();
    assert_eq!(log.lines().filter(|line| line.contains("publish")).count(), 2, "{log}");
}

#[test]
fn what_was_done_and_not_answered_is_not_done_again() {
    // Killed when it has acted and has not said so; and when it was about to act.
    for fault in ["keys.done:1", "keys.intended:1"] {
        let Some(cluster) = Cluster::led(&[("ONEWRITER_FAULT", fault)], 2) else { return };
        cluster.root.write("a", "content");
        cluster.run("mv a b").ok();
        assert_eq!(cluster.owner(), 1, "the first one was killed");
        assert_eq!(cluster.root.read("b"), "content");
        assert!(!cluster.root.at("a").exists());
    }
}

#[test]
fn a_commit_that_its_owner_was_killed_in_is_completed() {
    let Some(cluster) = Cluster::led(&[("ONEWRITER_FAULT", "commit.step:3")], 2) else { return };
    let root = &cluster.root;
    for name in ["a", "b", "c"] {
        root.write(name, "old");
    }
    let script = "for f in a b c; do echo new > $f; done";
    let broken = root.client().run(["run", "--", "sh", "-c", script]);
    assert_eq!(broken.code(), Some(6), "{broken}");
    assert_eq!(cluster.owner_after(0), 1);
    cluster.run("mkdir d").ok();
    let all = ["a", "b", "c"].map(|name| root.read(name));
    assert!(all.iter().all(|text| *text == all[0]), "{all:?}");
}

#[test]
fn an_owner_that_stood_still_writes_nothing_when_it_goes_on() {
    let Some(cluster) = Cluster::new(2) else { return };
    let first = cluster.owner();
    // Somebody is served at that moment.
    let waiting = cluster.client().start("lock held -- sleep 30");
    until("it holds", || cluster.run("status").text().contains("held"));
    cluster.process(first).stop();
    cluster.publish("a", "by the second").ok();
    assert_eq!(cluster.owner(), 1 - first);
    go_on(cluster.process(first));
    cluster.says(first, "the build root is lost");
    cluster.says(first, "another daemon owns the build root");
    cluster.publish("a", "still by the second").ok();
    let direct = cluster.client_of(&cluster.address(first)).input("sent on").run("publish b");
    direct.ok();
    assert_eq!(cluster.owner(), 1 - first);
    drop(waiting);
    // And it follows in its turn.
    cluster.kill(1 - first);
    cluster.publish("a", "by the first").ok();
    assert_eq!(cluster.owner(), first);
}

/// It stands still between its question whether it owns the root and the act, for longer than its lease; and
/// is not told, when it goes on, before it has acted.
#[test]
fn an_owner_that_stood_still_right_before_it_acted_cannot_act_any_more() {
    let Some(cluster) = Cluster::led(&[("ONEWRITER_FAULT", "stop:publish.place:1")], 2) else {
        return;
    };
    cluster.root.write("a", "before");
    // The client that it was serving goes on to the second one, which does what it asked for.
    cluster.publish("a", "asked of the first").ok();
    assert_eq!((cluster.owner(), cluster.root.read("a").as_str()), (1, "asked of the first"));
    cluster.publish("a", "later").ok();
    go_on(cluster.process(0));
    cluster.says(0, "the build root is lost");
    cluster.client_of(&cluster.address(0)).run("stat a").ok();
    assert_eq!(cluster.root.read("a"), "later");
    let staged = cluster.root.staging();
    assert!(staged.iter().all(|name| name.starts_with("t-")), "{staged:?}");
}

#[test]
fn an_owner_that_is_cut_off_from_etcd_stops_before_another_begins() {
    let Some(cluster) = Cluster::new(2) else { return };
    let first = cluster.owner();
    cluster.publish("a", "by the first").ok();
    cluster.members.borrow()[first].way.cut();
    assert_eq!(cluster.owner_after(first), 1 - first);
    cluster.publish("a", "by the second").ok();
    let cut_off = cluster.client_of(&cluster.address(first)).env("ONEWRITER_TIMEOUT", "0.3");
    cut_off.input("late").json("publish a").failed(4, "NOT_OWNER");
    assert_eq!(cluster.root.read("a"), "by the second");
    cluster.members.borrow()[first].way.heal();
    cluster.says(first, "another daemon owns the build root");
    cluster.client_of(&cluster.address(first)).input("sent on").run("publish a").ok();
    assert_eq!(cluster.root.read("a"), "sent on");
}

#[test]
fn an_owner_that_is_told_to_end_leaves_the_root_at_once() {
    let Some(cluster) = Cluster::new(2) else { return };
    let first = cluster.owner();
    cluster.process(first).signal(Signal::TERM);
    cluster.publish("a", "by the second").ok();
    assert_eq!(cluster.owner(), 1 - first);
    let log = cluster.log(first);
    assert!(log.contains("ended"), "{log}");
    cluster.client().json("stop").code();
}
