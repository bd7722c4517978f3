//! Many at once: nobody fails for another's sake, and nobody sees anything half done.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use onewriter_client::wire::CallError;
use onewriter_proto::v1::{MutationResponse, Outcome, Remove, RemoveRequest};

use crate::support::{Raw, Root, Running, reason_of, until};

/// Some paths of a tree in which all paths overlap.
fn deep_paths(seed: usize, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| {
        let n = n * 7 + seed;
        format!("t/{}/{}/{}/{}", n % 3, n % 4, n % 5, n % 50)
    })
}

#[test]
fn client_processes_make_overlapping_trees() {
    let root = Root::new();
    let start = |seed: usize| -> Running {
        let script = deep_paths(seed, 6).map(|path| format!("onewriter mkdir {path} && "));
        let script = format!("{}:", script.collect::<String>());
        root.client().start_program("/bin/sh", ["-c", &script])
    };
    for shell in (0..64).map(start).collect::<Vec<_>>() {
        shell.done().ok();
    }
    assert!((0..64).flat_map(|seed| deep_paths(seed, 6)).all(|path| root.at(&path).is_dir()));
    root.daemon();
}

#[test]
fn clients_make_and_remove_overlapping_trees() {
    let root = Root::new();
    root.started();
    let (made, removed, not_empty) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let count = |counter: &AtomicU64, outcome: Outcome, answer: MutationResponse| {
        let found = answer.changes.iter().filter(|change| change.outcome() == outcome).count();
        counter.fetch_add(found as u64, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for seed in 0..64 {
            let (root, made, removed, not_empty) = (&root, &made, &removed, &not_empty);
            scope.spawn(move || {
                let mut raw = Raw::connect(root);
                for (n, path) in deep_paths(seed, 60).enumerate() {
                    let answer = raw.mkdir(path.clone()).unwrap_or_else(|e| panic!("{path}: {e}"));
                    count(made, Outcome::Created, answer);
                    if n % 2 == 0 {
                        continue;
                    }
                    // As far up as others have left nothing in it.
                    for above in Path::new(&path).ancestors().take(4) {
                        match rmdir(&mut raw, above) {
                            Ok(answer) => count(removed, Outcome::Removed, answer),
                            refused => {
                                assert_eq!(reason_of(refused), "NOT_EMPTY", "{path}");
                                not_empty.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                        }
                    }
                }
            });
        }
    });
    let exist = crate::support::shape(root.path()).len() as u64;
    let (made, removed) = (made.into_inner(), removed.into_inner());
    assert_eq!(made, removed + exist, "who made or removed a directory, said so");
    let not_empty = not_empty.into_inner();
    assert!(removed > 500 && not_empty > 500, "{removed} were removed, {not_empty} were not empty");
    let status = root.run("status --json").json();
    assert_eq!(status["locks"].as_array().map(Vec::len), Some(0), "no lock is left: {status}");
}

/// Removes a directory that is empty, or not there.
fn rmdir(raw: &mut Raw, path: &Path) -> Result<MutationResponse, CallError> {
    let paths = vec![path.as_os_str().as_bytes().to_vec()];
    let remove = Remove { paths, directory: true, allow_missing: true, recursive: false };
    raw.call("Mutations/Remove", &RemoveRequest { context: None, remove: Some(remove) })
}

/// Looks at a file again and again: each byte must be that of the first, and the size the one
/// that belongs to it.
fn watch(path: &Path, over: &AtomicBool) -> u64 {
    let mut seen = 0;
    while !over.load(Ordering::Relaxed) {
        let content = fs::read(path).expect("the file is there at every moment");
        check(&content);
        seen += 1;
    }
    seen
}

fn content(n: u8) -> Vec<u8> {
    vec![n; 30_000 + usize::from(n) * 100]
}

#[track_caller]
fn check(bytes: &[u8]) {
    assert_eq!(bytes, content(bytes[0]), "half of one and half of another");
}

#[test]
fn writers_of_one_file_are_never_seen_at_work() {
    let root = Root::new();
    root.started();
    root.write("file", content(0));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watchers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| watch(&root.at("file"), &over))).collect();
        let reader = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                check(&root.run("cat file").stdout);
            }
        });
        let writers: Vec<_> = (1..=64)
            .map(|n| {
                let root = &root;
                scope.spawn(move || {
                    let source = root.outside(&format!("source{n}"));
                    fs::write(&source, content(n)).unwrap();
                    let mut raw = Raw::connect(root);
                    for _ in 0..20 {
                        raw.publish(&source, "file").unwrap();
                    }
                })
            })
            .collect();
        // Programs too, from files and pipes.
        for n in 100..116 {
            root.client().input(content(n)).run("publish file").ok();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        over.store(true, Ordering::Relaxed);
        assert!(watchers.into_iter().all(|watcher| watcher.join().unwrap() > 0));
        reader.join().unwrap();
    });
    check(&fs::read(root.at("file")).unwrap());
    assert!(root.staging().is_empty());
}

