//! Disks that are full or read-only, and files that belong to somebody else.
//!
//! A mount namespace of our own makes the first two without privileges. Where the kernel refuses
//! one, these tests say so and prove nothing, which is a failure where `CI` is `true`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::support::{Client, Done, Root, programs, untested};

/// Runs a script with `DIR` a small filesystem of its own. `None` where that is not allowed.
#[track_caller]
fn on_a_small_disk(root: &Root, options: &str, script: &str) -> Option<Done> {
    let unshare = |script: &str| {
        let client = root.client().env("OPTIONS", options);
        client.start_program("unshare", ["-Urm", "sh", "-c", script]).done()
    };
    let mount = "set -u; mkdir -p disk && mount -t tmpfs -o $OPTIONS none disk && cd disk";
    let possible = unshare(&format!("{mount} && : >x"));
    if !possible.succeeded() {
        untested(format!("the kernel refuses a mount namespace: {}", possible.stderr));
        return None;
    }
    // The daemon must not outlive the namespace.
    let script = format!(
        "{mount}; onewriter init --nested >/dev/null; trap 'onewriter stop >/dev/null' EXIT\n{script}"
    );
    Some(unshare(&script))
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let root = Root::new();
    let script = "
        onewriter mkdir d
        echo old >d/file
        head -c 1000000 /dev/zero >/dev/shm/big.$$ 2>/dev/null || exit 99
        find . -path ./.onewriter -prune -o -print0 | sort -z | xargs -0 stat -c '%n %i %y %s' >../before
        onewriter publish --json /dev/shm/big.$$ d/file; echo $?
        onewriter publish --json d/new </dev/shm/big.$$; echo $?
        sent='--server unix:.onewriter/daemon.sock --json'
        onewriter publish $sent /dev/shm/big.$$ d/file; echo $?
        onewriter publish $sent d/new </dev/shm/big.$$; echo $?
        ONEWRITER=off onewriter publish --json /dev/shm/big.$$ d/file; echo $?
        rm /dev/shm/big.$$
        find . -path ./.onewriter -prune -o -print0 | sort -z | xargs -0 stat -c '%n %i %y %s' >../after
        cat d/file; find .onewriter/staging -type f
        echo small | onewriter publish d/file && cat d/file
        echo tiny | onewriter publish $sent d/file >/dev/null && cat d/file";
    let Some(done) = on_a_small_disk(&root, "size=400k", script) else { return };
    let lines: Vec<&str> = done.text().lines().collect();
    let refused = |at: usize| {
        let line: serde_json::Value =
            serde_json::from_str(lines[at]).unwrap_or_else(|e| panic!("{e}: {done}"));
        let reason = line["error"]["reason"].as_str().unwrap_or_default();
        assert!(reason == "NO_SPACE" && lines[at + 1] == "1", "{done}");
    };
    // From a file that the daemon opens, from staging, in two streams, and without a daemon.
    (0..10).step_by(2).for_each(refused);
    assert_eq!(lines[10..], ["old", "small", "tiny"], "{done}");
    assert_eq!(root.read("before"), root.read("after"));
}

#[test]
fn no_more_inodes_is_a_full_disk() {
    let root = Root::new();
    let script = "
        onewriter mkdir d && onewriter stop
        n=0; while touch fill$n; do n=$((n+1)); done 2>/dev/null
        rm fill0 fill1 fill2 fill3 fill4 fill5
        onewriter mkdir a/b/c/d/e/f/g/h --json; echo $?
        ls -d a >/dev/null; onewriter rm -f fill6 fill7 fill8 fill9 && onewriter mkdir x && test -d x && echo well";
    let Some(done) = on_a_small_disk(&root, "size=2m,nr_inodes=60", script) else { return };
    assert!(done.text().contains("NO_SPACE") && done.text().ends_with("well"), "{done}");
}

