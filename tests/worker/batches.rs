//! What else is a transaction, from afar.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::Worker;
use crate::{remote::Afar, support::until};

#[test]
fn a_batch_is_played_on_the_copy() {
    let afar = Afar::new();
    afar.root.write("src", "s");
    let worker = Worker::new(&afar, "copy");
    let list = "mkdir -m 750 d/e\ncp src d/e/x\nln -s x d/e/l\nrm src\n";
    worker.client().input(list).run("batch").ok();
    worker.is_a_copy();
    assert_eq!(afar.root.read("d/e/x"), "s");
    let failing = worker.client().input("rm d/e/x\nrm nothing\n").run("batch");
    failing.exits(1);
    assert!(failing.stderr.contains("line 2"), "{failing}");
    worker.is_a_copy();
    assert_eq!(afar.root.read("d/e/x"), "s");
    worker.client().input("mkdir d/y\nmkdir ../outside\n").run("batch").exits(1);
    assert!(!afar.root.outside("outside").exists());
    worker.is_a_copy();
}

#[test]
fn files_that_belong_together_need_no_copy() {
    let afar = Afar::new();
    afar.write("parser.c", "c1", 0o640);
    afar.write("parser.h", "h1", 0o600);
    let publish =
        |options: &str| afar.client().json(&format!("publish {options} parser.c parser.h"));
    publish("--to gen/deep").failed(1, "NOT_FOUND");
    let done = publish("-p --new --to gen/deep");
    let mut outcomes = done.outcomes();
    outcomes.sort();
    let all = [
        "created gen",
        "created gen/deep",
        "created gen/deep/parser.c",
        "created gen/deep/parser.h",
    ];
    assert_eq!(outcomes, all, "{done}");
    let mode = |path: &str| fs::metadata(afar.root.at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("gen/deep/parser.c"), mode("gen")), (0o640, 0o755));
    publish("--new --to gen/deep").failed(1, "EXISTS");
    // What is there keeps its mode, and what is the same stays.
    fs::set_permissions(afar.root.at("gen/deep/parser.c"), fs::Permissions::from_mode(0o444))
        .unwrap();
    afar.write("parser.c", "c2", 0o640);
    std::os::unix::fs::symlink("gen/deep", afar.root.at("short")).unwrap();
    let mut outcomes = publish("--to short").outcomes();
    outcomes.sort();
    assert_eq!(outcomes, ["replaced gen/deep/parser.c", "unchanged gen/deep/parser.h"]);
    assert_eq!(
        (mode("gen/deep/parser.c"), afar.root.read("gen/deep/parser.c")),
        (0o444, "c2".into())
    );
    publish("--to gen/deep/parser.c").failed(1, "NOT_A_DIRECTORY");
    publish("--move -m 600 --to gen").json();
    assert_eq!((afar.root.read("gen/parser.h").as_str(), mode("gen/parser.c")), ("h1", 0o600));
    assert!(!afar.root.outside("afar/parser.c").exists());
}

#[test]
fn a_publish_whose_link_breaks_happens_once() {
    let afar = Afar::new();
    afar.write("a", "a", 0o644);
    afar.write("b", "b", 0o644);
    for spared in 0..8 {
        afar.link.lose_answers(1, spared);
        afar.run("publish --to . a b").ok();
    }
    assert_eq!(afar.root.read("b"), "b");
    let log = afar.root.run("log").ok().to_owned();
    assert_eq!(log.matches("created").count(), 2, "{log}");
}

#[test]
fn a_key_runs_once_and_what_it_did_is_everywhere() {
    let afar = Afar::new();
    let (one, two) = (Worker::new(&afar, "one"), Worker::new(&afar, "two"));
    let once = |worker: &Worker<'_>, script: &str| {
        let words = ["once", "--scope", "root", "-o", "out", "gen", "--", "sh", "-c", script];
        worker.client().run(words)
    };
    fs::create_dir(one.at("sub")).unwrap();
    once(&one, "echo one > out").ok();
    once(&two, "echo two > out").ok();
    assert_eq!(afar.root.read("out"), "one\n");
    assert_eq!(one.read("out"), "one\n");
    // Its output is gone: it runs again, and is named from where it stands in the copy.
    afar.run("rm out").ok();
    let within = one.client().within(one.at("sub"));
    within.run(["once", "--scope", "root", "-o", "x", "sub", "--", "sh", "-c", "echo x > x"]).ok();
    assert_eq!(afar.root.read("sub/x"), "x\n");
    let failed = once(&two, "exit 3");
    assert_eq!(failed.code(), Some(3));
}

#[test]
fn under_a_lock_a_transaction_is_fenced() {
    let afar = Afar::new();
    let worker = Worker::new(&afar, "copy");
    worker.client().run("lock d -- onewriter run -- mkdir -p d/x").ok();
    worker.is_a_copy();
    let stale = worker.client().env("ONEWRITER_LEASE", "7").json("run -- mkdir late");
    stale.failed(1, "STALE_LEASE");
    assert!(!afar.root.at("late").exists() && !worker.at("late").exists());
    let holder = worker.client().start(["lock", "d", "--", "sh", "-c", &worker.wait()]);
    until("it holds", || worker.runs() == 1);
    let other = worker.start("", "touch d/y");
    let waits = || {
        let leases = afar.root.run("status --json").json()["leases"].clone();
        leases[0]["waiters"].as_array().is_some_and(|waiters| !waiters.is_empty())
    };
    until("the commit waits for the lease", waits);
    assert!(!afar.root.at("d/y").exists());
    worker.go_on();
    holder.done().ok();
    other.done().ok();
    worker.is_a_copy();
}
