//! A recipe happens as a whole or not at all.

use std::fs;

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process_group},
};

use super::{Case, Equal, make, root_with};
use crate::support::{LIMIT, Process, Root, Running, children_named, stamp, until};

/// A recipe that writes half of its target, waits, and writes the other half.
const HALVES: &str = "\
a: ; @echo half > $@; mkdir d; echo > $$BESIDE/ready; read x < $$BESIDE/go; echo whole > $@
";

/// Starts make, and waits until the recipe has written the first half.
fn half_way(root: &Root) -> Running {
    mknodat(CWD, root.outside("go"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let client = root.client().env("BESIDE", root.outside("")).under("setsid");
    let running = client.start("make");
    until("the recipe is half way", || root.outside("ready").exists());
    assert!(!root.at("a").exists() && !root.at("d").exists(), "half of a recipe is seen");
    running
}

fn go_on(root: &Root) {
    fs::write(root.outside("go"), "\n").unwrap();
}

#[test]
fn a_recipe_is_seen_when_it_is_over() {
    let root = root_with(HALVES);
    let running = half_way(&root);
    go_on(&root);
    let done = running.done();
    assert!(done.succeeded(), "{done}");
    assert!(done.stderr.ends_with("onewriter make: 1 recipe, 2 paths changed\n"), "{done}");
    assert_eq!(root.read("a"), "whole\n");
    until("staging is empty", || root.staging().is_empty());
}

/// Where the system's tools are is found out once for all recipes of a build.
#[test]
fn a_tool_that_the_build_makes_is_the_one_that_is_called() {
    const RULES: &str = "\
all: a
a: bin/cp ; cp source $@
bin/cp: ; mkdir bin; printf '#!/bin/sh\\necho mine > $$2\\n' > $@; chmod +x $@
";
    let path = std::env::var("PATH").unwrap();
    for (exported, given) in [("export PATH := $(CURDIR)/bin:$(PATH)\n", false), ("", true)] {
        let root = root_with(&format!("{exported}{RULES}"));
        root.write("source", "theirs\n");
        let bin = root.at("bin");
        let path = if given { format!("{}:{path}", bin.display()) } else { path.clone() };
        let done = root.client().env("PATH", path).run("make");
        assert!(done.succeeded(), "{done}");
        assert_eq!(root.read("a"), "mine\n", "PATH from outside: {given}");
    }
}

#[test]
fn a_recipe_that_fails_leaves_no_trace() {
    let root =
        root_with("all: a\na: ; @echo half > $@; mkdir d; rm old; echo new > kept; exit 3\n");
    root.write("old", "");
    root.write("kept", "kept\n");
    let before = stamp(root.at("kept"));
    let done = make(&root, "");
    assert_eq!(done.code(), Some(2), "{done}");
    assert!(done.stderr.contains("Error 3"), "{done}");
    assert!(done.stderr.contains("onewriter make: 1 recipe, 1 failed\n"), "{done}");
    assert!(!root.at("a").exists() && !root.at("d").exists() && root.at("old").exists());
    assert_eq!((root.read("kept"), stamp(root.at("kept"))), ("kept\n".into(), before));
    until("nothing is left in staging", || root.staging().is_empty());
}

#[test]
fn what_a_line_has_done_whose_failure_make_ignores_stays() {
    let mut equal = Equal::default();
    let part = "test -n '$(X)' || { echo $@ > half; rm src; false; }";
    let then = "@cat half; ls";
    for (name, makefile, arguments) in [
        ("-", format!("a:\n\t-{part}\n\t{then}\n"), &[][..]),
        ("the last line", format!("all: a\n\t{then}\na: ; @-{part}\n"), &[]),
        ("a variable before it", format!("Q=@\na:\n\t$(Q)-{part}\n\t{then}\n"), &[]),
        ("an included makefile", "include more\n".into(), &[]),
        (".IGNORE", format!(".IGNORE: a\na:\n\t{part}\n\t{then}\n"), &[]),
        ("-i", format!("a:\n\t{part}\n\t{then}\n"), &["-i"]),
        ("a makefile below", "all: ; $(MAKE) -C sub -f own\n".into(), &[]),
    ] {
        let own = format!("a:\n\t-{part}\n\t{then}\n");
        let files = &[("Makefile", &*makefile), ("src", ""), ("more", &own), ("sub/own", &own)];
        equal.case(name, Case { files, arguments, ..Case::default() });
    }
    equal.hold();
}

#[test]
fn what_make_deletes_on_an_error_it_deletes() {
    let mut equal = Equal::default();
    let lines = "a: src\n\t@cat src > $@\n\t@false\n";
    for (name, makefile) in
        [("deleted", format!(".DELETE_ON_ERROR:\n{lines}")), ("kept", lines.into())]
    {
        let files = &[("Makefile", &*makefile), ("src", "1\n")];
        equal.case(name, Case { files, ..Case::default() });
    }
    equal.hold();
}

#[test]
fn an_interrupted_recipe_leaves_no_trace() {
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15)] {
        let root = root_with(HALVES);
        let running = half_way(&root);
        let group = Pid::from_raw(running.id() as i32).unwrap();
        kill_process_group(group, signal).unwrap();
        let done = running.done();
        use std::os::unix::process::ExitStatusExt as _;
        assert!(done.status.signal() == Some(number) || done.code() == Some(2), "{done}");
        assert!(!root.at("a").exists() && !root.at("d").exists());
        until("nothing is left in staging", || root.staging().is_empty());
    }
}

