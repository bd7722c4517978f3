//! `onewriter stats`: what was done since the daemon started.

use onewriter_proto::v1::{StatisticsRequest, StatisticsResponse};
use serde_json::{Map, Value, json};

use crate::{
    command::{COMMON, Given, Verb},
    context::Context,
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "stats",
    about: "Count what was done since the daemon started",
    details: "Starts no daemon: where none runs, it says so.",
    operands: "",
    count: (0, 0),
    options: &[],
    common: COMMON,
    run,
};

fn run(_: &Given, context: &mut Context) -> Result<(), Failure> {
    let (server, absent) = (context.server()?, json!({ "running": false }));
    let method = "/onewriter.v1.Administration/Statistics";
    let answer = context.ask(&server, method, &StatisticsRequest {}, &absent)?;
    let Some::<StatisticsResponse>(stats) = answer else { return Ok(()) };
    let numbers = numbers(&stats);
    if context.is_json() {
        let mut mutations: Map<String, Value> = Map::new();
        for count in &stats.mutations {
            let outcomes = mutations.entry(count.method.clone()).or_insert_with(|| json!({}));
            outcomes[&count.outcome] = count.count.into();
        }
        let mut object: Map<String, Value> =
            numbers.iter().map(|(name, n)| (name.replace(' ', "_"), (*n).into())).collect();
        object.insert("running".into(), true.into());
        object.insert("mutations".into(), mutations.into());
        return context.output.json(&object.into());
    }
    for count in &stats.mutations {
        context
            .output
            .line(format_args!("{:>12}  {} {}", count.count, count.method, count.outcome))?;
    }
    numbers.iter().try_for_each(|(name, n)| context.output.line(format_args!("{n:>12}  {name}")))
}

fn numbers(stats: &StatisticsResponse) -> [(&'static str, u64); 14] {
    [
        ("bytes written", stats.bytes_written),
        ("lock acquisitions", stats.lock_acquisitions),
        ("lock waits", stats.lock_waits),
        ("lock wait us", stats.lock_wait_us),
        ("lock holders", stats.lock_holders),
        ("lock waiters", stats.lock_waiters),
        ("journal written", stats.journal_written),
        ("journal queued", stats.journal_queued),
        ("journal dropped", stats.journal_dropped),
        ("journal lost", stats.journal_lost),
        ("sync rounds", stats.sync_rounds),
        ("sync requests", stats.sync_requests),
        ("trash", stats.trash),
        ("resident bytes", stats.resident_bytes),
    ]
}
