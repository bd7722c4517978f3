//! Waiting for a path.

use std::fs;

use super::*;
use crate::support::{Link, Process};

#[test]
fn it_ends_when_the_last_path_is_there() {
    let root = Root::new();
    root.run("mkdir there").ok();
    root.run("wait there").ok();
    let client = waiting(&root, "wait -v there d/f link");
    root.client().input("1234").run("publish -p d/f").ok();
    std::os::unix::fs::symlink("d", root.at("link")).unwrap();
    let done = client.done();
    let lines: Vec<_> = done.ok().lines().collect();
    assert_eq!(lines, ["'there' is there", "'d/f' is there", "'link' is there"], "{done}");
    let told = root.run("wait --json link/f").json();
    let (asked, path) = (&told["found"][0]["asked"], &told["found"][0]["path"]);
    assert_eq!((asked.as_str(), path.as_str()), (Some("link/f"), Some("d/f")));
}

#[test]
fn who_waits_in_vain_is_told_of_the_path_and_of_who_has_it() {
    let root = Root::new();
    root.started();
    let done = root.client().json("wait --timeout 0.2 there/not");
    done.failed(5, "WAIT_TIMEOUT");
    assert!(done.stderr.contains("'there/not'") && done.stderr.contains("nobody"), "{done}");
    let began = root.outside("began");
    let script = format!("touch {}; exec sleep 600", began.display());
    let holder = root.client().start(["lock", "d", "--target", "x", "--", "sh", "-c", &script]);
    until("it has the lease", || began.exists());
    let done = root.client().json("wait --timeout 0.2 d/f");
    done.failed(5, "WAIT_TIMEOUT");
    assert!(done.stderr.contains(&format!("pid {}", holder.id())), "{done}");
    assert!(done.stderr.contains("for target 'x'"), "{done}");
}

#[test]
fn it_goes_on_over_daemons_that_hand_over_and_are_killed() {
    let root = Root::new();
    root.started();
    let (file, change) = (waiting(&root, "wait f"), waiting(&root, "wait --changed --json ."));
    replace(&root);
    until_asked(&root, "Reading/Wait");
    root.daemon().kill();
    // The clients start another by themselves.
    until("there is one", || !root.daemons().is_empty());
    until_asked(&root, "Reading/Wait");
    root.client().input("x").run("publish f").ok();
    file.done().ok();
    let told = change.done().json();
    assert!(told["found"][0]["seq"].as_i64().is_some_and(|seq| seq > 0), "{told}");
}

#[test]
fn a_change_that_comes_while_it_has_no_daemon_is_not_missed() {
    let root = Root::new();
    root.client().input("1").run("publish f").ok();
    let client = waiting(&root, "wait --changed f");
    // It sees neither the end of its daemon nor the next one before that has done it.
    let process = Process(client.id());
    process.stop();
    root.daemon().kill();
    root.client().input("2").run("publish f").ok();
    process.signal(rustix::process::Signal::CONT);
    client.done().ok();
}

#[test]
fn a_change_is_waited_for_from_a_record_on() {
    let root = Root::new();
    root.client().input("1").run("publish f").ok();
    let first = root.run("wait --json --from 0 f").json();
    assert_eq!(first["found"][0]["seq"], 1);
    let client = waiting(&root, "wait --json --from 1 f");
    root.client().input("1").run("publish f").ok();
    root.client().input("2").run("publish f").ok();
    assert_eq!(client.done().json()["found"][0]["seq"], 3, "unchanged is no change");
    root.client().json("wait --from 9 f").failed(1, "POSITION_GONE");
}

#[test]
fn from_afar_it_outlives_the_link() {
    let root = Root::new();
    root.started();
    let link = Link::to(&root);
    let client = root.client().env("ONEWRITER_SERVER", link.url()).start("wait d/f");
    for _ in 0..3 {
        until_asked(&root, "Reading/Wait");
        link.cut();
    }
    fs::create_dir(root.at("d")).unwrap();
    fs::write(root.at("d/f"), "").unwrap();
    client.done().ok();
}

#[test]
fn where_it_could_only_be_in_vain_it_is_refused_with_the_cure() {
    let root = Root::new();
    let inside = root.run("run onewriter wait f");
    assert_eq!(inside.code(), Some(4), "{inside}");
    assert!(inside.stderr.contains("--unwrapped"), "{inside}");
    root.client().direct().json("wait f").failed(4, "UNREACHABLE");
    root.refuses("wait ../f", 1, "OUTSIDE_ROOT");
    root.run("wait").exits(2);
}