#[test]
fn a_signal_to_onewriter_make_reaches_make() {
    let root = root_with(HALVES);
    let running = half_way(&root);
    Process(running.id()).signal(Signal::TERM);
    let done = running.done();
    assert!(!done.succeeded() && done.stderr.contains("Terminated"), "{done}");
    until("nothing is left in staging", || root.staging().is_empty());
    assert!(!root.at("a").exists());
}

#[test]
fn a_make_that_is_killed_leaves_whole_recipes() {
    let root = root_with(HALVES);
    let running = half_way(&root);
    let makes = children_named(running.id(), "make");
    assert_eq!(makes.len(), 1);
    makes[0].kill();
    assert!(Process(running.id()).ends_within(LIMIT));
    assert!(!root.at("a").exists());
    // As with make alone, the recipe lives on.
    go_on(&root);
    until("the recipe is over", || root.at("a").exists());
    assert_eq!(root.read("a"), "whole\n");
    drop(running);
}

#[test]
fn a_killed_onewriter_make_takes_make_with_it() {
    let root = root_with(HALVES);
    let running = half_way(&root);
    let makes = children_named(running.id(), "make");
    Process(running.id()).kill();
    assert!(makes[0].ends_within(LIMIT));
    go_on(&root);
    until("the recipe is over", || root.at("a").exists());
    assert_eq!(root.read("a"), "whole\n");
}

#[test]
fn recipes_that_change_the_same_file_follow_each_other() {
    let root = root_with(
        "all: a b\na b: ; @echo $@ >> $$BESIDE/met; until test $$(sort -u $$BESIDE/met | wc -l) = 2; do sleep 0.01; done; echo $@ >> both\n",
    );
    root.write("both", "");
    let done = make(&root, "-j2");
    assert!(done.succeeded() && done.stderr.contains("'both' was changed meanwhile"), "{done}");
    assert!(done.stderr.contains("2 recipes, 1 run again"), "{done}");
    let both = root.read("both");
    assert!(both == "a\nb\n" || both == "b\na\n", "{both}");
}

#[test]
fn the_daemon_knows_what_a_recipe_is_for() {
    let root =
        root_with("all: dir/a\ndir/a: src ; @cp src $@; touch $@\nsub: ; @$(MAKE) -C dir b\n");
    root.write("src", "1\n");
    root.write("dir/Makefile", "b: ; @echo b > b\n");
    make(&root, "all sub");
    for (target, directory) in [("dir/a", ""), ("b", "dir")] {
        let log = root.client().json(format!("log --target {target}").as_str()).json();
        assert_eq!(log["directory"], directory, "{log}");
        assert!(log["build"].as_str().is_some_and(|id| id.starts_with("make-")), "{log}");
    }
    let builds: std::collections::BTreeSet<_> = root
        .run("log --json")
        .text()
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["build"].as_str().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(builds.len(), 1, "a make in a make is of the same build");
}

#[test]
fn what_a_line_has_said_before_it_fails_is_heard() {
    let root = root_with("a: ; @echo hello; touch f\n");
    root.write("f", "");
    root.run("init").ok();
    let holder = root.client().start_program(
        "/bin/sh",
        ["-c", "mkfifo ../go; onewriter lock f -- sh -c 'echo > ../held; read x < ../go'"],
    );
    until("it is held", || root.outside("held").exists());
    let done = root.run("make --timeout 0.2");
    assert!(!done.succeeded() && done.text() == "hello", "{done}");
    go_on(&root);
    holder.done().ok();
}

#[test]
fn a_line_that_cannot_speak_ends_before_what_comes_next() {
    let root = root_with("a: ; @echo x && touch made\n");
    for make in ["make", "onewriter make"] {
        let done = root.sh(&format!("{make} > /dev/full"));
        assert!(!done.succeeded() && !root.at("made").exists(), "{make}: {done}");
    }
}
