//! The report of a large build: how long it takes, and how much memory.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use onewriter_core::journal::{Build, Entry, How, Journal, Recipe, RecipeOutcome};

use crate::support::{Root, Setup, verdict};

/// Of a full run.
const RECIPES: usize = 100_000;

const SECONDS: f64 = 5.0;
const MEBIBYTES: f64 = 500.0;

/// Recipes that run at once.
const JOBS: usize = 16;

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "process");
    // The journal is written as it would be in a build, but by this process.
    root.onewriter(&["stop"]);
    let count = setup.rounds(RECIPES);
    fill(&Journal::open(&root.path().join(".onewriter")).expect("a journal"), count);
    root.onewriter(&["mkdir", "."]);
    let page = root.path().join("report.html");
    let page = page.to_str().expect("UTF-8");
    for arguments in [&["report", "--html", page][..], &["report", "--json"], &["report"]] {
        let (seconds, client) = run(&root, arguments);
        let what = format!("{} of {count} recipes", arguments[..arguments.len().min(2)].join(" "));
        under(&what, seconds, "s", SECONDS);
        under("  memory of the client, at most", client, "MiB", MEBIBYTES);
    }
    under("  memory of the daemon, at most", daemon(&root), "MiB", MEBIBYTES);
}

fn under(what: &str, value: f64, unit: &str, most: f64) {
    let verdict = verdict(value < most);
    println!("  {what:<44} {value:>10.2} {unit} (under {most}: {verdict})");
}

/// Seconds, and the most memory that the client had.
fn run(root: &Root, arguments: &[&str]) -> (f64, f64) {
    let script = "import os, sys\n\
                  out = os.open('/dev/null', os.O_WRONLY)\n\
                  redirect = [(os.POSIX_SPAWN_DUP2, out, 1)]\n\
                  pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=redirect)\n\
                  _, status, usage = os.wait4(pid, 0)\n\
                  print(usage.ru_maxrss if status == 0 else sys.exit('it failed'))";
    let client = root.command(&[]).get_program().to_owned();
    let begun = Instant::now();
    let counted = Command::new("python3")
        .args(["-c", script])
        .arg(client)
        .args(arguments)
        .current_dir(root.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 is installed");
    let took = begun.elapsed().as_secs_f64();
    let text = String::from_utf8(counted.stdout).expect("a number");
    (took, text.trim().parse::<f64>().expect("a number") / 1024.0)
}

/// The most memory that the daemon had.
fn daemon(root: &Root) -> f64 {
    let status = root.command(&["status", "--json"]).output().expect("a status");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let path = format!("/proc/{}/status", status["pid"]);
    let text = std::fs::read_to_string(path).expect("it runs");
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel counts");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("KiB") / 1024.0
}

/// A build in which every hundredth recipe meets another one.
fn fill(journal: &Journal, count: usize) {
    let start = SystemTime::now() - Duration::from_secs(3600);
    let at = |n: usize| start + Duration::from_millis(n as u64 * 10);
    journal.begin_build(Build {
        id: "large".into(),
        command: format!("make -j{JOBS}"),
        directory: String::new(),
        jobs: JOBS as u32,
        pid: 1,
        begun: start,
        ended: None,
    });
    for n in 0..count {
        let (begun, ended) = (at(n), at(n + JOBS));
        let (directory, pid) = (format!("src/module-{}", n % 200), n as u32 + 2);
        let target = format!("object-{n}.o");
        let entry = |path: String, method, outcome| Entry {
            at: ended - Duration::from_millis(1),
            took: Duration::from_millis(1),
            build: "large".into(),
            target: target.clone(),
            directory: directory.clone(),
            pid,
            uid: 0,
            identity: String::new(),
            method,
            path: path.into_bytes(),
            other: None,
            outcome,
            bytes: 4096,
            error: None,
        };
        journal.append(entry(format!("{directory}/{target}"), "run", "created"));
        journal.append(entry(format!("{directory}/object-{n}.d"), "run", "created"));
        if n % 100 < 2 {
            let outcome = if n % 100 == 0 { "created" } else { "existed" };
            journal.append(entry(format!("build/shared-{}", n / 100), "mkdir", outcome));
        }
        journal.note_recipe(Recipe {
            build: "large".into(),
            prerequisites: format!("object-{n}.c config.h version.h"),
            command: format!("cc -std=c11 -O2 -Wall -Iinclude -c object-{n}.c -o {target}"),
            target: target.clone(),
            directory: directory.clone(),
            pid,
            begun,
            ended,
            how: How::Wrapped,
            outcome: RecipeOutcome::Done,
            exit_code: 0,
            reruns: 0,
        });
    }
    journal.end_build("large".into(), at(count + JOBS), 0);
    journal.flush();
}
