//! What the idle daemon holds.

use std::{
    fs::{self, File},
    process::Stdio,
    thread,
    time::Duration,
};

use crate::support::{Root, Setup, verdict};

const MOST: f64 = 20.0;

/// Longer than a daemon that nobody asks takes to give back what it does not need.
const QUIET: Duration = Duration::from_secs(15);

/// Streams at once, and what each of them carries, in bytes.
const STREAMS: usize = 8;
const SIZE: usize = 64 << 20;

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "process");
    for n in 0..setup.rounds(200) {
        root.onewriter(&["mkdir", &format!("d{n}/e/f")]);
    }
    let stats =
        root.command(&["stats", "--json"]).stderr(Stdio::inherit()).output().expect("stats");
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    let mebibytes = stats["resident_bytes"].as_f64().expect("a number") / f64::from(1 << 20);
    told("resident memory of the idle daemon", mebibytes);
    told("the same after eight streams at once", after_streams(&root, setup));
}

fn after_streams(root: &Root, setup: &Setup) -> f64 {
    let source = root.path().join("source");
    fs::write(&source, vec![1; SIZE]).expect("a source");
    let server = format!("unix:{}", root.socket().display());
    let streams: Vec<_> = (0..setup.rounds(STREAMS))
        .map(|n| {
            let mut stream = root.command(&["publish", "--server", &server, &format!("t{n}")]);
            stream.stdin(File::open(&source).expect("the source")).spawn().expect("a client")
        })
        .collect();
    for mut stream in streams {
        assert!(stream.wait().expect("its end").success(), "it is published");
    }
    thread::sleep(QUIET);
    let pid = fs::read_to_string(root.path().join(".onewriter/lock")).expect("its number");
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number");
    kibibytes / 1024.0
}

fn told(what: &str, mebibytes: f64) {
    let verdict = verdict(mebibytes < MOST);
    println!("  {what:<44} {mebibytes:>10.1} MiB (under {MOST}: {verdict})");
}
