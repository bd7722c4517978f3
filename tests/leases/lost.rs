//! Leases that end before their commands.

use rustix::process::Signal;

use super::*;

#[test]
fn a_killed_holder_is_followed_at_once() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock --ttl 3600 d");
    let next = Holder::waiting(&root, "next", "lock d", "");
    until_waiting(&root, 1);
    holder.process().kill();
    next.runs();
    next.ends().ok();
}

#[test]
fn a_killed_waiter_leaves_its_place() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock d");
    let waiter = Holder::waiting(&root, "waiter", "lock d", "");
    let next = Holder::waiting(&root, "next", "lock d", "");
    until_waiting(&root, 2);
    waiter.process().kill();
    until_waiting(&root, 1);
    holder.ends().ok();
    next.ends().ok();
}

#[test]
fn a_holder_that_stood_still_has_lost_its_lease_and_cannot_write() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock --ttl 0.5 d");
    let tokens = holder.tokens();
    let next = Holder::waiting(&root, "next", "lock d", "");
    until_waiting(&root, 1);
    assert!(!next.has_begun());
    holder.process().stop();
    next.runs();
    // The command itself was not stopped: what it does now comes too late.
    let late = root.client().env("ONEWRITER_LEASE", &tokens).json("mkdir -p d/late");
    late.failed(1, "STALE_LEASE");
    let now = format!("pid {} (lock) holds it now", next.client.id());
    assert!(late.stderr.contains(&format!("the lease {tokens} of 'd' is not held any more")));
    assert!(late.stderr.contains(&now), "{late}");
    let late = root.client().run(["mkdir", "--lease", &tokens, "elsewhere"]);
    late.exits(1);
    holder.process().signal(Signal::CONT);
    let lost = holder.client.done();
    assert_eq!(lost.code(), Some(1), "{lost}");
    assert!(lost.stderr.contains("the lease on 'd' is lost"), "{lost}");
    assert!(!root.at("d").exists() && !root.at("elsewhere").exists());
    next.ends().ok();
}

#[test]
fn a_lease_is_kept_alive_for_many_times_its_time_to_live() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock --ttl 0.3 d");
    // Longer than its time to live, by the clock of the one who waits.
    root.run("lock --timeout 1.5 d -- true").exits(5);
    holder.ends().ok();
}

#[test]
fn a_killed_daemon_makes_tokens_stale_and_commands_end() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock d");
    let tokens = holder.tokens();
    root.daemon().kill();
    let stale = root.client().env("ONEWRITER_LEASE", &tokens).json("mkdir -p d");
    stale.failed(1, "STALE_LEASE");
    let lost = holder.client.done();
    assert_eq!(lost.code(), Some(1), "{lost}");
    assert!(lost.stderr.contains("the lease on 'd' is lost: the daemon has gone away"), "{lost}");
    let next = Holder::start(&root, "next", "lock d");
    assert!(next.tokens().parse::<u64>().unwrap() > tokens.parse().unwrap());
    next.ends().ok();
}

#[test]
fn who_waits_goes_on_waiting_with_the_next_daemon() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock d");
    let waiter = Holder::waiting(&root, "waiter", "lock d", "");
    until_waiting(&root, 1);
    root.daemon().kill();
    waiter.runs();
    waiter.ends().ok();
    holder.client.done().exits(1);
}

#[test]
fn a_lease_keeps_no_daemon_from_stopping() {
    let root = Root::new();
    let holder = Holder::start(&root, "holder", "lock d");
    root.run("stop").ok();
    let lost = holder.client.done();
    assert_eq!(lost.code(), Some(1), "{lost}");
    assert!(lost.stderr.contains("is lost"), "{lost}");
    root.run("mkdir -p d").ok();
}

#[test]
fn a_token_that_is_none_is_refused() {
    let root = Root::new();
    root.client().env("ONEWRITER_LEASE", "x").run("mkdir d").exits(2);
    root.client().env("ONEWRITER_LEASE", "7").json("mkdir d").failed(1, "STALE_LEASE");
    root.client().direct().env("ONEWRITER_LEASE", "7").run("mkdir d").exits(4);
    assert!(!root.at("d").exists());
    root.client().env("ONEWRITER_LEASE", "").run("mkdir d").ok();
}

#[test]
fn what_a_transaction_did_under_a_lease_is_fenced_when_it_is_committed() {
    let root = Root::new();
    root.run("lock d -- onewriter run -- mkdir -p d/x").ok();
    assert!(root.at("d/x").is_dir());
    let stale = root.client().env("ONEWRITER_LEASE", "7").json("run -- mkdir late");
    stale.failed(1, "STALE_LEASE");
    assert!(!root.at("late").exists());
    let holder = Holder::start(&root, "holder", "lock d");
    let others = root.client().start("run -- touch d/y");
    until_waiting(&root, 1);
    assert!(!root.at("d/y").exists());
    holder.ends().ok();
    others.done().ok();
    assert!(root.at("d/y").exists());
}

#[test]
fn in_a_transaction_there_are_no_leases_and_it_says_so() {
    let root = Root::new();
    for inner in ["lock d -- true", "once --build b key -- true"] {
        let refused = root.run(&format!("run -- onewriter {inner}"));
        refused.exits(4);
        assert!(refused.stderr.contains("a command in a transaction has none"), "{refused}");
    }
}
