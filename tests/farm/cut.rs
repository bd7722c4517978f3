//! A worker that is cut off, or stands still, has lost what it held, and nothing that it sends later
//! is accepted.

use super::*;
use crate::support::Process;

#[test]
fn who_is_cut_off_loses_a_lock_and_can_change_nothing_more() {
    let Some(farm) = Farm::new(&[Link::Good, Link::Good]) else { return };
    // A transaction that has begun under the lease, and is to be committed after it was lost.
    let holder = farm.start(0, "lock --ttl 1 d -- onewriter run", "mkdir -p d; echo late > d/run");
    let tokens = farm.runs(0);
    let next = farm.start(1, "lock d", "onewriter mkdir -p d; echo next | onewriter publish d/f");
    until("the other waits", || farm.waiters() == 1);

    farm.hosts.cut(0);
    farm.runs(1);
    // While it is cut off it goes on, and sends; the other has the lease now.
    farm.go_on(0);
    let sending = farm.client(0).env("ONEWRITER_LEASE", &tokens).start("--json mkdir -p d/sent");
    farm.go_on(1);
    next.done().ok();
    farm.hosts.heal(0);

    sending.done().failed(1, "STALE_LEASE");
    let lost = holder.done();
    assert_eq!(lost.code(), Some(1), "{lost}");
    // Whichever of the two comes first: that nothing was heard, or that the commit is refused.
    let said = ["the lease on 'd' is lost", "is not held any more"];
    assert!(said.iter().any(|said| lost.stderr.contains(said)), "{lost}");
    let after = farm.client(0).env("ONEWRITER_LEASE", &tokens).run("--json touch d/f");
    after.failed(1, "STALE_LEASE");
    assert_eq!(names(&farm.root.at("d")), ["f"]);
    assert_eq!(farm.root.read("d/f"), "next\n");
    farm.client(0).run("touch d/g").ok();
}

#[test]
fn who_is_cut_off_ends_its_command_without_being_told() {
    let Some(farm) = Farm::new(&[Link::Good]) else { return };
    let holder = farm.client(0).start("lock --ttl 0.5 d -- sleep 1000");
    let holds = || !farm.root.run("status --json").json()["leases"].as_array().unwrap().is_empty();
    until("it has the lease", holds);
    farm.hosts.cut(0);
    let lost = holder.done();
    assert_eq!(lost.code(), Some(1), "{lost}");
    assert!(lost.stderr.contains("the lease on 'd' is lost: nothing was heard"), "{lost}");
    until("others may have it", || !holds());
}

#[test]
fn who_stands_still_loses_a_lock_and_can_change_nothing_more() {
    let Some(farm) = Farm::new(&[Link::Good, Link::Good]) else { return };
    let holder = farm.start(0, "lock --ttl 0.5 d", "onewriter run -- mkdir -p d/late");
    let tokens = farm.runs(0);
    let next = farm.start(1, "lock d", "onewriter mkdir -p d/next");
    until("the other waits", || farm.waiters() == 1);
    let process = Process(holder.id());
    process.stop();
    farm.runs(1);
    let late = farm.client(0).env("ONEWRITER_LEASE", &tokens).run("--json mkdir -p d/made");
    late.failed(1, "STALE_LEASE");
    process.signal(rustix::process::Signal::CONT);
    farm.go_on(0);
    let lost = holder.done();
    assert_eq!(lost.code(), Some(1), "{lost}");
    assert!(lost.stderr.contains("the lease on 'd' is lost"), "{lost}");
    farm.go_on(1);
    next.done().ok();
    assert_eq!(names(&farm.root.at("d")), ["next"]);
}

#[test]
fn what_runs_once_is_run_by_another_when_its_worker_is_cut_off() {
    let Some(farm) = Farm::new(&[Link::Good, Link::Good]) else { return };
    let once = "once --scope root --ttl 1 key";
    let first = farm.start(0, once, "echo first > out");
    farm.runs(0);
    let second = farm.start(1, once, "echo second > out");
    until("the other waits", || farm.waiters() == 1);
    farm.hosts.cut(0);
    farm.runs(1);
    // The first one is done, and cannot say so.
    farm.go_on(0);
    farm.go_on(1);
    second.done().ok();
    farm.hosts.heal(0);
    let lost = first.done();
    assert!(!lost.succeeded() && lost.stderr.contains("is lost"), "{lost}");
    assert_eq!(farm.root.read("out"), "second\n");
    // Of what it had done, its own copy has nothing either.
    assert!(!farm.copy(0).join("out").exists());
    farm.client(0).run("once --scope root key -- false").ok();
    // In the tree of the server, where no copy is needed.
    let unwrapped = "once --unwrapped --scope root -o made other -- onewriter touch made";
    farm.client(0).run(unwrapped).ok();
    farm.client(1).run(&unwrapped.replace("touch made", "touch again")).ok();
    assert!(farm.root.at("made").exists() && !farm.root.at("again").exists());
}

#[test]
fn a_command_that_takes_long_and_one_whose_link_was_cut_meanwhile_are_committed_once() {
    let Some(farm) = Farm::new(&[Link::Good, Link::Good]) else { return };
    let long = farm.start(0, "run", "echo long >> log");
    farm.runs(0);
    let cut = farm.start(1, "run", "echo cut > other");
    farm.runs(1);
    let underway =
        || farm.root.run("status --json").json()["transactions"].as_array().unwrap().len();
    assert_eq!(underway(), 2);
    farm.hosts.cut(1);
    // The server asks each second who still lives.
    until("the one that is cut off is given up", || underway() == 1);
    let status = farm.root.run("status").ok().to_owned();
    assert!(status.contains("long >> log"), "a client answers while its command runs: {status}");
    farm.go_on(0);
    long.done().ok();
    farm.go_on(1);
    farm.hosts.heal(1);
    cut.done().ok();
    assert_eq!(
        (farm.root.read("log").as_str(), farm.root.read("other").as_str()),
        ("long\n", "cut\n")
    );
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}
