//! `onewriter watch`, `wait` and `workers`: real clients, over whatever becomes of their daemon.

mod wait;
mod watch;
mod workers;

use serde_json::Value;

use crate::support::{Done, ONEWRITERD, Root, Running, until};

/// What the daemon tells of those who are connected.
fn workers(root: &Root) -> Vec<Value> {
    let told = root.run("workers --json").json();
    told["workers"].as_array().cloned().unwrap_or_default()
}

/// Waits until a request of this method is under way.
#[track_caller]
fn until_asked(root: &Root, method: &str) {
    until(&format!("{method} is under way"), || {
        let asks = |worker: &Value| {
            let requests = worker["requests"].as_array().cloned().unwrap_or_default();
            requests.iter().any(|r| r["method"].as_str().is_some_and(|m| m.ends_with(method)))
        };
        workers(root).iter().any(asks)
    });
}

/// Has another daemon take over, which serves when this returns.
fn replace(root: &Root) {
    let mut words = vec!["--root".into(), root.path().as_os_str().to_owned()];
    words.extend(["--replace", "--detach"].map(Into::into));
    root.client().start_program(ONEWRITERD, words).done().ok();
    until("one daemon is left", || root.daemons().len() <= 1);
}

/// The objects that it printed, one a line.
fn objects(done: &Done) -> Vec<Value> {
    let object = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {done}"));
    done.text().lines().map(object).collect()
}

/// Starts a client that waits, and waits until it does.
#[track_caller]
fn waiting(root: &Root, args: &str) -> Running {
    let client = root.client().start(args);
    until_asked(root, "Reading/Wait");
    client
}
