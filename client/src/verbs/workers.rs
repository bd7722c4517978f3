//! `onewriter workers`: who is connected, what they hold, and what they run.

use onewriter_proto::v1::{
    LockParty, LockedPath, Worker, WorkerRequest, WorkersRequest, WorkersResponse,
};
use serde_json::{Value, json};

use super::status::{for_target, lease_as_json, lock_as_json, subject, transaction_as_json};
use crate::{
    command::{COMMON, Given, Verb},
    context::Context,
    failure::Failure,
    output::shown,
};

pub(super) const VERB: Verb = Verb {
    name: "workers",
    about: "Show who is connected, what they hold and wait for, and what they run",
    details: "\
A worker is a process of the daemon's own machine, or all that one identity does from one address. Those
that come for one request are seen only while it is under way. Of others, one sees what one may read.
Starts no daemon: where none runs, it says so.",
    operands: "",
    count: (0, 0),
    options: &[],
    common: COMMON,
    run,
};

fn run(_: &Given, context: &mut Context) -> Result<(), Failure> {
    let (server, absent) = (context.server()?, json!({ "running": false }));
    let method = "/onewriter.v1.Administration/Workers";
    let answer = context.ask(&server, method, &WorkersRequest {}, &absent)?;
    let Some(WorkersResponse { workers }) = answer else { return Ok(()) };
    if context.is_json() {
        let workers: Vec<_> = workers.iter().map(as_json).collect();
        return context.output.json(&json!({ "running": true, "workers": workers }));
    }
    workers.iter().try_for_each(|worker| print(context, worker))
}

fn print(context: &mut Context, worker: &Worker) -> Result<(), Failure> {
    context.output.line(format_args!("{}: {}", name(worker), presence(worker)))?;
    for WorkerRequest { method, for_ms } in &worker.requests {
        context.output.line(format_args!("  asks    {method} for {}", seconds(*for_ms)))?;
    }
    for transaction in &worker.transactions {
        let (target, time) = (for_target(&transaction.target), seconds(transaction.for_ms));
        let (method, command) = (&transaction.method, &transaction.command);
        context.output.line(format_args!("  runs    {method}{target} for {time}: {command}"))?;
    }
    for lease in &worker.leases {
        let subject = format!("lease on {}", subject(lease));
        print_parties(context, &subject, &lease.holders, &lease.waiters)?;
    }
    print_paths(context, "", &worker.locks)?;
    print_paths(context, "turn to run again for ", &worker.turns)
}

/// As in `cert:builder-7 at 192.0.2.7`, or `uid:1000 pid 1234`.
fn name(worker: &Worker) -> String {
    match (&*worker.address, worker.pid) {
        ("", 0) => worker.identity.clone(),
        ("", pid) => format!("{} pid {pid}", worker.identity),
        (address, _) => format!("{} at {address}", worker.identity),
    }
}

fn presence(worker: &Worker) -> String {
    let Worker { connections, for_ms, idle_ms, .. } = worker;
    if *connections == 0 {
        return "not connected".to_owned();
    }
    let plural = if *connections == 1 { "" } else { "s" };
    let idle = match idle_ms {
        0 => String::new(),
        idle => format!(", idle for {}", seconds(*idle)),
    };
    format!("{connections} connection{plural} for {}{idle}", seconds(*for_ms))
}

fn print_paths(context: &mut Context, what: &str, paths: &[LockedPath]) -> Result<(), Failure> {
    paths.iter().try_for_each(|lock| {
        let subject = format!("{what}'{}'", shown(&lock.path));
        print_parties(context, &subject, &lock.holders, &lock.waiters)
    })
}

fn print_parties(
    context: &mut Context,
    subject: &str,
    holders: &[LockParty],
    waiters: &[LockParty],
) -> Result<(), Failure> {
    let holds = holders.iter().map(|party| ("holds  ", party));
    for (does, party) in holds.chain(waiters.iter().map(|party| ("awaits ", party))) {
        let access = if party.exclusive { "exclusive" } else { "shared" };
        let (method, target) = (&party.method, for_target(&party.target));
        let time = seconds(party.for_ms);
        context
            .output
            .line(format_args!("  {does} {subject} {access} ({method}{target}) for {time}"))?;
    }
    Ok(())
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1000.0)
}

fn as_json(worker: &Worker) -> Value {
    let request = |r: &WorkerRequest| json!({ "method": r.method, "for_ms": r.for_ms });
    json!({
        "identity": worker.identity,
        "address": worker.address,
        "pid": worker.pid,
        "connections": worker.connections,
        "for_ms": worker.for_ms,
        "idle_ms": worker.idle_ms,
        "requests": worker.requests.iter().map(request).collect::<Vec<_>>(),
        "locks": worker.locks.iter().map(lock_as_json).collect::<Vec<_>>(),
        "leases": worker.leases.iter().map(lease_as_json).collect::<Vec<_>>(),
        "turns": worker.turns.iter().map(lock_as_json).collect::<Vec<_>>(),
        "transactions": worker.transactions.iter().map(transaction_as_json).collect::<Vec<_>>(),
    })
}
