//! Daemons and clients that die in the middle: whoever is left says so and goes on, and what was
//! to be published is wholly there or not at all.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
    time::Duration,
};

use crate::support::{Args, Done, LIMIT, Process, Root, accept_from, until};

const OLD: u8 = b'o';
const NEW: u8 = b'n';
const SIZE: usize = 8 << 20;

/// A root with a published file of old content, and a source of new.
fn prepared() -> Root {
    let root = Root::new();
    fs::write(root.outside("source"), vec![NEW; SIZE]).unwrap();
    root.write("target", vec![OLD; SIZE]);
    root
}

fn publish(root: &Root) -> [std::ffi::OsString; 3] {
    ["publish".into(), root.outside("source").into(), "target".into()]
}

/// The target is all old or all new; which.
fn whole(root: &Root) -> u8 {
    let content = fs::read(root.at("target")).unwrap();
    assert_eq!(content.len(), SIZE);
    assert!(content.iter().all(|b| *b == content[0]), "the target is half old, half new");
    content[0]
}

/// Waits until a client has said to the daemon what it wants.
fn waits(client: Process) {
    until("the client waits for the daemon", || {
        client.field(3) == "S"
            && client
                .descriptors()
                .iter()
                .any(|(_, to)| to.to_string_lossy().starts_with("socket:"))
    });
}

#[test]
fn a_daemon_that_is_killed_before_it_answers_is_replaced() {
    let root = prepared();
    let daemon = root.started();
    daemon.stop();
    let client = root.client().start(publish(&root));
    waits(Process(client.id()));
    daemon.kill();
    client.done().ok();
    assert_eq!(whole(&root), NEW);
    assert_ne!(root.daemon(), daemon);
}

#[test]
fn a_daemon_that_is_killed_at_any_moment_leaves_old_or_new() {
    let root = prepared();
    for round in 0..25 {
        fs::write(root.at("target"), vec![OLD; SIZE]).unwrap();
        let daemon = root.started();
        let client = root.client().start(publish(&root));
        thread::sleep(Duration::from_micros(round * 1_300 % 20_000));
        daemon.kill();
        let done = client.done();
        let now = whole(&root);
        assert!(!done.succeeded() || now == NEW, "{done}");
        assert!(done.succeeded() || matches!(done.code(), Some(4 | 6)), "{done}");
        if !done.succeeded() {
            assert!(!done.stderr.is_empty());
            root.run(publish(&root)).ok();
        }
    }
    root.run("stop").ok();
    root.started();
    until("what was left in staging is cleared away", || root.staging().is_empty());
}

#[test]
fn a_daemon_that_is_killed_mid_stream_publishes_nothing() {
    let root = prepared();
    let daemon = root.started();
    let script = "mkfifo ../gate; { head -c 3000000 /dev/zero; cat ../gate; } |
        onewriter publish --json --server=unix:.onewriter/daemon.sock target";
    let client = root.client().start_program("/bin/sh", ["-c", script]);
    until("the daemon writes what arrives", || holds_content(&daemon));
    daemon.kill();
    // Nobody reads it to its end, once the client has given up.
    let _ = fs::write(root.outside("gate"), vec![NEW; SIZE]);
    client.done().failed(6, "BROKEN");
    assert_eq!(whole(&root), OLD);
}

/// Whether it has a file of its own open that waits in staging.
fn holds_content(daemon: &Process) -> bool {
    let is_content = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"s-"))
    };
    daemon.descriptors().iter().any(|(_, path)| is_content(path))
}

#[test]
fn a_client_that_goes_away_mid_stream_publishes_nothing() {
    let root = prepared();
    let daemon = root.started();
    fs::write(root.outside("part"), vec![NEW; 3_000_000]).unwrap();
    let script = "mkfifo ../gate; { cat ../part; cat ../gate; } |
        exec onewriter publish --server=unix:.onewriter/daemon.sock target";
    let shell = root.client().start_program("/bin/sh", ["-c", script]);
    until("the daemon writes what arrives", || holds_content(&daemon));
    let clients = crate::support::children_named(shell.id(), "onewriter");
    clients[0].kill();
    until("the daemon lets go of it", || !holds_content(&daemon));
    assert_eq!(whole(&root), OLD);
    assert!(root.staging().is_empty());
    let status = root.run("status --json").json();
    assert_eq!(status["locks"].as_array().map(Vec::len), Some(0), "{status}");
    fs::write(root.outside("gate"), "").unwrap();
}

#[test]
fn a_client_that_is_killed_while_it_writes_into_staging_leaves_it_to_be_cleared() {
    let root = prepared();
    root.started();
    let shell = root.client().start_program(
        "/bin/sh",
        [
            "-c",
            "mkfifo ../gate; { head -c 100000 /dev/zero; cat ../gate; } | onewriter publish target",
        ],
    );
    until("the client writes into staging", || !root.staging().is_empty());
    let clients = crate::support::children_named(shell.id(), "onewriter");
    assert_eq!(clients.len(), 1);
    root.run("stop").ok();
    root.started();
    assert_eq!(root.staging().len(), 1, "a daemon that starts leaves alone what is being written");
    clients[0].kill();
    root.run("stop").ok();
    root.started();
    until("staging is cleared", || root.staging().is_empty());
    assert_eq!(whole(&root), OLD);
    fs::write(root.outside("gate"), "").unwrap();
}

