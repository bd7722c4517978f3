//! `onewriter status`: who holds, who waits.

use onewriter_proto::v1::{LockParty, LockedPath, StatusRequest, StatusResponse};
use serde_json::{Value, json};

use crate::{
    command::{COMMON, Given, Verb},
    context::Context,
    failure::Failure,
    output::{path_fields, shown},
};

pub(super) const VERB: Verb = Verb {
    name: "status",
    about: "Show the daemon, and who holds and who waits for which path",
    details: "Starts no daemon: where none runs, it says so.",
    operands: "",
    count: (0, 0),
    options: &[],
    common: COMMON,
    run,
};

fn run(_: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let mut session = context.session(&server)?;
    let method = "/onewriter.v1.Administration/Status";
    let status: Option<StatusResponse> = session.unary_if_running(method, &StatusRequest {})?;
    match (status, context.is_json()) {
        (None, _) => context.tell_not_running(&json!({ "running": false })),
        (Some(status), true) => context.output.json(&as_json(&status)),
        (Some(status), false) => print(context, &status),
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
    for lock in &status.locks {
        context.output.line(format_args!("'{}'", shown(&lock.path)))?;
        for party in &lock.holders {
            context.output.line(format_args!("  held    {}", describe(party)))?;
        }
        for party in &lock.waiters {
            context.output.line(format_args!("  waiting {}", describe(party)))?;
        }
    }
    Ok(())
}

fn describe(party: &LockParty) -> String {
    let access = if party.exclusive { "exclusive" } else { "shared" };
    let mut text = format!("{access} by pid {} ({}", party.pid, party.method);
    if !party.target.is_empty() {
        text.push_str(&format!(" for target '{}'", party.target));
    }
    text.push_str(&format!(") for {:.1} s", party.for_ms as f64 / 1000.0));
    text
}

fn as_json(status: &StatusResponse) -> Value {
    let parties = |parties: &[LockParty]| -> Vec<Value> {
        let party = |p: &LockParty| {
            json!({
                "method": p.method, "build": p.build, "target": p.target, "pid": p.pid, "uid": p.uid,
                "exclusive": p.exclusive, "for_ms": p.for_ms,
            })
        };
        parties.iter().map(party).collect()
    };
    let lock = |lock: &LockedPath| {
        let mut object = path_fields("path", &lock.path);
        object.insert("holders".into(), parties(&lock.holders).into());
        object.insert("waiters".into(), parties(&lock.waiters).into());
        Value::Object(object)
    };
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
    object.insert("locks".into(), status.locks.iter().map(lock).collect());
    Value::Object(object)
}
