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
runs, there is nothing to do. A lease is nothing to be finished: it ends with the daemon, and with it what
runs under 'onewriter lock'.",
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
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    while lives(&stat()) {
        if Instant::now() > deadline {
            return Err(Failure::TimedOut(format!("the daemon (pid {pid}) has not ended yet")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Whether anything of a process still runs, by its /proc/PID/stat; empty where there is none.
fn lives(stat: &str) -> bool {
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    match (fields.next(), fields.nth(16)) {
        // The main thread may be dead before others, which have files open still.
        (Some("Z"), threads) => !matches!(threads, None | Some("0" | "1")),
        (state, _) => !matches!(state, None | Some("" | "X")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_as_long_as_its_last_thread() {
        let stat = |state: &str, threads: u32| {
            format!("7 (a) Z (b) {state} 1 7 7 0 -1 4 9 0 0 0 1 2 0 0 20 0 {threads} 0 5 6\n")
        };
        assert!(lives(&stat("S", 1)) && lives(&stat("R", 8)));
        assert!(lives(&stat("Z", 2)), "its main thread only is dead");
        assert!(!lives(&stat("Z", 1)) && !lives(&stat("Z", 0)) && !lives(&stat("X", 0)));
        assert!(!lives(""));
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(lives(&own), "{own}");
    }
}
