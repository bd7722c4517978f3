//! Links that break, and daemons that end, while a worker's command runs or is committed.

use super::Worker;
use crate::{remote::Afar, support::until};

#[test]
fn wherever_the_link_breaks_a_command_has_run_and_happened_once() {
    let afar = Afar::new();
    afar.root.write("log", "");
    let worker = Worker::new(&afar, "copy");
    let rounds = 12;
    for spared in 0..rounds {
        afar.link.lose_answers(1, spared);
        worker.script("", "echo >> $BESIDE/ran; echo >> log; mkdir -p d/e; echo >> d/e/f").ok();
        assert_eq!(afar.root.read("log").len(), spared + 1, "it happened once");
    }
    let ran = std::fs::read_to_string(afar.root.outside("ran")).unwrap().len();
    assert_eq!(ran, rounds, "it has run once each time");
    afar.link.lose_answers(0, 0);
    worker.is_a_copy();
}

#[test]
fn a_link_that_was_cut_while_the_command_ran_matters_to_nobody() {
    let afar = Afar::new();
    afar.root.write("f", "0\n");
    let worker = Worker::new(&afar, "copy");
    let run = worker.waiting("", "true", "echo mine >> f");
    afar.link.cut();
    until("the root has given it up", || afar.root.staging().is_empty());
    worker.go_on();
    run.done().ok();
    assert_eq!((worker.runs(), afar.root.read("f").as_str()), (1, "0\nmine\n"));
    worker.is_a_copy();
}

#[test]
fn what_others_did_while_the_link_was_cut_is_seen() {
    let afar = Afar::new();
    afar.root.write("f", "0\n");
    let worker = Worker::new(&afar, "copy");
    let run = worker.waiting("", "true", "echo mine >> f");
    afar.link.cut();
    until("the root has given it up", || afar.root.staging().is_empty());
    afar.client().input("0\nother\n").run("publish f").ok();
    worker.go_on();
    let done = run.done();
    assert!(done.succeeded() && done.stderr.contains("(1 of 3)"), "{done}");
    assert_eq!(afar.root.read("f"), "0\nother\nmine\n");
    worker.is_a_copy();
}

#[test]
fn a_daemon_that_was_killed_meanwhile_is_followed_by_another() {
    let afar = Afar::new();
    afar.root.write("f", "0\n");
    let worker = Worker::new(&afar, "copy");
    let run = worker.waiting("", "true", "echo mine >> f");
    afar.root.daemon().kill();
    worker.go_on();
    afar.root.started();
    run.done().ok();
    assert_eq!((worker.runs(), afar.root.read("f").as_str()), (1, "0\nmine\n"));
    worker.is_a_copy();
}
