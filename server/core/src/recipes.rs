//! Keeping the account of a build: what is noted of builds and recipes, and when.
//!
//! Notes go to the journal's queue like everything that is written down; nobody waits for them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use crate::{
    Caller, Engine,
    journal::{Build, How, Recipe, RecipeOutcome},
};

/// What make hands to a shell, as people read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipeLine {
    /// The command.
    pub command: String,
    /// The target's prerequisites, with spaces between them.
    pub prerequisites: String,
}

/// A recipe that runs. Dropped, it was interrupted, unless something else was found before.
pub struct RunningRecipe {
    engine: Arc<Engine>,
    /// What is to be noted at its end; `None` afterwards.
    recipe: Option<Recipe>,
}

impl Engine {
    /// Begins a build, under an id of its own choice where `build.id` is empty; which.
    pub fn begin_build(&self, mut build: Build) -> String {
        if build.id.is_empty() {
            build.id = new_id(build.begun);
        }
        let id = build.id.clone();
        self.journal().begin_build(build);
        id
    }

    /// Notes the recipe of `caller` from now on to its end; `None` outside of a build.
    pub fn recipe(
        self: &Arc<Self>,
        caller: &Caller,
        line: RecipeLine,
        how: How,
    ) -> Option<RunningRecipe> {
        if caller.owner.build.is_empty() {
            return None;
        }
        let now = SystemTime::now();
        let recipe = recipe(caller, line, how, (now, now));
        let recipe = Some(Recipe { outcome: RecipeOutcome::Interrupted, ..recipe });
        Some(RunningRecipe { engine: Arc::clone(self), recipe })
    }

    /// Notes a recipe of `caller` that has just ended after so long, with this exit code.
    pub fn recipe_ran(
        &self,
        caller: &Caller,
        line: RecipeLine,
        how: How,
        took: Duration,
        exit_code: i32,
    ) {
        let now = SystemTime::now();
        let begun = now.checked_sub(took).unwrap_or(now);
        let outcome = if exit_code == 0 { RecipeOutcome::Done } else { RecipeOutcome::Failed };
        let recipe = recipe(caller, line, how, (begun, now));
        self.journal().note_recipe(Recipe { outcome, exit_code, ..recipe });
    }
}

fn recipe(
    caller: &Caller,
    line: RecipeLine,
    how: How,
    (begun, ended): (SystemTime, SystemTime),
) -> Recipe {
    Recipe {
        build: caller.owner.build.clone(),
        target: caller.owner.target.clone(),
        directory: caller.directory.clone(),
        prerequisites: line.prerequisites,
        command: line.command,
        pid: caller.owner.pid,
        begun,
        ended,
        how,
        outcome: RecipeOutcome::Done,
        exit_code: 0,
        reruns: 0,
    }
}

/// As in "b1934f3a5c2e": the moment in milliseconds, or a later one where that was given away.
fn new_id(at: SystemTime) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let next = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Relaxed, Relaxed, next).unwrap_or_default();
    format!("b{:x}", now.max(last + 1))
}

impl RunningRecipe {
    /// Nothing of it has happened, because it was at odds with others; it may run again.
    pub fn conflicted(&mut self) {
        self.set(RecipeOutcome::Conflicted);
    }

    /// It runs again after a conflict.
    pub fn again(&mut self) {
        self.set(RecipeOutcome::Interrupted);
        if let Some(recipe) = &mut self.recipe {
            recipe.reruns += 1;
        }
    }

    /// It is over.
    pub fn ended(mut self, outcome: RecipeOutcome, exit_code: i32) {
        self.set(outcome);
        if let Some(recipe) = &mut self.recipe {
            recipe.exit_code = exit_code;
        }
    }

    fn set(&mut self, outcome: RecipeOutcome) {
        if let Some(recipe) = &mut self.recipe {
            recipe.outcome = outcome;
        }
    }
}

impl Drop for RunningRecipe {
    fn drop(&mut self) {
        if let Some(recipe) = self.recipe.take() {
            let ended = SystemTime::now();
            self.engine.journal().note_recipe(Recipe { ended, ..recipe });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_builds_of_a_moment_share_an_id() {
        let now = SystemTime::now();
        let ids: HashSet<_> = (0..100).map(|_| new_id(now)).collect();
        assert_eq!(ids.len(), 100, "{ids:?}");
    }
}
