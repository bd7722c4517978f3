//! The account of a build.

use std::{sync::Arc, time::Duration};

use onewriter_core::{
    Caller, Engine,
    account::{Account, Finding, Kind, Line},
    journal::{Build, How, RecipeOutcome},
};
use onewriter_proto::{
    convert,
    v1::{
        self, BuildBegin, BuildBegun, BuildEnd, BuildList, BuildListed, BuildRecord, BuildSummary,
        FindingKind, Findings, OutcomeCount, RecipeHow, RecipeNoted, RecipeRan, RecipeRecord,
        Recipes, ReportPart, ReportRequest, report_part::Part,
    },
};
use onewriter_tree::{Error, Reason, RelPath, mutation::Deed};
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, Sender, answers, blocking, caller, send};
use crate::{
    peer::{self, Terms, cut, time_of},
    status::{status, unreadable_journal},
};

/// The longest id of a build, in bytes.
const ID_MAX: usize = 128;

/// Builds that are listed where the request does not say how many.
const LISTED: u32 = 100;

/// Recipes, or findings, in one message.
const TOLD_AT_ONCE: usize = 1000;

pub(crate) struct Builds {
    engine: Arc<Engine>,
}

impl Builds {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Builds are of those who may change something somewhere, which `make` does by publishing.
    async fn may_build(&self, caller: &Caller) -> Result<(), Status> {
        self.engine.permit_somewhere(caller, Deed::Publish).await.map_err(status)
    }

    /// Commands and findings name files anywhere.
    async fn may_see_all<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
    ) -> Result<(), Status> {
        let caller = caller(request, method);
        self.engine.permit(&caller, Deed::Read, &RelPath::ROOT).await.map_err(status)
    }
}

#[async_trait]
impl v1::builds_server::Builds for Builds {
    async fn begin(
        &self,
        mut request: Request<BuildBegin>,
    ) -> Result<Response<BuildBegun>, Status> {
        let context = request.get_mut().context.take();
        let caller = Terms::of(&request, context).caller;
        self.may_build(&caller).await?;
        let owner = caller.owner;
        check_id("context", &owner.build)?;
        let BuildBegin { command, directory, jobs, .. } = request.into_inner();
        let id = self.engine.begin_build(Build {
            id: owner.build,
            command: cut(command),
            directory: cut(directory),
            jobs,
            pid: owner.pid,
            begun: std::time::SystemTime::now(),
            ended: None,
        });
        Ok(Response::new(BuildBegun { id }))
    }

    async fn ran(&self, mut request: Request<RecipeRan>) -> Result<Response<RecipeNoted>, Status> {
        let context = request.get_mut().context.take();
        let Terms { caller, recipe, .. } = Terms::of(&request, context);
        self.may_build(&caller).await?;
        if caller.owner.build.is_empty() {
            return Err(status(convert::bad("context", "a recipe belongs to a build")));
        }
        let how = match request.get_ref().how() {
            RecipeHow::Wrapped => How::Wrapped,
            RecipeHow::Unwrapped => How::Unwrapped,
            RecipeHow::Direct => How::Direct,
        };
        let RecipeRan { took_us, exit_code, .. } = request.into_inner();
        let took = Duration::from_micros(took_us);
        self.engine.recipe_ran(&caller, recipe.unwrap_or_default(), how, took, exit_code);
        Ok(Response::new(RecipeNoted {}))
    }

    async fn end(&self, request: Request<BuildEnd>) -> Result<Response<BuildSummary>, Status> {
        self.may_build(&caller(&request, "builds")).await?;
        let BuildEnd { id, exit_code } = request.get_ref().clone();
        check_id("id", &id)?;
        self.engine.journal().end_build(id.clone(), std::time::SystemTime::now(), exit_code);
        // It is over, also where its sums are not for whoever ended it.
        self.may_see_all(&request, "builds").await?;
        let account = account(&self.engine, id).await?;
        Ok(Response::new(summary(&account)))
    }

    async fn list(&self, request: Request<BuildList>) -> Result<Response<BuildListed>, Status> {
        self.may_see_all(&request, "builds").await?;
        let limit = match request.into_inner().limit {
            0 => LISTED,
            limit => limit,
        };
        let engine = Arc::clone(&self.engine);
        engine.journal().flushed().await;
        let builds =
            blocking(move || engine.journal().builds(limit).map_err(unreadable_journal)).await?;
        Ok(Response::new(BuildListed { builds: builds.into_iter().map(build).collect() }))
    }

    type ReportStream = Answers<ReportPart>;

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        self.may_see_all(&request, "report").await?;
        let deadline = peer::deadline(request.metadata());
        let (engine, id) = (Arc::clone(&self.engine), request.into_inner().build);
        Ok(Response::new(answers(1, deadline, |to| report(engine, id, to))))
    }
}

