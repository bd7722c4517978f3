//! What a daemon takes over from the client that starts it: nothing.

use std::fs;

use crate::support::{Process, Root, children_named, until};

#[test]
fn a_daemon_keeps_nothing_of_its_starter() {
    let root = Root::new();
    let held = "exec 3</dev/zero 4<held 5>made 6>&1 7>&2 9<>held; exec onewriter mkdir d";
    root.write("held", "");
    let client = root.client().env("MAKEFLAGS", "--jobserver-auth=3,4").env("MY_SECRET", "x");
    client.sh(held).ok();
    let daemon = root.daemon();
    assert_owns_only_its_own(daemon, &root);
    assert_eq!(fs::read_link(daemon.proc("cwd")).unwrap().to_str(), Some("/"));
    assert_eq!(daemon.field(6), daemon.0.to_string(), "it leads a session of its own");
    assert_eq!(daemon.field(7), "0", "it has no terminal");
    let known =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUST_BACKTRACE", "ONEWRITER_LOG"];
    let settings =
        ["ROOT", "CONFIG", "DURABILITY", "IDLE_TIMEOUT", "STATE", "METRICS", "LOG_FORMAT"];
    let is_setting =
        |name: &str| name.strip_prefix("ONEWRITER_").is_some_and(|name| settings.contains(&name));
    let mut unknown = daemon.environment();
    unknown.retain(|name| !known.contains(&&**name) && !is_setting(name));
    assert!(unknown.is_empty(), "it keeps {unknown:?}");
}

#[test]
fn a_daemon_started_by_a_recipe_takes_nothing_of_makes() {
    let root = Root::new();
    // With "+", make leaves its jobserver open to the recipe.
    root.write("Makefile", "all: a b c d\na b c d:\n\t+onewriter mkdir $@\n");
    let make = root.client().start_program("make", "-j4 --no-print-directory").done();
    assert!(make.succeeded(), "{make}");
    assert_owns_only_its_own(root.daemon(), &root);
}

/// The standard three, its log, sockets, and files of the root: no pipe, no terminal, no file of
/// anybody else's.
fn assert_owns_only_its_own(daemon: Process, root: &Root) {
    let state = root.at(".onewriter");
    for (number, target) in daemon.descriptors() {
        let name = target.to_string_lossy();
        let own = match number {
            0 | 1 => name == "/dev/null",
            2 => target == state.join("daemon.log"),
            _ => {
                name.starts_with("socket:")
                    || name.starts_with("anon_inode:[event")
                    || target == root.path()
                    || target.starts_with(&state)
            }
        };
        assert!(own, "the daemon holds descriptor {number}: {name}");
    }
}

#[test]
fn a_pipe_ends_although_the_daemon_lives_on() {
    let root = Root::new();
    assert_eq!(root.sh("onewriter mkdir -v d 2>&1 | cat").ok(), "created 'd'");
    assert!(root.daemon().lives());
}

#[test]
fn the_daemon_is_nobodys_child_and_its_starter_no_zombie() {
    let root = Root::new();
    root.write("big", vec![b'x'; 1 << 20]);
    // The client has started the daemon, and waits for the pipe, when the gate is opened.
    let script = "mkfifo gate; onewriter cat big | { read line <gate; wc -c; }";
    let shell = root.client().start_program("/bin/sh", ["-c", script]);
    until("the client's daemon runs and the starter is gone", || {
        let clients = children_named(shell.id(), "onewriter");
        match (&clients[..], &root.daemons()[..]) {
            ([client], [_]) => children_named(client.0, "onewriterd").is_empty(),
            _ => false,
        }
    });
    let client = children_named(shell.id(), "onewriter")[0];
    let parent = root.daemon().field(4);
    assert!(parent != client.0.to_string() && parent != shell.id().to_string());
    fs::write(root.at("gate"), "\n").unwrap();
    assert_eq!(shell.done().ok(), (1 << 20).to_string());
}

#[test]
fn a_starter_that_ignores_its_children_starts_the_daemon_all_the_same() {
    let root = Root::new();
    root.client().under("env --ignore-signal=CHLD").run("mkdir d").ok();
    root.daemon();
}

#[test]
fn a_starter_with_blocked_signals_starts_a_daemon_that_can_be_ended() {
    let root = Root::new();
    root.client().under("env --block-signal --ignore-signal=TERM").run("mkdir d").ok();
    let daemon = root.daemon();
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.ends_within(crate::support::LIMIT));
}

#[test]
fn a_clients_directory_is_not_kept_busy() {
    let root = Root::new();
    fs::create_dir(root.at("sub")).unwrap();
    root.client().within("sub").run("mkdir x").ok();
    let daemon = root.daemon();
    root.run("rm -r sub").ok();
    assert!(daemon.descriptors().iter().all(|(_, target)| !target.starts_with(root.at("sub"))));
}

/// A socket or file that is opened then would get its number, and what is printed with it.
#[test]
fn a_standard_output_that_is_closed_is_nothing_else() {
    let root = Root::new();
    root.write("big", vec![b'x'; 3_000_000]);
    for script in ["exec onewriter cat big >&-", "exec onewriter cat big <&- >&-"] {
        let done = root.sh(script);
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(done.stderr.contains("standard output"), "{done}");
    }
    root.sh("exec onewriter mkdir d <&- >&- 2>&-").ok();
    assert!(root.at("d").is_dir());
}
