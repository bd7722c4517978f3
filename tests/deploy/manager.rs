//! The daemon under a service manager, as which the tests pose.

use std::{
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    process::{Command, Stdio},
};

use rustix::process::Signal;

use super::{Foreground, deployed};
use crate::support::{LIMIT, ONEWRITERD, Root, until};

/// What the daemon says of itself.
struct Notified(UnixDatagram);

impl Notified {
    fn bind(root: &Root) -> Self {
        let socket = UnixDatagram::bind(root.outside("notify")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self(socket)
    }

    /// Waits for a message with this line, past others; that message.
    #[track_caller]
    fn wait_for(&self, line: &str) -> String {
        loop {
            let mut bytes = [0; 1024];
            let size =
                self.0.recv(&mut bytes).unwrap_or_else(|e| panic!("{line} never comes: {e}"));
            let message = String::from_utf8_lossy(&bytes[..size]).into_owned();
            if message.lines().any(|l| l == line) {
                return message;
            }
        }
    }
}

#[test]
fn the_manager_is_told_when_clients_can_come_and_when_the_end_begins() {
    let root = Root::new();
    let notified = Notified::bind(&root);
    let daemon = Foreground::start(&root, |command| {
        command.env("NOTIFY_SOCKET", root.outside("notify")).env("WATCHDOG_USEC", "40000");
    });
    let ready = notified.wait_for("READY=1");
    assert!(ready.contains(&format!("STATUS=serving {}\n", root.path().display())), "{ready}");
    root.run("mkdir d").ok();
    notified.wait_for("WATCHDOG=1");
    notified.wait_for("WATCHDOG=1");
    daemon.process().signal(Signal::TERM);
    let stopping = notified.wait_for("STOPPING=1");
    assert!(stopping.contains("STATUS="), "{stopping}");
    assert!(daemon.ended());
}

#[test]
fn a_watchdog_of_another_process_is_none_of_ours() {
    let root = Root::new();
    let notified = Notified::bind(&root);
    let daemon = Foreground::start(&root, |command| {
        command.env("NOTIFY_SOCKET", root.outside("notify"));
        command.env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    });
    notified.wait_for("READY=1");
    daemon.process().signal(Signal::TERM);
    assert!(daemon.ended());
    notified.0.set_nonblocking(true).unwrap();
    let mut bytes = [0; 1024];
    while let Ok(size) = notified.0.recv(&mut bytes) {
        assert!(!String::from_utf8_lossy(&bytes[..size]).contains("WATCHDOG"));
    }
}

/// A daemon that gets `sockets` as systemd hands them over, from descriptor 3 on.
fn activated(root: &Root, sockets: &[OwnedFd]) -> Foreground {
    // The shell, as its process id has to be known before the daemon starts.
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS={}; exec \"$0\" --root \"$1\" 3<&0 4>&1 0</dev/null",
        sockets.len()
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).arg(ONEWRITERD).arg(root.path());
    Foreground::spawn(root, command, |command| {
        let given = |n: usize| sockets.get(n).map(|fd| Stdio::from(fd.try_clone().unwrap()));
        command.stdin(given(0).unwrap_or(Stdio::null())).stdout(given(1).unwrap_or(Stdio::null()));
    })
}

#[test]
fn a_socket_that_the_manager_keeps_outlives_the_daemon_and_clients_wait_at_it() {
    let root = Root::new();
    let path = root.at(".onewriter/daemon.sock");
    let socket: OwnedFd = UnixListener::bind(&path).unwrap().into();
    // It came before there was a daemon.
    let early = root.client().start("mkdir early");
    let first = activated(&root, std::slice::from_ref(&socket));
    early.done().ok();
    for round in 0..3 {
        root.run(["mkdir", &format!("{round}")]).ok();
    }
    first.process().signal(Signal::TERM);
    assert!(first.ended());
    assert!(path.exists(), "it is not the daemon's to remove");
    let late = root.client().start("mkdir late");
    let second = activated(&root, std::slice::from_ref(&socket));
    late.done().ok();
    // Who keeps the socket restarts the daemon; nobody else may take it over.
    let replacing = root.client().start_program(
        ONEWRITERD,
        ["--root", root.path().to_str().unwrap(), "--replace", "--detach"],
    );
    let refused = replacing.done();
    assert!(!refused.succeeded() && refused.stderr.contains("service manager"), "{refused}");
    root.run("mkdir after").ok();
    assert!(second.process().lives());
}

#[test]
fn sockets_that_the_daemon_has_no_use_for_are_named() {
    let root = Root::new();
    let unix = || OwnedFd::from(UnixListener::bind(root.outside(&rand())).unwrap());
    let tcp = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    for (sockets, complaint) in
        [(vec![unix(), unix()], "2 sockets"), (vec![tcp], "not one of Unix")]
    {
        let daemon = activated(&root, &sockets);
        assert!(!daemon.ended());
        let log = std::fs::read_to_string(Foreground::log(&root)).unwrap();
        assert!(log.contains(complaint), "{log}");
    }
}

fn rand() -> String {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("socket-{}", NEXT.fetch_add(1, Relaxed))
}

#[test]
fn a_log_for_programs_is_one_object_a_line() {
    let root = Root::new();
    root.client().env("ONEWRITER_LOG_FORMAT", "json").run("mkdir d").ok();
    root.run("stop").ok();
    until("it has ended", || root.daemons().is_empty());
    let log = root.read(".onewriter/daemon.log");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let serving = lines.iter().find(|line| line["message"] == "serving").expect("it serves");
    assert_eq!(serving["root"], root.path().to_str().unwrap());
    assert_eq!(serving["level"], "INFO");
}

#[test]
fn the_units_start_this_daemon_with_options_that_it_has() {
    let service = deployed("systemd/onewriterd@.service");
    let start = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let root = Root::new();
    let arguments = start.replace("%f", root.path().to_str().unwrap());
    let (program, arguments) = arguments.split_once(' ').unwrap();
    assert_eq!(program, "/usr/bin/onewriterd");
    let check = format!("{arguments} --check-config");
    root.client().start_program(ONEWRITERD, check.as_str()).done().ok();
    let socket = deployed("systemd/onewriterd@.socket");
    assert!(socket.contains("\nListenStream=%f/.onewriter/daemon.sock\n"));
}
