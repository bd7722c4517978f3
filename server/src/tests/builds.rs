//! The account of a build, over the wire.

use onewriter_proto::v1::{
    BuildBegin, BuildEnd, BuildList, BuildSummary, FindingKind, RecipeHow, RecipeOutcome,
    RecipeRan, ReportPart, ReportRequest, TransactionAbandon, builds_client::BuildsClient,
    report_part::Part, transact_request::Step as In, transact_response::Step as Out,
};

use super::{
    transactions::{Transact, begin, commit},
    *,
};

impl Daemon {
    async fn builds(&self) -> BuildsClient<Wire> {
        BuildsClient::with_origin(self.wire().await, ORIGIN.parse().unwrap())
    }

    /// Begins "b1".
    async fn with_build() -> (Self, BuildsClient<Wire>) {
        let daemon = Self::start().await;
        let mut builds = daemon.builds().await;
        let begin = BuildBegin {
            context: context(""),
            command: "make -j2".into(),
            jobs: 2,
            ..Default::default()
        };
        assert_eq!(in_time(builds.begin(begin)).await.unwrap().into_inner().id, "b1");
        (daemon, builds)
    }
}

async fn report(builds: &mut BuildsClient<Wire>) -> Vec<Part> {
    let request = ReportRequest { build: "b1".into() };
    let mut parts = in_time(builds.report(request)).await.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(ReportPart { part }) = in_time(parts.message()).await.unwrap() {
        all.push(part.unwrap());
    }
    all
}

async fn recipes(builds: &mut BuildsClient<Wire>) -> Vec<v1::RecipeRecord> {
    let recipes = |part| match part {
        Part::Recipes(recipes) => recipes.recipes,
        _ => Vec::new(),
    };
    report(builds).await.into_iter().flat_map(recipes).collect()
}

async fn end(builds: &mut BuildsClient<Wire>, exit_code: i32) -> BuildSummary {
    let end = BuildEnd { id: "b1".into(), exit_code };
    in_time(builds.end(end)).await.unwrap().into_inner()
}

async fn run(daemon: &Daemon, target: &str, file: &str) {
    let mut call = Transact::open(daemon).await;
    call.begin(daemon, target).await;
    call.write(file, target);
    assert!(matches!(call.ask(In::Commit(commit())).await.unwrap(), Out::Changes(_)));
    assert!(matches!(call.answer().await.unwrap(), Out::Committed(_)));
}

#[tokio::test]
async fn a_build_is_begun_listed_added_up_and_told() {
    let (daemon, mut builds) = Daemon::with_build().await;
    run(&daemon, "one", "a").await;
    let summary = end(&mut builds, 0).await;
    assert_eq!((summary.recipes, summary.wrapped, summary.changed, summary.failed), (1, 1, 1, 0));
    assert_eq!((summary.bytes, summary.most_at_once), (3, 1));

    let listed = in_time(builds.list(BuildList::default())).await.unwrap().into_inner().builds;
    let [build] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&*build.id, &*build.command, build.jobs), ("b1", "make -j2", 2));
    assert!(build.begun.is_some() && build.ended.is_some(), "{build:?}");
    assert_eq!(build.exit_code, Some(0));

    let parts = report(&mut builds).await;
    let [Part::Build(told), Part::Recipes(recipes), Part::Summary(sums)] = &parts[..] else {
        panic!("{parts:?}")
    };
    assert_eq!((told, sums), (build, &summary));
    let recipe = &recipes.recipes[0];
    assert_eq!((&*recipe.target, &*recipe.command), ("one", "cc -c x.c"));
    assert_eq!((recipe.how(), recipe.outcome()), (RecipeHow::Wrapped, RecipeOutcome::Done));
    assert_eq!((recipe.changed, recipe.unchanged), (1, 0));
    daemon.end().await;
}

