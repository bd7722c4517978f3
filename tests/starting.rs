//! The daemon is there when a client needs it: started by whoever comes first, once, whatever an
//! earlier one left behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::{
    ONEWRITER, ONEWRITERD, Root, Running, copy_program, programs, until, write_program,
};

#[test]
fn any_number_of_clients_at_once_start_one_daemon() {
    let root = Root::new();
    let counter = counting_daemon(&root);
    let start = |n: usize| {
        root.client().env("ONEWRITER_DAEMON", &counter).start(["mkdir", &format!("d/{n}")])
    };
    let clients: Vec<Running> = (0..64).map(start).collect();
    for client in clients {
        client.done().ok();
    }
    root.daemon();
    assert_eq!(starts(&root), 1, "no client starts what another starts already");
    assert_eq!(fs::read_dir(root.at("d")).unwrap().count(), 64);
}

#[test]
fn clients_use_the_daemon_that_runs() {
    let root = Root::new();
    let first = root.started();
    root.run("mkdir d").ok();
    assert_eq!(root.daemon(), first);
    assert_eq!(root.run("status --json").json()["pid"], first.0);
}

#[test]
fn what_a_killed_daemon_leaves_is_in_nobodys_way() {
    let root = Root::new();
    root.started().kill();
    assert!(root.at(".onewriter/daemon.sock").exists());
    root.run("mkdir d").ok();
    assert!(root.at("d").is_dir());
}

#[test]
fn a_process_id_in_the_lock_file_means_nothing() {
    let root = Root::new();
    root.write(".onewriter/lock", format!("{}\n", std::process::id()));
    root.run("mkdir d").ok();
    root.daemon();
}

#[test]
fn a_socket_that_nobody_made_is_replaced() {
    let root = Root::new();
    root.write(".onewriter/daemon.sock", "no socket");
    root.run("mkdir d").ok();
    root.daemon();
}

#[test]
fn a_root_may_lie_deeper_than_a_socket_can_be_named() {
    let names = ["n".repeat(100), "o".repeat(100), "p".repeat(100)];
    let root = Root::uninitialised(&names.join("/"));
    root.run("init").ok();
    root.run("mkdir d/e").ok();
    root.client().within("d/e").run("mkdir f").ok();
    let option = format!("--root={}", root.path().display());
    root.client().within("/").run(["mkdir", &option, &format!("{}/g", root.path().display())]).ok();
    assert!(root.at("d/e/f").is_dir() && root.at("g").is_dir());
    root.daemon();
    root.run("stop").ok();
    assert_eq!(root.daemons(), []);
}

#[test]
fn without_a_daemon_to_start_the_client_says_what_to_do() {
    let root = Root::new();
    let done = root.client().env("ONEWRITER_DAEMON", "/nowhere/onewriterd").json("mkdir d");
    done.failed(4, "UNREACHABLE");
    assert!(done.stderr.contains("ONEWRITER_DAEMON") && done.stderr.contains("hint: "), "{done}");
    assert!(!root.at("d").exists());
}

#[test]
fn a_daemon_that_fails_to_start_is_quoted() {
    let root = Root::new();
    let done = root.client().env("ONEWRITER_STATE", "/nowhere").json("mkdir d");
    done.failed(4, "UNREACHABLE");
    assert!(done.stderr.contains("/nowhere"), "{done}");
    let first = done.stderr.lines().next().unwrap_or_default();
    assert_eq!(first.matches("did not start").count(), 1, "{done}");
    assert!(!first.contains("onewriterd:"), "{done}");
    assert_eq!(root.daemons(), []);
}

#[test]
fn the_environment_may_name_the_daemon() {
    let root = Root::new();
    let counter = counting_daemon(&root);
    root.client().env("ONEWRITER_DAEMON", &counter).run("mkdir d").ok();
    root.client().env("ONEWRITER_DAEMON", &counter).run("mkdir e").ok();
    assert_eq!(starts(&root), 1);
}

#[test]
fn a_client_that_lies_elsewhere_finds_the_daemon_on_the_path() {
    let root = Root::new();
    let client = root.outside("elsewhere");
    copy_program(ONEWRITER, &client);
    root.client().start_program(&client, "mkdir d").done().ok();
    root.daemon();
    root.run("stop").ok();
    let lonely = root.client().env("PATH", "/nowhere").start_program(&client, "mkdir e --json");
    lonely.done().failed(4, "UNREACHABLE");
    assert_ne!(Path::new(programs()), client.parent().unwrap());
}

#[test]
fn a_root_has_one_daemon() {
    let root = Root::new();
    let first = root.started();
    let path = root.path().to_str().unwrap();
    let second = root.client().start_program(ONEWRITERD, ["--root", path]).done();
    second.exits(1);
    assert!(second.stderr.contains(&first.0.to_string()), "it names the owner: {second}");
    root.client().start_program(ONEWRITERD, ["--detach", "--root", path]).done().ok();
    until("the superfluous one has ended", || root.daemons() == [first]);
    root.run("mkdir d").ok();
}

#[test]
fn the_nearest_root_counts_unless_another_is_named() {
    let root = Root::new();
    fs::create_dir_all(root.at("inner/sub")).unwrap();
    root.run("init --nested inner").ok();
    root.client().within("inner/sub").direct().run("mkdir near").ok();
    assert!(root.at("inner/sub/near").is_dir());
    let outer = root.path().to_str().unwrap();
    let named = root.client().within("inner/sub").direct();
    named.run(["mkdir", "--root", outer, "option"]).ok();
    let named = root.client().within("inner/sub").direct().env("ONEWRITER_ROOT", outer);
    named.run("mkdir variable").ok();
    assert!(root.at("inner/sub/option").is_dir() && root.at("inner/sub/variable").is_dir());
}

#[test]
fn without_a_root_nothing_is_done() {
    let nowhere = Root::uninitialised("plain");
    nowhere.refuses("mkdir d", 3, "NO_ROOT");
    nowhere.refuses("mkdir --root=. d", 3, "NO_ROOT");
    nowhere.refuses("mkdir --root=missing d", 3, "NO_ROOT");
    assert!(nowhere.run("mkdir d").stderr.contains("onewriter init"), "the cure is named");
    assert_eq!(nowhere.daemons(), []);
}

/// A daemon that notes down each time that it is started.
fn counting_daemon(root: &Root) -> PathBuf {
    let (program, mark) = (root.outside("counting-daemon"), root.outside("starts"));
    let script =
        format!("#!/bin/sh\necho started >>{}\nexec {ONEWRITERD} \"$@\"\n", mark.display());
    write_program(&program, &script);
    program
}

/// How often it was.
fn starts(root: &Root) -> usize {
    fs::read_to_string(root.outside("starts")).unwrap().lines().count()
}
