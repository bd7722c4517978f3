//! What the idle daemon holds.

use std::process::Stdio;

use crate::support::{Root, Setup, verdict};

const MOST: f64 = 20.0;

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "process");
    for n in 0..setup.rounds(200) {
        root.onewriter(&["mkdir", &format!("d{n}/e/f")]);
    }
    let stats =
        root.command(&["stats", "--json"]).stderr(Stdio::inherit()).output().expect("stats");
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    let mebibytes = stats["resident_bytes"].as_f64().expect("a number") / f64::from(1 << 20);
    let verdict = verdict(mebibytes < MOST);
    println!(
        "  {:<44} {mebibytes:>10.1} MiB (under {MOST}: {verdict})",
        "resident memory of the idle daemon"
    );
}