#[tokio::test]
async fn a_build_without_an_id_gets_one_and_a_build_that_is_joined_stays_as_it_was() {
    let daemon = Daemon::start().await;
    let mut builds = daemon.builds().await;
    let begin = BuildBegin { command: "make".into(), ..Default::default() };
    let id = in_time(builds.begin(begin)).await.unwrap().into_inner().id;
    assert!(!id.is_empty());
    let context = Some(v1::Context { build: id.clone(), ..Default::default() });
    let join = BuildBegin { context, command: "make -C sub".into(), ..Default::default() };
    assert_eq!(in_time(builds.begin(join)).await.unwrap().into_inner().id, id);
    let listed = in_time(builds.list(BuildList::default())).await.unwrap().into_inner().builds;
    assert_eq!((listed.len(), &*listed[0].command), (1, "make"));
    daemon.end().await;
}

#[tokio::test]
async fn how_a_recipe_ended_is_on_record() {
    let (daemon, mut builds) = Daemon::with_build().await;
    let mut failed = Transact::open(&daemon).await;
    failed.begin(&daemon, "failed").await;
    let abandon = TransactionAbandon { exit_code: 2, ..Default::default() };
    failed.ask(In::Abandon(abandon)).await.unwrap();
    let mut gone = Transact::open(&daemon).await;
    gone.begin(&daemon, "gone").await;
    drop(gone);
    let recipe = Some(v1::Recipe { command: "mkdir d".into(), prerequisites: "x y".into() });
    let of = |target| context(target).map(|c| v1::Context { recipe: recipe.clone(), ..c });
    let mut mutations = daemon.mutations().await;
    let direct = v1::MakeDirectoriesRequest { context: of("direct"), ..mkdir(&["d"]) };
    in_time(mutations.make_directories(direct)).await.unwrap();
    let refused = v1::MakeDirectoriesRequest { context: of("refused"), ..mkdir(&["../d"]) };
    in_time(mutations.make_directories(refused)).await.unwrap_err();
    // Not a recipe: only one that says so is.
    in_time(mutations.make_directories(mkdir(&["e"]))).await.unwrap();
    let ran = RecipeRan {
        context: of("ran"),
        how: RecipeHow::Unwrapped.into(),
        took_us: 5_000_000,
        exit_code: 7,
    };
    in_time(builds.ran(ran)).await.unwrap();

    let engine = Arc::clone(&daemon.engine);
    until("the client that went away is noticed", || engine.transactions().is_empty()).await;
    let all = recipes(&mut builds).await;
    let of = |target: &str| {
        let found = all.iter().find(|recipe| recipe.target == target);
        found.unwrap_or_else(|| panic!("no {target}: {all:?}"))
    };
    let ended = |target| (of(target).how(), of(target).outcome(), of(target).exit_code);
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(ended("failed"), (RecipeHow::Wrapped, RecipeOutcome::Failed, 2));
    assert_eq!(ended("gone"), (RecipeHow::Wrapped, RecipeOutcome::Interrupted, 0));
    assert_eq!(ended("direct"), (RecipeHow::Direct, RecipeOutcome::Done, 0));
    assert_eq!(ended("refused"), (RecipeHow::Direct, RecipeOutcome::Refused, 1));
    assert_eq!(ended("ran"), (RecipeHow::Unwrapped, RecipeOutcome::Failed, 7));
    assert_eq!((&*of("direct").command, &*of("direct").prerequisites), ("mkdir d", "x y"));
    assert_eq!(of("direct").changed, 1);
    assert_eq!(of("ran").ended_ns - of("ran").begun_ns, 5_000_000_000);
    daemon.end().await;
}