fn check_id(field: &str, id: &str) -> Result<(), Status> {
    match id.len() {
        0..=ID_MAX => Ok(()),
        _ => Err(status(convert::bad(field, "a build's id has at most 128 bytes"))),
    }
}

/// The account of a build with all that is known by now.
async fn account(engine: &Arc<Engine>, id: String) -> Result<Account, Status> {
    engine.journal().flushed().await;
    let engine = Arc::clone(engine);
    blocking(move || {
        let of = Some(&*id).filter(|id| !id.is_empty());
        let found = Account::of(engine.journal(), of).map_err(unreadable_journal)?;
        found.ok_or_else(|| match of {
            Some(id) => Error::new(Reason::NotFound, id.as_bytes(), "there is no such build"),
            None => Error::new(Reason::NotFound, b".", "there was no build yet"),
        })
    })
    .await
}

async fn report(engine: Arc<Engine>, id: String, to: Sender<ReportPart>) -> Result<(), Status> {
    let account = account(&engine, id).await?;
    let part = |part| ReportPart { part: Some(part) };
    let sums = summary(&account);
    let Account { build: of, recipes, findings, .. } = account;
    send(&to, part(Part::Build(build(of)))).await?;
    let mut recipes = recipes.into_iter();
    loop {
        let recipes: Vec<_> = recipes.by_ref().take(TOLD_AT_ONCE).map(recipe).collect();
        if recipes.is_empty() {
            break;
        }
        send(&to, part(Part::Recipes(Recipes { recipes }))).await?;
    }
    let mut findings = findings.into_iter();
    loop {
        let findings: Vec<_> = findings.by_ref().take(TOLD_AT_ONCE).map(finding).collect();
        if findings.is_empty() {
            break;
        }
        send(&to, part(Part::Findings(Findings { findings }))).await?;
    }
    send(&to, part(Part::Summary(sums))).await
}

fn build(build: Build) -> BuildRecord {
    BuildRecord {
        id: build.id,
        command: build.command,
        directory: build.directory,
        jobs: build.jobs,
        pid: build.pid,
        begun: Some(time_of(build.begun)),
        ended: build.ended.map(|(at, _)| time_of(at)),
        exit_code: build.ended.map(|(_, code)| code),
    }
}

fn recipe(line: Line) -> RecipeRecord {
    let Line { number, recipe, changed, unchanged } = line;
    let how = match recipe.how {
        How::Wrapped => RecipeHow::Wrapped,
        How::Unwrapped => RecipeHow::Unwrapped,
        How::Direct => RecipeHow::Direct,
    };
    let outcome = match recipe.outcome {
        RecipeOutcome::Done => v1::RecipeOutcome::Done,
        RecipeOutcome::Failed => v1::RecipeOutcome::Failed,
        RecipeOutcome::Conflicted => v1::RecipeOutcome::Conflicted,
        RecipeOutcome::Interrupted => v1::RecipeOutcome::Interrupted,
        RecipeOutcome::Refused => v1::RecipeOutcome::Refused,
    };
    let nanoseconds = |at: std::time::SystemTime| {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    };
    RecipeRecord {
        number,
        target: recipe.target,
        directory: recipe.directory,
        prerequisites: recipe.prerequisites,
        command: recipe.command,
        pid: recipe.pid,
        begun_ns: nanoseconds(recipe.begun),
        ended_ns: nanoseconds(recipe.ended),
        how: how.into(),
        outcome: outcome.into(),
        exit_code: recipe.exit_code,
        reruns: recipe.reruns,
        changed,
        unchanged,
    }
}

fn finding(finding: Finding) -> v1::Finding {
    let kind = match finding.kind {
        Kind::Directory => FindingKind::Directory,
        Kind::File => FindingKind::File,
        Kind::Conflict => FindingKind::Conflict,
    };
    v1::Finding {
        kind: kind.into(),
        path: finding.path,
        first: finding.first,
        second: finding.second,
        others: finding.others,
        other_count: finding.other_count,
        met: finding.met,
        cure: finding.cure.line,
        cure_directory: finding.cure.directory,
        advice: finding.cure.advice,
        reran: finding.reran,
    }
}

fn summary(account: &Account) -> BuildSummary {
    let sums = &account.sums;
    let outcome =
        |(outcome, &count): (&String, &u64)| OutcomeCount { outcome: outcome.clone(), count };
    BuildSummary {
        id: account.build.id.clone(),
        recipes: sums.recipes(),
        wrapped: sums.run(How::Wrapped),
        unwrapped: sums.run(How::Unwrapped),
        direct: sums.run(How::Direct),
        failed: sums.failed,
        reruns: sums.reruns,
        changed: sums.changed,
        unchanged: sums.unchanged,
        conflicts: sums.conflicts,
        races_avoided: sums.races_avoided,
        took_ms: sums.took.as_millis() as u64,
        outcomes: sums.outcomes.iter().map(outcome).collect(),
        most_at_once: sums.most_at_once,
        bytes: sums.bytes,
    }
}
