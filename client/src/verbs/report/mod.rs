//! `onewriter report`: the account of a build.

mod html;
mod json;
mod text;

use std::ffi::OsStr;

use onewriter_proto::v1::{
    BuildList, BuildListed, BuildRecord, BuildSummary, Finding, RecipeRecord, ReportPart,
    ReportRequest, report_part::Part,
};

use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    repeat::Repeat,
};

pub(super) const VERB: Verb = Verb {
    name: "report",
    about: "Tell what a build did, which races were avoided, and what was at odds",
    details: "\
BUILD is a build's id; without one it is that of --build, or the build that began last. With --json,
one object a line: the build, each recipe, each finding, and the sums at the end. FILE is '-' for
standard output.",
    operands: "[BUILD]",
    count: (0, 1),
    options: &[
        Opt::flag('l', "list", "List the builds on record instead, the newest first"),
        Opt::value('\0', "html", "FILE", "Write a page for a browser to FILE, complete in itself"),
        Opt::value(
            'n',
            "lines",
            "N",
            "Name so many findings and recipes; 0 means all [default: 20]",
        ),
    ],
    common: COMMON,
    run,
};

/// All that the daemon tells of a build.
#[derive(Debug, Default)]
struct Report {
    build: BuildRecord,
    recipes: Vec<RecipeRecord>,
    findings: Vec<Finding>,
    summary: BuildSummary,
}

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    if given.has("list") {
        return list(given, context);
    }
    let of = given.operands.first().map(|id| id.to_string_lossy().into_owned());
    let build = of.unwrap_or_else(|| context.labels().0.to_owned());
    let html = given.value("html");
    if context.is_json() && html.is_none() {
        return parts(context, build, json::part);
    }
    let mut report = Report::default();
    parts(context, build, |_, part| {
        report.take(part);
        Ok(())
    })?;
    match html {
        Some(file) => write(context, file, &html::page(&report)),
        None => {
            let most = given.number("lines")?.unwrap_or(20);
            let most =
                if most == 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) };
            text::print(&mut context.output, &report, most)
        }
    }
}

/// Asks for a report, and hands over each part as it comes.
fn parts(
    context: &mut Context,
    build: String,
    mut take: impl FnMut(&mut crate::output::Output, Part) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let server = context.server()?;
    let mut session = context.session(&server)?;
    let (request, mut taken) = (ReportRequest { build }, Ok(()));
    session.stream("/onewriter.v1.Builds/Report", |call| {
        call.send_last(&request)?;
        while let Some(ReportPart { part }) = call.recv()? {
            taken = part.map_or(Ok(()), |part| take(&mut context.output, part));
            if taken.is_err() {
                break;
            }
        }
        Ok(())
    })?;
    taken
}

impl Report {
    fn take(&mut self, part: Part) {
        match part {
            Part::Build(build) => self.build = build,
            Part::Recipes(more) => self.recipes.extend(more.recipes),
            Part::Findings(more) => self.findings.extend(more.findings),
            Part::Summary(summary) => self.summary = summary,
        }
    }

    /// A recipe by its number; they are in the order of these.
    fn recipe(&self, number: i64) -> Option<&RecipeRecord> {
        let at = self.recipes.binary_search_by_key(&number, |recipe| recipe.number).ok()?;
        self.recipes.get(at)
    }

    /// When the build began, in nanoseconds since 1970.
    fn begun_ns(&self) -> i64 {
        let begun = self.build.begun.unwrap_or_default();
        begun.seconds.saturating_mul(1_000_000_000).saturating_add(begun.nanoseconds.into())
    }
}

/// A report is written where the user wants it, in a build root or not.
fn write(context: &mut Context, file: &OsStr, page: &str) -> Result<(), Failure> {
    if file == "-" {
        return context.output.bytes(page.as_bytes());
    }
    #[expect(clippy::disallowed_methods, reason = "the user's own file, which may be anywhere")]
    let written = std::fs::write(file, page);
    written.map_err(|e| Failure::Io(format!("cannot write '{}': {e}", file.display())))
}

fn list(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let limit = given.number("lines")?.unwrap_or(20);
    let request = BuildList { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
    let server = context.server()?;
    let mut session = context.session(&server)?;
    let listed: BuildListed = session.unary("/onewriter.v1.Builds/List", &request, Repeat::Safe)?;
    for build in &listed.builds {
        match context.is_json() {
            true => context.output.json(&json::build(build))?,
            false => context.output.line(text::one_line(build))?,
        }
    }
    Ok(())
}
