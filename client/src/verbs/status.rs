//! `onewriter status`: who holds, who waits.

use onewriter_proto::v1::{
    Leased, LeasedOnce, LockParty, LockedPath, StatusRequest, StatusResponse, TransactionStatus,
    leased,
};
use serde_json::{Value, json};

use crate::{
    command::{COMMON, Given, Verb},
    context::Context,
    failure::Failure,
    output::{path_fields, shown},
};

pub(super) const VERB: Verb = Verb {
    name: "status",
    about: "Show the daemon, and who holds and who waits for which path or lease",
    details: "Starts no daemon: where none runs, it says so.",
    operands: "",
    count: (0, 0),
    options: &[],
    common: COMMON,
    run,
};

fn run(_: &Given, context: &mut Context) -> Result<(), Failure> {
    let (server, absent) = (context.server()?, json!({ "running": false }));
    let method = "/onewriter.v1.Administration/Status";
    match context.ask(&server, method, &StatusRequest {}, &absent)? {
        Some(status) if context.is_json() => context.output.json(&as_json(&status)),
        Some(status) => print(context, &status),
        None => Ok(()),
    }
}

fn print(context: &mut Context, status: &StatusResponse) -> Result<(), Failure> {
    context.output.line(format_args!(
        "onewriterd {} (pid {}) serves '{}' since {:.0} s, durability {}, {} connection{}{}",
        status.version,
        status.pid,
        shown(&status.root),
        status.uptime_ms as f64 / 1000.0,
        status.durability,
        status.connections,
        if status.connections == 1 { "" } else { "s" },
        if status.draining { ", draining" } else { "" },
    ))?;
    for transaction in &status.transactions {
        context.output.line(format_args!(
            "transaction of pid {} ({}{}) for {:.1} s: {}",
            transaction.pid,
            transaction.method,
            for_target(&transaction.target),
            transaction.for_ms as f64 / 1000.0,
            transaction.command,
        ))?;
    }
    print_paths(context, "", &status.locks)?;
    print_paths(context, "turn to run again for ", &status.turns)?;
    for lease in &status.leases {
        context.output.line(format_args!("lease on {}", subject(lease)))?;
        print_parties(context, &lease.holders, &lease.waiters)?;
    }
    Ok(())
}

/// Paths with those who hold and those who wait.
fn print_paths(context: &mut Context, what: &str, paths: &[LockedPath]) -> Result<(), Failure> {
    for lock in paths {
        context.output.line(format_args!("{what}'{}'", shown(&lock.path)))?;
        print_parties(context, &lock.holders, &lock.waiters)?;
    }
    Ok(())
}

fn print_parties(
    context: &mut Context,
    holders: &[LockParty],
    waiters: &[LockParty],
) -> Result<(), Failure> {
    for party in holders {
        context.output.line(format_args!("  held    {}", describe(party)))?;
    }
    for party in waiters {
        context.output.line(format_args!("  waiting {}", describe(party)))?;
    }
    Ok(())
}

/// What a lease is on, for people.
pub(super) fn subject(lease: &Leased) -> String {
    match &lease.subject {
        Some(leased::Subject::Path(path)) => format!("'{}'", shown(path)),
        Some(leased::Subject::Name(name)) => format!("name '{}'", shown(name.as_bytes())),
        Some(leased::Subject::Once(LeasedOnce { build, key })) => {
            let of = if build.is_empty() { String::new() } else { format!(" of build '{build}'") };
            format!("once '{}'{of}", shown(key.as_bytes()))
        }
        None => "something that this client does not know".to_owned(),
    }
}

fn describe(party: &LockParty) -> String {
    let access = if party.exclusive { "exclusive" } else { "shared" };
    let (method, target) = (&party.method, for_target(&party.target));
    let seconds = party.for_ms as f64 / 1000.0;
    let token = if party.token == 0 { String::new() } else { format!(", token {}", party.token) };
    format!("{access} by pid {} ({method}{target}) for {seconds:.1} s{token}", party.pid)
}

pub(super) fn for_target(target: &str) -> String {
    if target.is_empty() { String::new() } else { format!(" for target '{target}'") }
}

pub(super) fn transaction_as_json(t: &TransactionStatus) -> Value {
    json!({
        "method": t.method, "build": t.build, "target": t.target, "pid": t.pid, "uid": t.uid,
        "command": t.command, "for_ms": t.for_ms,
    })
}

fn parties_as_json(parties: &[LockParty]) -> Value {
    let party = |p: &LockParty| {
        let mut party = json!({
            "method": p.method, "build": p.build, "target": p.target, "pid": p.pid, "uid": p.uid,
            "exclusive": p.exclusive, "for_ms": p.for_ms,
        });
        if p.token != 0 {
            party["token"] = p.token.into();
        }
        party
    };
    parties.iter().map(party).collect()
}

pub(super) fn lock_as_json(lock: &LockedPath) -> Value {
    let mut object = path_fields("path", &lock.path);
    object.insert("holders".into(), parties_as_json(&lock.holders));
    object.insert("waiters".into(), parties_as_json(&lock.waiters));
    Value::Object(object)
}

pub(super) fn lease_as_json(lease: &Leased) -> Value {
    let mut object = match &lease.subject {
        Some(leased::Subject::Path(path)) => path_fields("path", path),
        Some(leased::Subject::Name(name)) => path_fields("name", name.as_bytes()),
        Some(leased::Subject::Once(once)) => {
            let mut object = path_fields("once", once.key.as_bytes());
            object.insert("build".into(), once.build.clone().into());
            object
        }
        None => Default::default(),
    };
    object.insert("holders".into(), parties_as_json(&lease.holders));
    object.insert("waiters".into(), parties_as_json(&lease.waiters));
    Value::Object(object)
}

fn as_json(status: &StatusResponse) -> Value {
    let mut object = path_fields("root", &status.root);
    object.insert("running".into(), true.into());
    object.insert("version".into(), status.version.clone().into());
    object.insert("protocol".into(), status.protocol.into());
    object.insert("pid".into(), status.pid.into());
    object.insert("uptime_ms".into(), status.uptime_ms.into());
    object.insert("durability".into(), status.durability.clone().into());
    object.insert("draining".into(), status.draining.into());
    object.insert("connections".into(), status.connections.into());
    object.insert("journal_mode".into(), status.journal_mode.clone().into());
    object.insert("locks".into(), status.locks.iter().map(lock_as_json).collect());
    object.insert("leases".into(), status.leases.iter().map(lease_as_json).collect());
    object.insert("turns".into(), status.turns.iter().map(lock_as_json).collect());
    let transactions = status.transactions.iter().map(transaction_as_json).collect();
    object.insert("transactions".into(), transactions);
    Value::Object(object)
}
