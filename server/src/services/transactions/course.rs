//! What all calls of transactions have in common, however they are filled: the account of recipes,
//! turns after conflicts, and what is told of a commit.

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
        self, OnConflict, TransactionBegin, TransactionChanges, TransactionCommit,
        TransactionCommitted, TransactionConflicted,
    },
};
use onewriter_tree::{Error, Pattern, RelPath, transaction};
use tonic::Status;

use crate::{
    peer::{Terms, cut},
    status::status,
};

/// Changes in one message.
const CHANGES: usize = 1000;

/// The most conflicts and undeclared paths that are told.
const MOST_NAMED: usize = 100;

/// The transactions of one call, one after another.
pub(super) struct Course {
    engine: Arc<Engine>,
    /// The recipe that they are the runs of, where they belong to a build.
    recipe: Option<RunningRecipe>,
    /// What the last ones conflicted on: the next one waits for its turn there.
    after: Vec<RelPath>,
}

/// How a commit ended that may have to be tried again.
pub(super) enum Verdict {
    Committed(Committed),
    Conflicted(TransactionConflicted),
}

impl Course {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, recipe: None, after: Vec::new() }
    }

    /// Begins the next one, of which `begin` says all but its context.
    pub(super) async fn begin(
        &mut self,
        terms: Terms,
        begin: TransactionBegin,
    ) -> Result<Transaction, Status> {
        let Terms { mut caller, recipe, .. } = terms;
        caller.owner.method = transactions::method(&begin.method);
        caller.deadline = Some(deadline(begin.wait_ms));
        let (command, after) = (cut(begin.command), self.after.clone());
        self.begin_recipe(&caller, recipe, &command);
        self.engine.begin(caller, command, after).await.map_err(status)
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

    /// Its command failed.
    pub(super) fn abandoned(&mut self, exit_code: i32) {
        self.end_recipe(RecipeOutcome::Failed, exit_code);
    }

    fn end_recipe(&mut self, outcome: RecipeOutcome, exit_code: i32) {
        if let Some(recipe) = self.recipe.take() {
            recipe.ended(outcome, exit_code);
        }
    }

    /// What the end of a commit means to its client; an error ends the call.
    pub(super) fn verdict(
        &mut self,
        done: Result<Committed, NotCommitted>,
        asked: &TransactionCommit,
    ) -> Result<Verdict, Status> {
        let may_rerun = asked.on_conflict() == OnConflict::Rerun;
        match done {
            Ok(committed) => {
                self.after.clear();
                let failed = asked.exit_code != 0;
                let outcome = if failed { RecipeOutcome::Failed } else { RecipeOutcome::Done };
                self.end_recipe(outcome, asked.exit_code);
                Ok(Verdict::Committed(committed))
            }
            Err(NotCommitted::Conflicted(conflicts, _)) if may_rerun => {
                if let Some(recipe) = &mut self.recipe {
                    recipe.conflicted();
                }
                self.after.extend(conflicts.iter().map(|conflict| conflict.path.clone()));
                Ok(Verdict::Conflicted(TransactionConflicted { conflicts: named(&conflicts) }))
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

/// What is asked of a commit.
pub(super) fn terms(commit: &TransactionCommit) -> Result<CommitTerms, Error> {
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
        ..CommitTerms::default()
    })
}

/// Until when somebody waits who says so.
pub(super) fn deadline(wait_ms: u64) -> Instant {
    let wait = if wait_ms == 0 { DEFAULT_WAIT } else { Duration::from_millis(wait_ms) };
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + DEFAULT_WAIT)
}

/// The changes of a commit, where they are wanted.
pub(super) fn told(
    committed: &Committed,
    asked: &TransactionCommit,
) -> impl Iterator<Item = TransactionChanges> {
    let wanted = if asked.report { &committed.changes[..] } else { &[] };
    wanted
        .chunks(CHANGES)
        .map(|changes| TransactionChanges { changes: convert::response(changes.to_vec()).changes })
}

/// What is told of a commit in any case.
pub(super) fn summary(Committed { changes, report }: Committed) -> TransactionCommitted {
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
