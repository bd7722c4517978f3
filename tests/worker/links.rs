//! Links that break, and daemons that end, while a worker's command runs or is committed.

use super::Worker;
use crate::{
    remote::Afar,
    support::{Done, Running, until},
};

#[test]
fn wherever_the_link_breaks_a_command_has_run_and_happened_once() {
    let afar = Afar::new();
    afar.root.write("log", "");
    let worker = Worker::new(&afar, "copy");
    let rounds = 6;
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

/// A worker whose command runs, of which the root hears no more.
fn cut_off(afar: &Afar) -> (Worker<'_>, Running) {
    afar.root.write("f", "0\n");
    let worker = Worker::new(afar, "copy");
    let run = worker.waiting("", "true", "echo mine >> f");
    afar.link.cut();
    until("the root has given it up", || afar.root.staging().is_empty());
    (worker, run)
}

#[test]
fn a_link_that_was_cut_while_the_command_ran_matters_to_nobody() {
    let afar = Afar::new();
    let (worker, run) = cut_off(&afar);
    worker.go_on();
    run.done().ok();
    assert_eq!((worker.runs(), afar.root.read("f").as_str()), (1, "0\nmine\n"));
    worker.is_a_copy();
}

#[test]
fn what_others_did_while_the_link_was_cut_is_seen() {
    let afar = Afar::new();
    let (worker, run) = cut_off(&afar);
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

/// Starts a command that appends to `log`, whose commit waits for a lease of somebody else.
fn waiting_to_commit<'a>(worker: &Worker<'a>, more: &str) -> (Running, Running) {
    let root = &worker.afar.root;
    let local = root.client().env("BESIDE", root.outside(""));
    let holder = local.start(["lock", "log", "--", "sh", "-c", &worker.wait()]);
    until("it has the lease", || worker.runs() == 1);
    let run = worker.start("", &format!("echo >> $BESIDE/ran; echo mine >> log; {more}"));
    let waits = || {
        let leases = root.run("status --json").json()["leases"].clone();
        leases[0]["waiters"].as_array().is_some_and(|waiters| !waiters.is_empty())
    };
    until("the commit waits for the lease", waits);
    (holder, run)
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_done_again_whatever_others_do() {
    let afar = Afar::new();
    afar.root.write("log", "");
    let worker = Worker::new(&afar, "copy");
    let (holder, run) = waiting_to_commit(&worker, "true");
    afar.link.silence(true);
    worker.go_on();
    holder.done().ok();
    until("it is committed", || afar.root.read("log") == "mine\n");
    afar.root.client().input("mine\nother\n").run("publish log").ok();
    afar.link.cut();
    afar.link.silence(false);
    run.done().ok();
    assert_eq!(afar.root.read("log"), "mine\nother\n");
    assert_eq!(std::fs::read_to_string(afar.root.outside("ran")).unwrap(), "\n");
    worker.script("", "echo again >> log").succeeded();
    assert_eq!(afar.root.read("log"), "mine\nother\nagain\n");
    worker.is_a_copy();
}

/// Runs a command, during whose commit the daemon is killed at a point. If `others` do, they change
/// what it changed before the worker hears of the next daemon. How it ended, and what `log` is then.
fn killed(fault: &str, more: &str, others: bool) -> (Done, String) {
    let afar = Afar::new();
    afar.root.write("log", "");
    let worker = Worker::new(&afar, "copy");
    afar.root.run("stop").ok();
    afar.root.client().env("ONEWRITER_FAULT", fault).run("mkdir .").ok();
    let daemon = afar.root.daemon();
    let (holder, run) = waiting_to_commit(&worker, more);
    afar.link.silence(true);
    worker.go_on();
    until("the daemon is killed", || !daemon.lives());
    drop(holder);
    afar.root.started();
    if others {
        let log = afar.root.read("log") + "other\n";
        afar.root.client().input(log).run("publish log").ok();
    }
    afar.link.silence(false);
    (run.done(), afar.root.read("log"))
}

#[test]
fn a_daemon_that_is_killed_in_a_commit_leaves_no_doubt_what_became_of_it() {
    for (point, others) in
        [("record", false), ("step", false), ("step", true), ("steps-done", true), ("done", false)]
    {
        let fault = format!("commit.{point}:1");
        let (done, log) = killed(&fault, "echo > more; echo > and", others);
        assert!(done.succeeded(), "{fault}: {done}");
        assert_eq!(log.matches("mine").count(), 1, "{fault}: {log}");
        assert_eq!(log.contains("other"), others, "{fault}: {log}");
    }
}

#[test]
fn what_nobody_can_know_is_said_to_be_unknown() {
    // One rename needs no record; who is killed right after it has told nobody.
    let (done, log) = killed("commit.done:1", "true", true);
    assert_eq!((done.code(), &*log), (Some(6), "mine\nother\n"), "{done}");
    assert!(done.stderr.contains("not known"), "{done}");
}
