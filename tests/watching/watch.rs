//! What is changed, as it is told: every record once, whatever becomes of the daemon and of the way to
//! it.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use super::*;
use crate::support::Link;

fn seqs(done: &Done) -> Vec<i64> {
    objects(done).iter().map(|object| object["seq"].as_i64().expect("a number")).collect()
}

#[test]
fn history_and_what_comes_are_one_stream() {
    let root = Root::new();
    root.run("mkdir a b").ok();
    let watching = root.client().start("watch --json --from 1 --count 3");
    until_asked(&root, "WatchJournal");
    root.run("mkdir c").ok();
    root.run("mkdir a/d").ok();
    let done = watching.done();
    let told: Vec<_> =
        objects(&done).iter().map(|o| o["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!((told, seqs(&done)), (vec!["b".into(), "c".into(), "a/d".into()], vec![2, 3, 4]));
    let done = root.run("watch --from 0 -n 2 a");
    let lines: Vec<_> = done.ok().lines().collect();
    assert!(lines[0].trim_start().starts_with("1 ") && lines[1].contains("'a/d'"), "{done}");
    assert_eq!(root.run("watch --from 0 --count 0").ok(), "");
}

#[test]
fn a_position_that_there_is_not_is_refused() {
    let root = Root::new();
    root.run("mkdir a").ok();
    let done = root.client().json("watch --from 2");
    done.failed(1, "POSITION_GONE");
    assert!(done.stderr.contains("positions are 0 to 1"), "{done}");
    root.run("watch --from x").exits(2);
    let inside = root.run("run onewriter watch");
    assert_eq!(inside.code(), Some(4), "{inside}");
}

/// Has the load end, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn nothing_is_lost_or_repeated_over_daemons_that_hand_over_stop_and_are_killed() {
    const COUNT: usize = 120;
    let root = Root::new();
    root.started();
    let watching = root.client().start(format!("watch --json --from 0 --count {COUNT}").as_str());
    until_asked(&root, "WatchJournal");
    let over = AtomicBool::new(false);
    let made = |n: usize| root.at(&format!("d{n}")).exists();
    let done = thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            for n in 0.. {
                if over.load(Relaxed) {
                    break;
                }
                // One that was killed may have done it before it could say so.
                root.run(["mkdir", &format!("d{n}")]);
            }
        });
        until("some are made", || made(15));
        replace(&root);
        until("more are made", || made(40));
        root.run("stop").ok();
        until("more are made", || made(65));
        root.daemon().kill();
        watching.done()
    });
    assert!(done.succeeded(), "{done}");
    assert_eq!(seqs(&done), Vec::from_iter(1..=COUNT as i64));
    let logged = root.run("log --json -n 0");
    let logged = &objects(&logged)[..COUNT];
    assert_eq!(objects(&done), logged, "it is what the journal has");
}

#[test]
fn a_link_that_is_cut_costs_nothing() {
    let root = Root::new();
    root.started();
    let link = Link::to(&root);
    let watching = root.client().env("ONEWRITER_SERVER", link.url());
    // The first one is of the daemon's start.
    let watching = watching.start("watch --json --from 0 --count 11");
    for n in 0..10 {
        until_asked(&root, "WatchJournal");
        root.run(["mkdir", &format!("d{n}")]).ok();
        link.cut();
    }
    let done = watching.done();
    assert!(done.succeeded(), "{done}");
    assert_eq!(seqs(&done), Vec::from_iter(1..=11));
}

#[test]
fn it_ends_when_nobody_reads_what_it_prints() {
    let root = Root::new();
    root.run("mkdir a").ok();
    // Nothing more is written that could tell it.
    let done = root.sh("onewriter watch --from 0 | head -n 1");
    assert!(done.ok().contains("'a'"), "{done}");
}