#[test]
fn a_read_only_disk_is_named() {
    let root = Root::new();
    let script = "
        onewriter mkdir d; echo old >d/f; echo new >../src; onewriter stop
        mount -o remount,ro . || exit 99
        onewriter mkdir --json x; echo $?
        export ONEWRITER=off
        onewriter mkdir --json x; echo $?
        onewriter publish --json ../src d/f; echo $?
        onewriter publish --json d/f <../src; echo $?
        onewriter rm --json d/f; echo $?
        onewriter touch --json d/f; echo $?
        onewriter mkdir --json d; echo $?
        onewriter cat d/f; ls";
    let Some(done) = on_a_small_disk(&root, "size=2m", script) else { return };
    assert!(done.succeeded(), "{done}");
    let lines: Vec<&str> = done.text().lines().collect();
    for pair in lines[..12].chunks(2) {
        let line: serde_json::Value = serde_json::from_str(pair[0]).expect("JSON");
        assert_eq!((line["error"]["reason"].as_str(), pair[1]), (Some("READ_ONLY"), "1"), "{done}");
    }
    // What is there is there, and can be read.
    assert!(lines[12].contains("existed") && lines[13..] == ["0", "old", "d"], "{done}");
}

/// A client that file permissions hold for, also where the tests run as root: with a root of its
/// own in it.
fn as_a_user<'r>(root: &'r Root) -> Option<Client<'r>> {
    if !rustix::process::geteuid().is_root() {
        return Some(root.client());
    }
    let visible = |dir: &Path| {
        dir.ancestors().for_each(|dir| {
            let _ = fs::metadata(dir).map(|m| {
                if m.permissions().mode() & 0o005 != 0o005 && dir.starts_with(std::env::temp_dir())
                {
                    let _ = fs::set_permissions(
                        dir,
                        fs::Permissions::from_mode(m.permissions().mode() | 0o055),
                    );
                }
            });
        })
    };
    visible(root.path());
    for entry in ["", ".onewriter", ".onewriter/staging"] {
        std::os::unix::fs::chown(root.at(entry), Some(65_534), Some(65_534)).unwrap();
    }
    let as_nobody = || root.client().under("setpriv --reuid=65534 --regid=65534 --clear-groups");
    let works = as_nobody().start_program(programs().join("onewriter"), "--version").done();
    if !works.succeeded() {
        untested(format!("nobody may not run the programs: {}", works.stderr));
        return None;
    }
    Some(as_nobody())
}

#[test]
fn what_may_not_be_read_or_written_is_refused() {
    let root = Root::new();
    let Some(client) = as_a_user(&root) else { return };
    root.write("secret", "s");
    root.write("locked/f", "x");
    fs::set_permissions(root.at("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(root.at("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    client.json("publish secret dst").failed(1, "SOURCE");
    for (command, reason) in [
        ("cp -T secret dst", "SOURCE"),
        ("cat secret", "PERMISSION"),
        ("mkdir locked/d", "PERMISSION"),
        ("publish -p locked/g", "PERMISSION"),
        ("rm locked/f", "PERMISSION"),
        ("mv locked/f g", "PERMISSION"),
    ] {
        as_a_user(&root).unwrap().json(command).failed(1, reason);
        as_a_user(&root).unwrap().direct().json(command).failed(1, reason);
    }
    assert!(!root.at("dst").exists() && root.at("locked/f").exists());
    fs::set_permissions(root.at("locked"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_daemon_of_somebody_else_is_sent_what_it_may_not_open() {
    let root = Root::new();
    if !rustix::process::geteuid().is_root() {
        untested("it takes root to be two users");
        return;
    }
    let Some(client) = as_a_user(&root) else { return };
    client.run("mkdir d").ok();
    fs::write(root.outside("mine"), "private").unwrap();
    fs::set_permissions(root.outside("mine"), fs::Permissions::from_mode(0o600)).unwrap();
    let mine = root.outside("mine");
    let done = root.client().json(["publish", mine.to_str().unwrap(), "d/f"]);
    assert_eq!(done.outcomes(), ["created d/f"]);
    assert_eq!(root.read("d/f"), "private");
    let done = root.client().json(["publish", mine.to_str().unwrap(), "d/f"]);
    assert_eq!(done.outcomes(), ["unchanged d/f"]);
    root.client().input("piped").run("publish d/f").ok();
    assert_eq!(root.read("d/f"), "piped");
}

#[test]
fn a_daemon_of_somebody_else_lets_no_stranger_in() {
    let root = Root::new();
    if !rustix::process::geteuid().is_root() {
        untested("it takes root to be two users");
        return;
    }
    root.started();
    for dir in [root.path().parent().unwrap(), root.path()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let done =
        root.client().under("setpriv --reuid=65534 --regid=65534 --clear-groups").json("mkdir d");
    assert!(!done.succeeded() && !root.at("d").exists(), "{done}");
    assert!(done.stderr.contains("ermission"), "{done}");
}
