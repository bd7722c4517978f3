//! What is known of a build at its end.

use std::{ffi::OsString, time::SystemTime};

use onewriter_proto::v1::{
    BuildBegin, BuildBegun, BuildEnd, BuildSummary, JournalRecord, ListJournalRequest,
};
use onewriter_tree::Reason;

use crate::{
    context::Context,
    failure::Failure,
    session::{Repeat, Server},
};

/// A build that has begun.
pub(super) struct Account {
    server: Server,
    id: String,
    /// Whether the daemon keeps accounts.
    is_kept: bool,
}

impl Account {
    /// Begins a build, under the id that the user has set.
    pub(super) fn open(context: &mut Context, arguments: &[OsString]) -> Result<Self, Failure> {
        let server = Server::Root(context.place()?);
        let (own, _) = context.labels();
        let id = if own.is_empty() { new_id() } else { own.to_owned() };
        context.set_build(&id);
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        let begin = BuildBegin {
            context: Some(context.request(&server)),
            command: format!("make {}", words.join(" ")),
            ..BuildBegin::default()
        };
        let mut session = context.session(&server)?;
        let begun =
            session.unary::<_, BuildBegun>("/onewriter.v1.Builds/Begin", &begin, Repeat::Safe);
        let is_kept = match begun {
            Ok(_) => true,
            Err(failure) if is_unknown(&failure) => false,
            Err(failure) => return Err(failure),
        };
        drop(session);
        Ok(Self { server, id, is_kept })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Ends it and tells what happened. make's result stays what it is, whatever becomes of this.
    pub(super) fn close(&mut self, context: &Context, exit_code: i32, is_quiet: bool) {
        let summary = match self.is_kept {
            true => self.end(context, exit_code),
            false if is_quiet => return,
            false => self.add_up(context),
        };
        match summary {
            _ if is_quiet => {}
            Ok(summary) => tell(&summary),
            Err(failure) => eprintln!("onewriter make: there is no summary: {failure}"),
        }
    }

    fn end(&self, context: &Context, exit_code: i32) -> Result<BuildSummary, Failure> {
        let end = BuildEnd { id: self.id.clone(), exit_code };
        context.session(&self.server)?.unary("/onewriter.v1.Builds/End", &end, Repeat::Safe)
    }

    /// From the journal, which knows of changes.
    fn add_up(&self, context: &Context) -> Result<BuildSummary, Failure> {
        let request = ListJournalRequest { build: self.id.clone(), ..Default::default() };
        let mut summary = BuildSummary::default();
        context.session(&self.server)?.stream("/onewriter.v1.Reading/ListJournal", |call| {
            call.send_last(&request)?;
            while let Some(record) = call.recv::<JournalRecord>()? {
                match record.outcome.as_str() {
                    "unchanged" | "existed" => summary.unchanged += 1,
                    "conflict" => summary.conflicts += 1,
                    "absent" | "refused" => {}
                    _ => summary.changed += 1,
                }
            }
            Ok(())
        })?;
        Ok(summary)
    }
}

/// A daemon that keeps no accounts.
fn is_unknown(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { reason: Some(Reason::VersionMismatch), .. })
}

fn new_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("make-{}-{}", now.as_millis(), std::process::id())
}

fn tell(summary: &BuildSummary) {
    let mut parts = Vec::new();
    let mut part = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    part(summary.recipes, "recipes");
    part(summary.unwrapped, "of them unwrapped");
    part(summary.failed, "failed");
    part(summary.reruns, "run again");
    part(summary.changed, "paths changed");
    part(summary.unchanged, "left untouched");
    part(summary.races_avoided, "races avoided");
    part(summary.conflicts, "conflicts");
    // A build that had nothing to do says nothing, like make -q.
    if !parts.is_empty() {
        eprintln!("onewriter make: {}", parts.join(", "));
    }
}