#[test]
fn a_killed_client_holds_no_lock() {
    let root = prepared();
    let daemon = root.started();
    daemon.stop();
    let client = root.client().start(publish(&root));
    waits(Process(client.id()));
    Process(client.id()).signal(rustix::process::Signal::KILL);
    assert!(Process(client.id()).ends_within(LIMIT));
    daemon.signal(rustix::process::Signal::CONT);
    root.run("rm target").ok();
}

#[test]
fn a_stream_that_broke_off_is_not_continued_on_another_connection() {
    let root = prepared();
    root.started();
    let socket = root.outside("proxy.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = format!("--server=unix:{}", socket.display());
    fs::write(root.outside("part"), vec![NEW; SIZE]).unwrap();
    let script = format!("onewriter publish --json {server} target <../part");
    let client = root.client().start_program("/bin/sh", ["-c", &script]);
    let shell = Process(client.id());
    // A server that takes a part and dies; the next at its address is well.
    let (mut first, _) = listener.accept().unwrap();
    first.read_exact(&mut vec![0; 50_000]).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(next) = accept_from(&listener, shell) {
                relay(next, &root.at(".onewriter/daemon.sock"));
            }
        });
        drop(first);
    });
    let done = client.done();
    assert!(matches!(done.code(), Some(4 | 6)), "{done}");
    assert_eq!(whole(&root), OLD);
}

/// Lets a connection talk to the daemon, until either has enough.
fn relay(client: UnixStream, socket: &Path) {
    let daemon = UnixStream::connect(socket).unwrap();
    fn pass(mut from: &UnixStream, mut to: &UnixStream) {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    }
    thread::scope(|scope| {
        scope.spawn(|| pass(&client, &daemon));
        scope.spawn(|| pass(&daemon, &client));
    });
}

/// Stands where the daemon's socket was: clients talk to the daemon through it.
fn go_between(root: &Root) -> UnixListener {
    root.started();
    let socket = root.at(".onewriter/daemon.sock");
    fs::rename(&socket, root.at(".onewriter/real.sock")).unwrap();
    UnixListener::bind(socket).unwrap()
}

/// Has the daemon do what a client asks for, which `is_done` sees, and keeps the answer from it: as if
/// the daemon had been killed between the two. `said`: what the client hears before that.
fn lose_the_answer(
    listener: &UnixListener,
    client: Process,
    root: &Root,
    said: &[u8],
    is_done: impl FnMut() -> bool,
) {
    let mut client = accept_from(listener, client).expect("a client");
    let mut daemon = UnixStream::connect(root.at(".onewriter/real.sock")).unwrap();
    let mut request = vec![0; 4096];
    let count = client.read(&mut request).unwrap();
    daemon.write_all(&request[..count]).unwrap();
    until("the daemon has done it", is_done);
    client.write_all(said).unwrap();
}

/// The first thing that a server says.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Runs a command whose answer is lost; the next daemon, which it may ask again, is well.
fn done_with_a_lost_answer(
    root: &Root,
    args: impl Args,
    said: &[u8],
    is_done: impl FnMut() -> bool,
) -> Done {
    let listener = go_between(root);
    let client = root.client().start(args);
    let process = Process(client.id());
    lose_the_answer(&listener, process, root, said, is_done);
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(next) = accept_from(&listener, process) {
                relay(next, &root.at(".onewriter/real.sock"));
            }
        });
    });
    client.done()
}

#[test]
fn a_line_that_would_read_what_it_has_written_is_not_done_again() {
    let root = Root::new();
    root.write("a", "old");
    root.write("new", "new");
    let line = ["simple", "cp a a.bak; cp new a"];
    let is_done = || root.read("a") == "new";
    let done = done_with_a_lost_answer(&root, line, SETTINGS, is_done);
    assert_eq!(done.code(), Some(6), "{done}");
    assert!(done.stderr.contains("not known") && done.stderr.contains("hint: look"), "{done}");
    assert_eq!((root.read("a.bak"), root.read("a")), ("old".into(), "new".into()));
}

#[test]
fn a_line_whose_commands_do_not_disturb_each_other_is_done_again() {
    let root = Root::new();
    root.write("a", "old");
    let line = ["simple", "mkdir -p d && cp a d/a && cp a d/b"];
    let is_done = || root.at("d/b").exists();
    let done = done_with_a_lost_answer(&root, line, SETTINGS, is_done);
    done.ok();
    assert_eq!((root.read("d/a"), root.read("d/b")), ("old".into(), "old".into()));
}

#[test]
fn a_rename_that_may_have_happened_is_not_tried_again() {
    let root = Root::new();
    root.write("a", "content");
    let done = done_with_a_lost_answer(&root, "mv a b", b"", || root.at("b").exists());
    assert_eq!(done.code(), Some(6), "{done}");
    assert!(done.stderr.contains("not known") && done.stderr.contains("hint: look"), "{done}");
    assert!(!done.stderr.contains("does not exist"), "{done}");
    assert_eq!(root.read("b"), "content");
}

#[test]
fn what_may_be_done_twice_is_tried_again_without_an_answer() {
    let root = Root::new();
    fs::write(root.outside("source"), "content").unwrap();
    let publish = publish(&root);
    done_with_a_lost_answer(&root, publish, b"", || root.at("target").exists()).ok();
    assert_eq!(root.read("target"), "content");
}
