//! The commands that make a root, look at the tree, or ask the daemon: what they answer.

use std::fs;

use crate::support::{Root, stamp};

#[test]
fn init_makes_a_root_once() {
    let root = Root::uninitialised("new");
    let first = root.client().json("init .").json();
    assert_eq!((&first["created"], first["root"].as_str()), (&true.into(), root.path().to_str()));
    let again = root.client().json(["init"; 1]).json();
    assert_eq!(again["created"], false);
    assert_eq!(root.read(".onewriter/.gitignore"), "*\n");
    assert_eq!(root.daemons(), []);
}

#[test]
fn init_makes_the_directory_too() {
    let root = Root::uninitialised("new");
    let made = root.client().json("init far/off").json();
    assert_eq!(
        (&made["created"], made["root"].as_str()),
        (&true.into(), root.at("far/off").to_str())
    );
    root.client().within("far/off").run("mkdir d").ok();
    assert!(root.at("far/off/d").is_dir());
    // Not inside another one, and not in a file's place.
    let nested = root.client().json("init far/off/new/root");
    nested.failed(1, "EXISTS");
    assert!(nested.stderr.contains(root.at("far/off/new/root").to_str().unwrap()), "{nested}");
    assert!(!root.at("far/off/new").exists());
    root.write("file", "");
    root.run("init file/below").exits(1);
    root.run("init file").exits(1);
    root.client().within("far/off").run("stop").ok();
}

#[test]
fn a_root_inside_another_must_be_meant() {
    let root = Root::new();
    fs::create_dir_all(root.at("sub/dir")).unwrap();
    let done = root.client().json("init sub/dir");
    done.failed(1, "EXISTS");
    assert!(done.stderr.contains(root.path().to_str().unwrap()), "it names the other: {done}");
    root.client().within("sub").run(["init"; 1]).exits(1);
    assert!(!root.at("sub/.onewriter").exists() && !root.at("sub/dir/.onewriter").exists());
    root.run("init --nested sub/dir").ok();
    assert_eq!(root.client().json("init sub/dir").json()["created"], false);
}

#[test]
fn a_daemon_that_does_not_answer_is_named() {
    let root = Root::new();
    let daemon = root.started();
    daemon.stop();
    let done = root.client().json("mkdir --timeout=0.3 d");
    daemon.signal(rustix::process::Signal::CONT);
    done.failed(5, "TIMED_OUT");
    assert!(done.stderr.contains(&format!("pid {}", daemon.0)), "{done}");
    assert!(done.stderr.contains("daemon.log"), "{done}");
}

#[test]
fn stat_describes() {
    let root = Root::new();
    root.write("file", "12345");
    std::os::unix::fs::symlink("file", root.at("link")).unwrap();
    let stats = root.client().json("stat file . link").json();
    let kinds: Vec<_> =
        stats["stats"].as_array().unwrap().iter().map(|s| s["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["regular", "directory", "symlink"]);
    assert_eq!(
        (&stats["stats"][0]["size"], &stats["stats"][2]["target"]),
        (&5.into(), &"file".into())
    );
    assert_eq!(root.client().json("stat -L link").json()["stats"][0]["kind"], "regular");
    assert_eq!(stats["stats"][0]["inode"], stamp(root.at("file")).0);
    assert!(root.run("stat file").ok().starts_with("'file' regular mode "));
    root.refuses("stat file missing", 1, "NOT_FOUND");
    let missing = root.run("stat file missing");
    assert_eq!(missing.text().lines().count(), 2, "{missing}");
}

#[test]
fn cat_prints_files() {
    let root = Root::new();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    root.write("large", &large);
    root.write("small", "text");
    let done = root.run("cat large small");
    assert!(done.succeeded(), "{}", done.stderr);
    assert!(done.stdout[..large.len()] == large && &done.stdout[large.len()..] == b"text");
    root.refuses("cat missing", 1, "NOT_FOUND");
    root.refuses("cat .", 1, "IS_A_DIRECTORY");
    // Who has read enough ends it, without a complaint.
    root.sh("onewriter cat large | head -c 10 >/dev/null").ok();
}

#[test]
fn log_tells_what_was_changed_for_whom() {
    let root = Root::new();
    root.run("mkdir a").ok();
    root.run("mkdir a").ok();
    root.client().env("ONEWRITER_TARGET", "all").env("ONEWRITER_BUILD", "b1").run("mkdir b").ok();
    root.client().within("a").run("mkdir c --target t2").ok();
    root.run("rm missing").exits(1);
    let log = |arguments: &str| -> Vec<serde_json::Value> {
        let done = root.run(&format!("log --json {arguments}"));
        done.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let field = |records: &[serde_json::Value], name: &str| -> Vec<String> {
        records.iter().map(|r| r[name].as_str().unwrap_or_default().to_owned()).collect()
    };
    let all = log("-n 0");
    assert_eq!(field(&all, "path"), ["a", "a", "b", "a/c", "missing"]);
    assert_eq!(field(&all, "outcome")[..4], ["created", "existed", "created", "created"]);
    assert_eq!(field(&all, "directory"), ["", "", "", "a", ""]);
    assert_eq!(all[4]["error"].as_str().map(str::is_empty), Some(false), "{}", all[4]);
    assert_eq!(field(&log("--target all"), "path"), ["b"]);
    assert_eq!(field(&log("--build b1"), "path"), ["b"]);
    assert_eq!(field(&log("--path a --changes"), "path"), ["a", "a/c"]);
    assert_eq!(field(&log("-n1"), "path"), ["missing"]);
    assert_eq!(root.run("log").ok().lines().count(), 5);
    root.refuses("log -n many", 2, "USAGE");
}

#[test]
fn status_and_stats_start_no_daemon() {
    let root = Root::new();
    for verb in ["status", "stats"] {
        assert_eq!(root.client().json([verb]).json()["running"], false);
        root.run(verb).ok();
    }
    assert_eq!(root.daemons(), []);
    let daemon = root.started();
    root.run("mkdir d").ok();
    let status = root.client().json(["status"; 1]).json();
    assert_eq!((&status["running"], &status["pid"]), (&true.into(), &daemon.0.into()));
    assert_eq!(status["root"].as_str(), root.path().to_str());
    let stats = root.client().json(["stats"; 1]).json();
    assert_eq!(stats["mutations"]["mkdir"]["created"], 1, "{stats}");
    assert!(root.run("status").ok().starts_with("onewriterd "));
    assert!(root.run("stats").ok().contains("mkdir created"));
}