#[tokio::test]
async fn races_avoided_and_conflicts_are_found_with_their_cure() {
    let (daemon, mut builds) = Daemon::with_build().await;
    let (mut one, mut two) = (Transact::open(&daemon).await, Transact::open(&daemon).await);
    one.begin(&daemon, "one").await;
    two.begin(&daemon, "two").await;
    for call in [&one, &two] {
        call.write("same", "x");
    }
    one.write("archive", "one");
    two.write("archive", "two");
    one.ask(In::Commit(commit())).await.unwrap();
    assert!(matches!(two.ask(In::Commit(commit())).await.unwrap(), Out::Conflicted(_)));
    two.begin(&daemon, "two").await;
    for (name, content) in [("same", "x"), ("archive", "one and two")] {
        two.write(name, content);
    }
    two.ask(In::Commit(commit())).await.unwrap();
    let summary = end(&mut builds, 0).await;
    assert_eq!(
        (summary.reruns, summary.conflicts, summary.races_avoided),
        (1, 1, 1),
        "{summary:?}"
    );

    let parts = report(&mut builds).await;
    let findings = parts.iter().find_map(|part| match part {
        Part::Findings(findings) => Some(&findings.findings),
        _ => None,
    });
    let found = |path: &str| {
        let mut all = findings.unwrap().iter();
        all.find(|f| f.path == path.as_bytes()).unwrap_or_else(|| panic!("{findings:?}"))
    };
    assert_eq!(found("archive").kind(), FindingKind::Conflict);
    assert_eq!(found("archive").cure, "two: one");
    assert!(found("archive").reran && found("archive").met.contains("one"), "{findings:?}");
    assert_eq!((found("same").kind(), &*found("same").cure), (FindingKind::File, "two: | one"));
    daemon.end().await;
}

#[tokio::test]
async fn a_directory_that_two_transactions_made_is_a_race_avoided() {
    let (daemon, mut builds) = Daemon::with_build().await;
    let (mut one, mut two) = (Transact::open(&daemon).await, Transact::open(&daemon).await);
    one.begin(&daemon, "one").await;
    two.begin(&daemon, "two").await;
    for (call, file) in [(&mut one, "d/one"), (&mut two, "d/two")] {
        std::fs::create_dir(call.upper.join("d")).unwrap();
        call.write(file, file);
        assert!(matches!(call.ask(In::Commit(commit())).await.unwrap(), Out::Changes(_)));
        assert!(matches!(call.answer().await.unwrap(), Out::Committed(_)));
    }
    let summary = end(&mut builds, 0).await;
    assert_eq!((summary.races_avoided, summary.conflicts), (1, 0), "{summary:?}");
    daemon.end().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_reason() {
    let (daemon, mut builds) = Daemon::with_build().await;
    let begin = |build: String| BuildBegin {
        context: Some(v1::Context { build, ..Default::default() }),
        ..Default::default()
    };
    let refused = in_time(builds.begin(begin("x".repeat(129)))).await.unwrap_err();
    assert_eq!(told(&refused, "field").1, "BAD_REQUEST");
    in_time(builds.begin(begin("x".repeat(128)))).await.unwrap();
    let refused = in_time(builds.ran(RecipeRan::default())).await.unwrap_err();
    assert_eq!(told(&refused, "field").1, "BAD_REQUEST");
    let nowhere = BuildEnd { id: "nowhere".into(), exit_code: 0 };
    let refused = in_time(builds.end(nowhere)).await.unwrap_err();
    assert_eq!(told(&refused, "path"), (Code::NotFound, "NOT_FOUND".into(), "nowhere".into()));
    let unknown = ReportRequest { build: "unknown".into() };
    let mut parts = in_time(builds.report(unknown)).await.unwrap().into_inner();
    assert_eq!(in_time(parts.message()).await.unwrap_err().code(), Code::NotFound);
    let step = begin_outside("x");
    let mut call = Transact::open(&daemon).await;
    call.ask(step).await.unwrap();
    drop(call);
    assert!(recipes(&mut builds).await.is_empty(), "outside of a build there are no recipes");
    daemon.end().await;
}

/// Begins a transaction that is of no build.
fn begin_outside(target: &str) -> In {
    match begin(target) {
        In::Begin(begin) => In::Begin(v1::TransactionBegin { context: None, ..begin }),
        other => other,
    }
}
