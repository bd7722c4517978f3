//! The changes of one command, together or not at all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_core::{
    Caller, DEFAULT_WAIT, Engine, RecipeLine, RunningRecipe,
    journal::{How, RecipeOutcome},
    transactions::{self, Committed, NotCommitted, Terms as CommitTerms, Transaction},
};
use onewriter_proto::{
    convert,
    v1::{
        self, OnConflict, TransactRequest, TransactResponse, TransactionAbandoned,
        TransactionBegin, TransactionBegun, TransactionChanges, TransactionCommit,
        TransactionCommitted, TransactionConflicted, transact_request::Step as In,
        transact_response::Step as Out,
    },
};
use onewriter_tree::{Error, Pattern, Reason, RelPath, mutation::Change, transaction};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Answers, Sender, answers, send};
use crate::{
    peer::{Terms, cut},
    status::status,
};

/// Changes in one message.
const CHANGES: usize = 1000;

/// The most conflicts and undeclared paths that are told.
const MOST_NAMED: usize = 100;

pub(crate) struct Transactions {
    engine: Arc<Engine>,
}

impl Transactions {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl v1::transactions_server::Transactions for Transactions {
    type TransactStream = Answers<TransactResponse>;

    async fn transact(
        &self,
        request: Request<Streaming<TransactRequest>>,
    ) -> Result<Response<Self::TransactStream>, Status> {
        let (request, steps) = super::split(request);
        let call = Call {
            engine: Arc::clone(&self.engine),
            request,
            underway: None,
            recipe: None,
            after: Vec::new(),
        };
        Ok(Response::new(answers(1, None, |to| call.serve(steps, to))))
    }
}

/// One call: any number of transactions, one after another.
struct Call {
    engine: Arc<Engine>,
    request: Request<()>,
    underway: Option<Transaction>,
    /// The recipe that they are the runs of, where they belong to a build.
    recipe: Option<RunningRecipe>,
    /// What the last ones conflicted on: the next one waits for its turn there.
    after: Vec<RelPath>,
}

impl Call {
    async fn serve(
        mut self,
        mut steps: Streaming<TransactRequest>,
        to: Sender<TransactResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = steps.message().await? {
            let answer = match (request.step, self.underway.take()) {
                (Some(In::Begin(begin)), None) => self.begin(begin).await?,
                (Some(In::Commit(commit)), Some(underway)) => {
                    self.commit(underway, commit, &to).await?
                }
                (Some(In::Abandon(abandon)), Some(underway)) => {
                    self.end_recipe(RecipeOutcome::Failed, abandon.exit_code);
                    give_up(underway, abandon.keep).await?
                }
                (None, _) => return Err(bad("step", "the request says nothing")),
                (Some(_), None) => return Err(bad("step", "no transaction is under way")),
                (Some(_), Some(_)) => return Err(bad("begin", "a transaction is under way")),
            };
            send(&to, TransactResponse { step: Some(answer) }).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, begin: TransactionBegin) -> Result<Out, Status> {
        let Terms { mut caller, local, recipe, .. } = Terms::of(&self.request, begin.context);
        if !local {
            let why = "only the daemon's own user on the same machine has transactions";
            return Err(status(Error::new(Reason::NotLocal, b".", why)));
        }
        caller.owner.method = transactions::method(&begin.method);
        caller.deadline = Some(deadline(begin.wait_ms));
        let (command, after) = (cut(begin.command), self.after.clone());
        self.begin_recipe(&caller, recipe, &command);
        let begun = self.engine.begin(caller, command, after).await.map_err(status)?;
        let name = begun.name().to_owned();
        self.underway = Some(begun);
        Ok(Out::Begun(TransactionBegun { name }))
    }

    /// What a transaction runs in a build is a recipe, if only make can have asked for it.
    fn begin_recipe(&mut self, caller: &Caller, line: Option<RecipeLine>, command: &str) {
        match &mut self.recipe {
            Some(recipe) => recipe.again(),
            None if line.is_some() || caller.owner.method == "run" => {
                let line = line.unwrap_or_default();
                let command = match line.command.is_empty() {
                    true => command.to_owned(),
                    false => line.command,
                };
                let line = RecipeLine { command, ..line };
                self.recipe = self.engine.recipe(caller, line, How::Wrapped);
            }
            None => {}
        }
    }

    fn end_recipe(&mut self, outcome: RecipeOutcome, exit_code: i32) {
        if let Some(recipe) = self.recipe.take() {
            recipe.ended(outcome, exit_code);
        }
    }

    async fn commit(
        &mut self,
        underway: Transaction,
        commit: TransactionCommit,
        to: &Sender<TransactResponse>,
    ) -> Result<Out, Status> {
        let (report, may_rerun) = (commit.report, commit.on_conflict() == OnConflict::Rerun);
        let exit_code = commit.exit_code;
        let terms = terms(commit).map_err(status)?;
        match underway.commit(terms).await {
            Ok(committed) => {
                if report {
                    tell(&committed.changes, to).await?;
                }
                self.after.clear();
                let failed = exit_code != 0;
                let outcome = if failed { RecipeOutcome::Failed } else { RecipeOutcome::Done };
                self.end_recipe(outcome, exit_code);
                Ok(Out::Committed(summary(committed)))
            }
            Err(NotCommitted::Conflicted(conflicts, _)) if may_rerun => {
                if let Some(recipe) = &mut self.recipe {
                    recipe.conflicted();
                }
                self.after.extend(conflicts.iter().map(|conflict| conflict.path.clone()));
                Ok(Out::Conflicted(TransactionConflicted { conflicts: named(&conflicts) }))
            }
            Err(NotCommitted::Conflicted(_, refusal)) => {
                self.end_recipe(RecipeOutcome::Conflicted, 0);
                Err(status(refusal))
            }
            Err(NotCommitted::Refused(refusal)) => {
                self.end_recipe(RecipeOutcome::Refused, 0);
                Err(status(refusal))
            }
        }
    }
}

async fn give_up(underway: Transaction, keep: bool) -> Result<Out, Status> {
    use std::os::unix::ffi::OsStringExt as _;
    let kept = match keep {
        true => underway.keep().await.map_err(status)?.into_os_string().into_vec(),
        false => Vec::new(),
    };
    Ok(Out::Abandoned(TransactionAbandoned { kept }))
}

fn terms(commit: TransactionCommit) -> Result<CommitTerms, Error> {
    Ok(CommitTerms {
        unchanged: convert::unchanged(commit.unchanged)?,
        keep: commit.keep.iter().map(|pattern| Pattern::new(&**pattern)).collect(),
        over_conflicts: commit.on_conflict() == OnConflict::Last,
        give_way: commit.on_conflict() == OnConflict::Rerun,
        outputs: commit
            .outputs
            .iter()
            .map(|path| RelPath::parse(path))
            .collect::<Result<_, _>>()?,
        strict: commit.strict,
        copy: commit.copy,
        deadline: Some(deadline(commit.wait_ms)),
    })
}

fn deadline(wait_ms: u64) -> Instant {
    let wait = if wait_ms == 0 { DEFAULT_WAIT } else { Duration::from_millis(wait_ms) };
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + DEFAULT_WAIT)
}

async fn tell(changes: &[Change], to: &Sender<TransactResponse>) -> Result<(), Status> {
    for changes in changes.chunks(CHANGES) {
        let changes = convert::response(changes.to_vec()).changes;
        let step = Some(Out::Changes(TransactionChanges { changes }));
        send(to, TransactResponse { step }).await?;
    }
    Ok(())
}

fn summary(Committed { changes, report }: Committed) -> TransactionCommitted {
    let changed = changes.iter().filter(|change| change.outcome.is_change()).count();
    let bytes = |paths: &[RelPath]| -> Vec<Vec<u8>> {
        paths.iter().take(MOST_NAMED).map(convert::shown).collect()
    };
    TransactionCommitted {
        changed: changed as u64,
        unchanged: (changes.len() - changed) as u64,
        undeclared: bytes(&report.undeclared),
        missing: bytes(&report.missing),
        conflicts: named(&report.conflicts),
    }
}

fn named(conflicts: &[transaction::Conflict]) -> Vec<v1::Conflict> {
    let conflict = |conflict: &transaction::Conflict| v1::Conflict {
        path: convert::shown(&conflict.path),
        other: conflict.other.clone(),
    };
    conflicts.iter().take(MOST_NAMED).map(conflict).collect()
}

fn bad(field: &str, why: &str) -> Status {
    status(convert::bad(field, why))
}