#[test]
fn publishers_and_removers_of_a_tree_do_not_fail_each_other() {
    let root = Root::new();
    root.started();
    let source = root.write("source", content(7));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Ok(bytes) = fs::read(root.at("tree/a/b/0")) {
                    check(&bytes);
                }
            }
        });
        let publish = |n: usize| {
            let mut raw = Raw::connect(&root);
            for round in 0..60 {
                raw.publish(&source, format!("tree/a/b/{}", (n + round) % 4)).unwrap();
                raw.mkdir(format!("tree/c/{n}")).unwrap();
            }
        };
        let remove = || {
            let mut raw = Raw::connect(&root);
            for _ in 0..60 {
                raw.remove("tree").unwrap();
            }
        };
        let workers: Vec<_> = (0..8)
            .map(|n| scope.spawn(move || if n % 4 == 3 { remove() } else { publish(n) }))
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        over.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    root.run("rm -rf tree").ok();
    until("what was removed is deleted", || root.staging().is_empty());
}

#[test]
fn a_directory_and_a_file_that_compete_for_a_name() {
    let root = Root::new();
    root.write("source", "x");
    for round in 0..12 {
        let name = format!("name{round}");
        let start = |command: String| root.client().start(&command);
        let clients: Vec<_> = (0..3)
            .flat_map(|_| {
                [
                    (true, start(format!("mkdir --json {name}"))),
                    (false, start(format!("publish --json source {name}"))),
                ]
            })
            .collect();
        let done: Vec<_> =
            clients.into_iter().map(|(makes, client)| (makes, client.done())).collect();
        let directory_won = root.at(&name).is_dir();
        for (makes_directory, done) in done {
            match (makes_directory == directory_won, makes_directory) {
                (true, _) => done.ok().is_empty(),
                (false, true) => {
                    done.failed(1, "NOT_A_DIRECTORY");
                    true
                }
                (false, false) => {
                    done.failed(1, "IS_A_DIRECTORY");
                    true
                }
            };
        }
    }
}

#[test]
fn one_of_many_creates_what_must_be_new() {
    let root = Root::new();
    root.started();
    for name in ["a", "b", "c", "d"] {
        let clients: Vec<_> =
            (0..8).map(|_| root.client().start(["mkdir", "--new", "--json", name])).collect();
        let done: Vec<_> = clients.into_iter().map(Running::done).collect();
        let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(|done| done.succeeded());
        assert_eq!(won.len(), 1);
        lost.iter().for_each(|done| done.failed(1, "EXISTS"));
    }
}

#[test]
fn a_stream_that_takes_its_time_keeps_nobody_from_its_path() {
    let root = Root::new();
    root.started();
    let script = "mkfifo ../gate; { head -c 1000000 /dev/zero; cat ../gate; } |
        onewriter publish --server=unix:.onewriter/daemon.sock file";
    let slow = root.client().start_program("/bin/sh", ["-c", script]);
    until("the first stream has begun", || {
        root.client().json(["status"; 1]).json()["connections"].as_u64() > Some(1)
    });
    root.client().input("second").run("publish file --timeout 20").ok();
    assert_eq!(root.read("file"), "second");
    fs::write(root.outside("gate"), "").unwrap();
    slow.done().ok();
    assert_eq!(fs::metadata(root.at("file")).unwrap().len(), 1_000_000);
}

#[test]
fn what_is_told_of_a_path_adds_up() {
    let root = Root::new();
    root.started();
    let source = root.write("source", content(3));
    let (created, removed) = (AtomicU64::new(0), AtomicU64::new(0));
    let count = |counter: &AtomicU64, outcome: Outcome, answer: MutationResponse| {
        let found = answer.changes.iter().filter(|c| c.path == b"hot" && c.outcome() == outcome);
        counter.fetch_add(found.count() as u64, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for n in 0..8 {
            let (root, source, count, created, removed) =
                (&root, &source, &count, &created, &removed);
            scope.spawn(move || {
                let mut raw = Raw::connect(root);
                for _ in 0..150 {
                    if n % 2 == 0 {
                        count(created, Outcome::Created, raw.publish(source, "hot").unwrap());
                    } else {
                        count(removed, Outcome::Removed, raw.remove("hot").unwrap());
                    }
                }
            });
        }
    });
    let left = u64::from(root.at("hot").exists());
    let (created, removed) = (created.into_inner(), removed.into_inner());
    assert_eq!(created, removed + left, "who made or removed it, said so");
    assert!(removed > 0);
}
