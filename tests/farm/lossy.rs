//! Links that lose what goes over them, and come and go.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use super::*;

#[test]
fn over_links_that_lose_and_come_and_go_commands_happen_once() {
    let Some(farm) = Farm::new(&[Link::Lossy(3), Link::Lossy(3)]) else { return };
    farm.root.write("log", "");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                farm.hosts.cut(0);
                thread::sleep(Duration::from_millis(20));
                farm.hosts.heal(0);
                thread::sleep(Duration::from_millis(400));
            }
        });
        let workers = [0, 1].map(|worker| {
            let farm = &farm;
            scope.spawn(move || commands(farm, worker))
        });
        let done = workers.map(thread::ScopedJoinHandle::join);
        over.store(true, SeqCst);
        assert!(done.iter().all(Result::is_ok));
    });
    let log = farm.root.read("log");
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0 a", "0 b", "1 a", "1 b"]);
    assert_eq!(farm.root.read("published0").len(), 100_000);
}

/// What a worker does.
fn commands(farm: &Farm, worker: usize) {
    for name in ["a", "b"] {
        let script = format!("echo {worker} {name} >> log");
        let done = farm.client(worker).run(["run", "--retries", "20", "--", "sh", "-c", &script]);
        assert!(done.succeeded(), "{done}");
    }
    let publish = farm.client(worker).input([b'x'; 100_000]);
    publish.run(format!("publish published{worker}").as_str()).ok();
    farm.client(worker).run("lock --ttl 20 name -- onewriter mkdir -p name/d").ok();
}
