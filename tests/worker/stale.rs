//! Copies that are not up to date, and commands that get in each other's way.

use std::fs;

use super::Worker;
use crate::remote::Afar;

#[test]
fn a_copy_that_is_not_up_to_date_where_it_is_changed_is_made_so_first() {
    let afar = Afar::new();
    afar.root.write("log", "0\n");
    afar.root.write("gone", "0\n");
    afar.root.write("d/x", "0\n");
    let worker = Worker::new(&afar, "copy");
    afar.root.run("publish --new log other").ok();
    afar.client().input("0\nother\n").run("publish log").ok();
    afar.run("rm gone").ok();
    afar.client().input("new").run("publish d/y").ok();
    let done = worker.script("--json", "echo mine >> log; echo mine >> gone");
    assert!(done.succeeded() && done.stderr.contains("since the copy of it"), "{done}");
    assert!(done.stderr.contains("(1 of 3)") && !done.stderr.contains("(2 of 3)"), "{done}");
    assert_eq!((afar.root.read("log"), worker.read("log")), {
        let both = "0\nother\nmine\n".to_owned();
        (both.clone(), both)
    });
    assert_eq!((afar.root.read("gone"), worker.read("gone")), ("mine\n".into(), "mine\n".into()));
    // A directory is not removed with what its remover has never seen.
    let done = worker.script("--on-conflict fail --json", "rm -r d");
    done.failed(1, "CONFLICT");
    assert!(done.stderr.contains("'d/y'"), "{done}");
    let done = worker.script("", "cat d/* > all; rm -r d");
    assert!(done.succeeded() && done.stderr.contains("(1 of 3)"), "{done}");
    assert_eq!(afar.root.read("all"), "0\nnew");
    assert!(!afar.root.at("d").exists() && !worker.at("d").exists());
}

#[test]
fn what_the_copy_lacks_is_neither_overwritten_nor_lost() {
    let afar = Afar::new();
    let worker = Worker::new(&afar, "copy");
    afar.root.write("made", "other\n");
    afar.root.write("dir/theirs", "other\n");
    fs::create_dir(afar.root.at("became")).unwrap();
    worker.script("", "mkdir dir; echo mine > dir/mine").ok();
    assert_eq!((afar.root.read("dir/theirs"), afar.root.read("dir/mine")), {
        ("other\n".into(), "mine\n".into())
    });
    let done = worker.script("", "echo mine >> made");
    assert!(done.succeeded() && done.stderr.contains("(1 of 3)"), "{done}");
    assert_eq!(afar.root.read("made"), "other\nmine\n");
    // A file where a directory has come to be: the command sees that, and fails by itself.
    let done = worker.script("", "echo mine > became");
    assert!(!done.succeeded() && done.stderr.contains("(1 of 3)"), "{done}");
    assert!(worker.at("became").is_dir() && afar.root.at("became").is_dir());
}

#[test]
fn the_same_content_is_no_conflict() {
    let afar = Afar::new();
    let worker = Worker::new(&afar, "copy");
    afar.root.write("f", "same\n");
    worker.script("", "echo same > f").ok();
    assert_eq!(worker.read("f"), "same\n");
}

#[test]
fn workers_that_update_one_file_at_the_same_time_lose_nothing() {
    let afar = Afar::new();
    afar.root.write("log", "");
    let workers = [Worker::new(&afar, "one"), Worker::new(&afar, "two")];
    let again = Worker { afar: &afar, name: "one" };
    let update = "echo $$ >> log";
    let mut running: Vec<_> =
        workers.iter().map(|worker| worker.waiting("--retries 9", update, "true")).collect();
    // A second command of one copy.
    running.push(again.waiting("--retries 9", update, "true"));
    for worker in &workers {
        worker.go_on();
    }
    let done: Vec<_> = running.into_iter().map(crate::support::Running::done).collect();
    assert!(done.iter().all(crate::support::Done::succeeded), "{done:?}");
    let log = afar.root.read("log");
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(workers.iter().any(|worker| worker.read("log") == log));
}

#[test]
fn what_was_changed_in_the_copy_by_hand_is_not_taken_for_what_the_command_saw() {
    let afar = Afar::new();
    afar.root.write("f", "0\n");
    let worker = Worker::new(&afar, "copy");
    let run = worker.waiting("", "echo mine >> f", "true");
    fs::write(worker.at("new"), "by hand").unwrap();
    fs::rename(worker.at("new"), worker.at("f")).unwrap();
    worker.go_on();
    let done = run.done();
    assert!(done.succeeded() && done.stderr.contains("in this copy"), "{done}");
    assert_eq!((afar.root.read("f"), worker.read("f")), ("0\nmine\n".into(), "0\nmine\n".into()));
}
