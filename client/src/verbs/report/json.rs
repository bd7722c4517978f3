//! A report for programs: one object a line.

use onewriter_proto::v1::{
    BuildRecord, BuildSummary, Finding, FindingKind, RecipeHow, RecipeOutcome, RecipeRecord, Time,
    report_part::Part,
};
use serde_json::{Map, Value, json};

use crate::{
    failure::Failure,
    output::{Output, path_fields},
};

pub(super) fn part(output: &mut Output, part: Part) -> Result<(), Failure> {
    match part {
        Part::Build(told) => output.json(&build(&told)),
        Part::Recipes(more) => more.recipes.iter().try_for_each(|r| output.json(&recipe(r))),
        Part::Findings(more) => more.findings.iter().try_for_each(|f| output.json(&finding(f))),
        Part::Summary(sums) => output.json(&summary(&sums)),
    }
}

pub(super) fn build(build: &BuildRecord) -> Value {
    let time = |at: &Option<Time>| {
        at.map(|at| json!({ "seconds": at.seconds, "nanoseconds": at.nanoseconds }))
    };
    json!({
        "type": "build", "build": build.id, "command": build.command, "directory": build.directory,
        "jobs": build.jobs, "pid": build.pid, "begun": time(&build.begun),
        "ended": time(&build.ended), "exit_code": build.exit_code,
    })
}

/// How a recipe was run, in a word.
pub(super) fn how(how: RecipeHow) -> &'static str {
    match how {
        RecipeHow::Wrapped => "wrapped",
        RecipeHow::Unwrapped => "unwrapped",
        RecipeHow::Direct => "direct",
    }
}

/// How it ended, in a word.
pub(super) fn outcome(outcome: RecipeOutcome) -> &'static str {
    match outcome {
        RecipeOutcome::Done => "done",
        RecipeOutcome::Failed => "failed",
        RecipeOutcome::Conflicted => "conflicted",
        RecipeOutcome::Interrupted => "interrupted",
        RecipeOutcome::Refused => "refused",
    }
}

fn recipe(r: &RecipeRecord) -> Value {
    json!({
        "type": "recipe", "number": r.number, "target": r.target, "directory": r.directory,
        "prerequisites": r.prerequisites, "command": r.command, "pid": r.pid,
        "begun_ns": r.begun_ns, "ended_ns": r.ended_ns, "how": how(r.how()),
        "outcome": outcome(r.outcome()), "exit_code": r.exit_code, "reruns": r.reruns,
        "changed": r.changed, "unchanged": r.unchanged,
    })
}

/// What was found, in a word.
pub(super) fn kind(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Directory => "directory",
        FindingKind::File => "file",
        FindingKind::Conflict => "conflict",
        FindingKind::Unspecified => "other",
    }
}

/// A finding, as programs and the page have it.
pub(super) fn finding_fields(f: &Finding) -> Map<String, Value> {
    let mut object = path_fields("path", &f.path);
    let fields = [
        ("kind", kind(f.kind()).into()),
        ("first", f.first.into()),
        ("second", f.second.into()),
        ("others", f.others.clone().into()),
        ("other_count", f.other_count.into()),
        ("met", f.met.clone().into()),
        ("reran", f.reran.into()),
        ("cure", f.cure.clone().into()),
        ("cure_directory", f.cure_directory.clone().into()),
        ("advice", f.advice.clone().into()),
    ];
    object.extend(fields.map(|(name, value): (_, Value)| (name.to_owned(), value)));
    object
}

fn finding(f: &Finding) -> Value {
    let mut object = finding_fields(f);
    object.insert("type".into(), "finding".into());
    Value::Object(object)
}

pub(super) fn summary(s: &BuildSummary) -> Value {
    let outcomes: Map<String, Value> =
        s.outcomes.iter().map(|o| (o.outcome.clone(), o.count.into())).collect();
    json!({
        "type": "summary", "build": s.id, "recipes": s.recipes, "wrapped": s.wrapped,
        "unwrapped": s.unwrapped, "direct": s.direct, "failed": s.failed, "reruns": s.reruns,
        "changed": s.changed, "unchanged": s.unchanged, "conflicts": s.conflicts,
        "races_avoided": s.races_avoided, "took_ms": s.took_ms, "outcomes": outcomes,
        "most_at_once": s.most_at_once, "bytes": s.bytes,
    })
}
