//! The account of a build, which the daemon keeps, and what of it is told at the end.

use std::{ffi::OsString, time::SystemTime};

use onewriter_proto::v1::{BuildBegin, BuildBegun, BuildEnd, BuildSummary};

use crate::{context::Context, failure::Failure, repeat::Repeat, server::Server};

/// A build that has begun.
pub(super) struct Account {
    server: Server,
    id: String,
}

impl Account {
    /// Begins a build of so many jobs (0: any number), under the id that the user has set.
    pub(super) fn open(
        context: &mut Context,
        arguments: &[OsString],
        jobs: u32,
    ) -> Result<Self, Failure> {
        let server = Server::Root(context.place()?);
        let (own, _) = context.labels();
        let id = if own.is_empty() { new_id() } else { own.to_owned() };
        context.set_build(&id);
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        let about = context.request(&server);
        let begin = BuildBegin {
            directory: about.directory.clone(),
            context: Some(about),
            command: ["make"]
                .into_iter()
                .chain(words.iter().map(|w| &**w))
                .collect::<Vec<_>>()
                .join(" "),
            jobs,
        };
        let mut session = context.session(&server)?;
        session.unary::<_, BuildBegun>("/onewriter.v1.Builds/Begin", &begin, Repeat::Safe)?;
        drop(session);
        Ok(Self { server, id })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Ends it and tells what happened. make's result stays what it is, whatever becomes of this.
    pub(super) fn close(&self, context: &Context, exit_code: i32, is_quiet: bool) {
        let end = BuildEnd { id: self.id.clone(), exit_code };
        let summary = context.session(&self.server).and_then(|mut session| {
            session.unary::<_, BuildSummary>("/onewriter.v1.Builds/End", &end, Repeat::Safe)
        });
        match summary {
            _ if is_quiet => {}
            Ok(summary) => {
                // A build that had nothing to do says nothing, like make -q.
                if let Some(line) = in_words(&summary) {
                    eprintln!("onewriter make: {line}");
                }
            }
            Err(failure) => eprintln!("onewriter make: there is no summary: {failure}"),
        }
    }
}

fn new_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("make-{}-{}", now.as_millis(), std::process::id())
}

/// What is worth telling; `None` where nothing was done.
fn in_words(summary: &BuildSummary) -> Option<String> {
    let parts = [
        (summary.recipes, "recipe", "recipes"),
        (summary.unwrapped, "of them unwrapped", "of them unwrapped"),
        (summary.failed, "failed", "failed"),
        (summary.reruns, "run again", "run again"),
        (summary.changed, "path changed", "paths changed"),
        (summary.unchanged, "left untouched", "left untouched"),
        (summary.races_avoided, "race avoided", "races avoided"),
        (summary.conflicts, "conflict", "conflicts"),
    ];
    let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<_> = parts
        .map(|(count, one, more)| format!("{count} {}", if count == 1 { one } else { more }))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
