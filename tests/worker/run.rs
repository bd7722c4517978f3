//! What a command does on a copy, the root has too; or neither has.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use super::{Worker, names};
use crate::{
    remote::Afar,
    support::{Process, shape, stamp, until},
};

fn afar() -> Afar {
    let afar = Afar::new();
    for (path, content) in [
        ("src/a", "a\n"),
        ("src/b", "b\n"),
        ("old/deep/x", "x\n"),
        ("old/y", "y\n"),
        ("tool", "t\n"),
    ] {
        afar.root.write(path, content);
    }
    fs::set_permissions(afar.root.at("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    afar
}

#[test]
fn all_that_a_command_did_is_in_the_root_and_in_the_copy() {
    let afar = afar();
    let worker = Worker::new(&afar, "copy");
    worker.is_a_copy();
    let kept = stamp(afar.root.at("src/b"));
    let script = "set -e
        echo more >> src/a; cat src/b > b && cat b > src/b && rm b
        rm -r old/deep; rm old/y; mkdir -m 750 new new/er; echo n > new/er/f; chmod 640 new/er/f
        ln -s ../src/a new/link; ln new/er/f new/hard; chmod 700 src; mv tool new/tool
        rm -r old; mkdir old; echo z > old/z; mkdir -m 555 closed.d; mkdir empty";
    worker.script("", script).ok();
    worker.is_a_copy();
    assert_eq!(afar.root.read("src/a"), "a\nmore\n");
    assert_eq!(names(&afar.root.at("old")), ["z"]);
    assert_eq!(stamp(afar.root.at("src/b")), kept, "it has the same content");
    for root in [afar.root.path(), &worker.path()] {
        let inode = |path: &str| fs::metadata(root.join(path)).unwrap().ino();
        assert_eq!(inode("new/er/f"), inode("new/hard"));
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
        assert_eq!((mode("src"), mode("new"), mode("closed.d")), (0o700, 0o750, 0o555));
    }
    let mtime = |path: std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(mtime(afar.root.at("src/a")), mtime(worker.at("src/a")));
    // It stands where it was started, and paths are those below the copy.
    let within = worker.client().within(worker.at("src"));
    let done = within.json(["run", "-o", "c", "--strict", "--", "sh", "-c", "pwd; echo c > c"]);
    assert_eq!(done.outcomes(), ["created src/c"]);
    worker.is_a_copy();
    let log = afar.root.run("log").ok().to_owned();
    assert!(log.lines().any(|line| line.contains("run") && line.contains("src/c")), "{log}");
    let daemons = Process::daemons(&worker.path());
    assert!(daemons.is_empty(), "a copy has no daemon: {daemons:?}");
}

#[test]
fn of_a_command_that_fails_nothing_happens_on_either_side() {
    let afar = afar();
    let worker = Worker::new(&afar, "copy");
    let before = shape(&worker.path());
    let done = worker.script("--keep-failed", "echo 2 > src/a; echo 3 > new; exit 7");
    assert_eq!(done.code(), Some(7));
    let kept = done.stderr.split('\'').nth(1).unwrap_or_else(|| panic!("{done}"));
    assert_eq!(fs::read_to_string(format!("{kept}/new")).unwrap(), "3\n");
    worker.script("--strict -o x", "echo x > x; echo y > y").exits(1);
    worker.client().run(["run", "no-such-program"]).exits(127);
    assert_eq!(shape(&worker.path()), before);
    worker.is_a_copy();
}

#[test]
fn content_that_the_root_has_is_not_sent() {
    let afar = afar();
    afar.root.write("big", vec![b'x'; 3 << 20]);
    let worker = Worker::new(&afar, "copy");
    let sent = || afar.link.sent();
    let before = sent();
    worker.script("", "mkdir d; cp big d/2; head -c 1000000 /dev/zero > zeros").ok();
    let once = sent() - before;
    // Of the copy of `big`, the root does not yet know where it lies.
    assert!((4_100_000..4_300_000).contains(&once), "{once}");
    worker.script("", "cp big d/3; touch big; cp zeros z; echo z >> z; mv d e").ok();
    let again = sent() - before - once;
    assert!((1_000_000..1_100_000).contains(&again), "{again}");
    worker.is_a_copy();
}

#[test]
fn what_a_worker_runs_is_seen_at_the_root() {
    let afar = afar();
    let worker = Worker::new(&afar, "copy");
    let run = worker.waiting("", "true", "echo 2 > src/a");
    let status = afar.root.run("status").ok().to_owned();
    assert!(status.contains("echo 2 > src/a"), "{status}");
    worker.go_on();
    run.done().ok();
    worker.is_a_copy();
}

#[test]
fn what_a_killed_command_left_is_cleared_away_by_the_next() {
    let afar = afar();
    let worker = Worker::new(&afar, "copy");
    let run = worker.waiting("", "echo 2 > src/a", "true");
    Process(run.id()).kill();
    until("the root has given it up", || afar.root.staging().is_empty());
    assert_ne!(names(&worker.at(".onewriter/staging")), [""; 0]);
    drop(run);
    worker.script("", "echo 3 > src/a").ok();
    worker.is_a_copy();
}

#[test]
fn a_copy_and_a_root_with_a_daemon_are_not_the_same() {
    let afar = afar();
    let worker = Worker::new(&afar, "copy");
    let nowhere = afar.client().json("run true");
    nowhere.failed(3, "NO_ROOT");
    assert!(nowhere.stderr.contains("fetch"), "{nowhere}");
    // The root's own daemon owns it.
    afar.client().within(afar.root.path()).json("run true").failed(4, "UNREACHABLE");
    let run = worker.waiting("", "true", "true");
    let local = worker.client().env("ONEWRITER_SERVER", "").run("mkdir d");
    local.exits(4);
    assert!(local.stderr.contains("copy"), "{local}");
    worker.go_on();
    run.done().ok();
    let make = worker.client().run("make all");
    make.exits(2);
    assert!(make.stderr.contains("ONEWRITER_SERVER"), "{make}");
}
