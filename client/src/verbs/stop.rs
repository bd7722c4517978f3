//! `onewriter stop`: ends the daemon.

use std::time::{Duration, Instant};

use onewriter_proto::v1::{StopRequest, StopResponse};
use serde_json::json;

use crate::{
    command::{COMMON, Given, Verb},
    context::Context,
    failure::Failure,
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "stop",
    about: "End the daemon when the requests under way are done",
    details: "\
Returns when the daemon has ended; of one on another machine, when it takes no more requests. Where none
runs, there is nothing to do.",
    operands: "",
    count: (0, 0),
    options: &[],
    common: COMMON,
    run,
};

fn run(_: &Given, context: &mut Context) -> Result<(), Failure> {
    let (server, timeout) = (context.server()?, context.timeout()?);
    let method = "/onewriter.v1.Administration/Stop";
    let answer = context.ask(&server, method, &StopRequest {}, &json!({ "stopped": null }))?;
    let Some(StopResponse { pid }) = answer else { return Ok(()) };
    // A number of another machine's process says nothing here.
    if !matches!(server, Server::Remote(_)) {
        wait_for_end(pid, timeout)?;
    }
    match context.is_json() {
        true => context.output.json(&json!({ "stopped": pid })),
        false => Ok(()),
    }
}

/// Waits for the process to end: it has ended when it cannot be found, or is not reaped yet.
fn wait_for_end(pid: u32, limit: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + limit;
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        match (fields.next(), fields.nth(16)) {
            // The main thread may be dead before others, which have files open still.
            (Some("Z"), threads) => !matches!(threads, None | Some("0" | "1")),
            (state, _) => !matches!(state, None | Some("" | "X")),
        }
    };
    while lives() {
        if Instant::now() > deadline {
            return Err(Failure::TimedOut(format!("the daemon (pid {pid}) has not ended yet")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
