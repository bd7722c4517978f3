//! `onewriter log`: prints the journal.

use onewriter_proto::v1::{JournalRecord, ListJournalRequest};
use serde_json::{Value, json};

use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    output::{path_fields, shown},
};

pub(super) const VERB: Verb = Verb {
    name: "log",
    about: "Print what was changed, when, by whom, for which target",
    details: "With --build or --target, only what was done for them. With --json, one object a line.",
    operands: "",
    count: (0, 0),
    options: &[
        Opt::value('n', "lines", "N", "The last N records; 0 means all [default: 50]"),
        Opt::value('\0', "path", "PATH", "Only this path, and what lies below it"),
        Opt::flag('c', "changes", "Leave out what changed nothing"),
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let path = match given.value("path") {
        Some(path) => server.path(path)?,
        None => Vec::new(),
    };
    let (build, target) = context.labels();
    let request = ListJournalRequest {
        limit: given.number("lines")?.unwrap_or(50),
        below: !path.is_empty(),
        path,
        target: target.to_owned(),
        build: build.to_owned(),
        changes_only: given.has("changes"),
        ..ListJournalRequest::default()
    };
    let mut session = context.session(&server)?;
    let mut printed = Ok(());
    session.stream("/onewriter.v1.Reading/ListJournal", |call| {
        call.send_last(&request)?;
        while let Some(record) = call.recv::<JournalRecord>()? {
            printed = match context.is_json() {
                true => context.output.json(&as_json(&record)),
                false => context.output.line(as_text(&record)),
            };
            if printed.is_err() {
                break;
            }
        }
        Ok(())
    })?;
    printed
}

/// A record for people.
pub(super) fn as_text(record: &JournalRecord) -> String {
    let at = record.at.unwrap_or_default();
    let mut text = format!(
        "{:>6} {} {:<10} {:<10} '{}'",
        record.seq,
        utc(at.seconds, at.nanoseconds),
        record.method,
        record.outcome,
        shown(&record.path)
    );
    if let Some(other) = &record.other {
        text.push_str(&format!(" from '{}'", shown(other)));
    }
    if let Some(error) = &record.error {
        text.push_str(&format!(" {error}"));
    }
    if !record.target.is_empty() {
        text.push_str(&format!(" for {}", record.target));
    }
    match &*record.identity {
        "" => text.push_str(&format!(" pid {}", record.pid)),
        identity => text.push_str(&format!(" by {identity}")),
    }
    text.push_str(&format!(" {:.1} ms", record.took_us as f64 / 1000.0));
    text
}

/// A moment as in 2026-01-31T23:59:59.123Z.
pub(super) fn utc(seconds: i64, nanoseconds: u32) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The civil calendar in eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        nanoseconds / 1_000_000
    )
}

/// A record for programs.
pub(super) fn as_json(record: &JournalRecord) -> Value {
    let at = record.at.unwrap_or_default();
    let mut object = path_fields("path", &record.path);
    object.insert("seq".into(), record.seq.into());
    object.insert("at".into(), json!({ "seconds": at.seconds, "nanoseconds": at.nanoseconds }));
    object.insert("took_us".into(), record.took_us.into());
    object.insert("build".into(), record.build.clone().into());
    object.insert("target".into(), record.target.clone().into());
    object.insert("directory".into(), record.directory.clone().into());
    object.insert("pid".into(), record.pid.into());
    object.insert("uid".into(), record.uid.into());
    object.insert("identity".into(), record.identity.clone().into());
    object.insert("method".into(), record.method.clone().into());
    object.insert("outcome".into(), record.outcome.clone().into());
    object.insert("bytes".into(), record.bytes.into());
    if let Some(other) = &record.other {
        object.extend(path_fields("other", other));
    }
    if let Some(error) = &record.error {
        object.insert("error".into(), error.clone().into());
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn moments_are_written_as_iso_8601() {
        assert_eq!(utc(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_400, 5_000_000), "2000-02-29T00:00:00.005Z");
        assert_eq!(utc(1_798_761_599, 0), "2026-12-31T23:59:59.000Z");
        assert_eq!(utc(-1, 0), "1969-12-31T23:59:59.000Z");
    }
}
