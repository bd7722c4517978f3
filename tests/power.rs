//! What reaches the disk before a request is answered, as the kernel is asked for it.

use std::{fs, os::unix::net::UnixStream};

use crate::support::{ONEWRITERD, Root, Running, until};

/// A daemon under strace, which writes down each synchronisation before the daemon goes on.
struct Traced<'r> {
    root: &'r Root,
    _daemon: Running,
}

impl<'r> Traced<'r> {
    fn start(root: &'r Root, durability: &str) -> Self {
        let calls = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync";
        let (log, path) = (root.outside("strace"), root.path().to_str().unwrap());
        let daemon = root.client().start_program(
            "strace",
            ["-fqqy", "-e", "signal=none", "-e", calls, "-o", log.to_str().unwrap()]
                .into_iter()
                .chain([ONEWRITERD, "--root", path, "--durability", durability])
                .map(Into::into)
                .collect::<Vec<_>>(),
        );
        let socket = root.at(".onewriter/daemon.sock");
        until("the daemon serves", || UnixStream::connect(&socket).is_ok());
        Self { root, _daemon: daemon }
    }

    /// What is synchronised until `args` have been answered, as call and path. The journal's own
    /// files have their own rules, and threads that take their time.
    #[track_caller]
    fn run(&self, args: &str) -> Vec<(String, String)> {
        let before = self.calls().len();
        self.root.run(args).ok();
        self.calls().split_off(before)
    }

    fn calls(&self) -> Vec<(String, String)> {
        let home = self.root.at(".onewriter");
        let home = home.to_str().unwrap();
        let log = fs::read_to_string(self.root.outside("strace")).unwrap_or_default();
        let call = |line: &str| {
            let (call, rest) = line.split_once(' ')?.1.trim_start().split_once('(')?;
            let path = rest.split_once('<')?.1.split_once('>')?.0;
            let is_journals = path == home || path.starts_with(&format!("{home}/journal."));
            (!is_journals).then(|| (call.to_owned(), path.to_owned()))
        };
        log.lines().filter_map(call).collect()
    }

    /// As it is called in the log.
    fn path(&self, below: &str) -> String {
        self.root.at(below).to_str().unwrap().trim_end_matches('/').to_owned()
    }
}

#[test]
fn what_is_to_survive_a_power_cut_is_on_the_disk_before_the_answer() {
    let root = Root::new();
    let daemon = Traced::start(&root, "power");
    let fsync = |below: &str| ("fsync".to_owned(), daemon.path(below));

    assert_eq!(daemon.run("mkdir d"), [fsync("")]);
    root.write("source", "content");
    let calls = daemon.run("publish source d/file");
    let directory = calls.iter().position(|call| *call == fsync("d")).expect("the directory");
    // The file has no name at that moment, or another.
    let file = calls.iter().position(|call| call.0 == "fsync" && *call != fsync("d"));
    assert!(file.expect("the file") < directory, "{calls:?}");
    assert_eq!(calls.len(), 2, "{calls:?}");
    // More than a few at once are a matter for the whole filesystem.
    let calls = daemon.run("mkdir many/of/them/at/once");
    assert_eq!(calls, [("syncfs".to_owned(), daemon.path(".onewriter/staging"))]);
    assert_eq!(daemon.run("rm d/file"), [fsync("d")]);
}

#[test]
fn what_is_to_survive_a_killed_daemon_only_waits_for_no_disk() {
    let root = Root::new();
    let daemon = Traced::start(&root, "process");
    root.write("source", "content");
    for args in ["mkdir d", "publish source d/file", "mkdir many/of/them/at/once", "rm d/file"] {
        assert_eq!(daemon.run(args), [], "{args}");
    }
}
