//! The account of a build: which recipes ran when, what they changed, which of them would have
//! raced, and which were at odds.
//!
//! Everything is found in the journal when it is asked for; nothing is kept while a build runs.
//!
//! ```text
//! recipes ─┐
//! entries ─┴▶ join.rs: whose is it? ─▶ touches of each path ─▶ findings.rs ─▶ cure.rs
//!                                                                └ overlap.rs: who met whom
//! ```

mod cure;
mod findings;
mod join;
mod overlap;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub use cure::Cure;
pub use findings::{Finding, Kind};

use crate::journal::{Build, How, Journal, JournalError, Query, Recipe, RecipeOutcome, Record};
use findings::Touches;
use join::Recipes;

/// Entries that are read at once.
const PAGE: usize = 10_000;

/// All about one build.
#[derive(Debug)]
pub struct Account {
    /// The build itself.
    pub build: Build,
    /// Its recipes, in the order in which they ended.
    pub recipes: Vec<Line>,
    /// Races that were avoided and conflicts, by path.
    pub findings: Vec<Finding>,
    /// Everything added up.
    pub sums: Sums,
}

/// A recipe in the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place in the journal.
    pub number: i64,
    /// What is known of it.
    pub recipe: Recipe,
    /// How many paths it changed.
    pub changed: u64,
    /// How many it left untouched.
    pub unchanged: u64,
}

/// A build in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// Recipes by how they were run: as transactions, by the shell, without one.
    pub by_how: [u64; 3],
    /// Recipes that did not end well.
    pub failed: u64,
    /// How often recipes ran again.
    pub reruns: u64,
    /// The journal's entries, by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Entries that changed something.
    pub changed: u64,
    /// Paths that were found as they should be.
    pub unchanged: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// Findings that are conflicts.
    pub conflicts: u64,
    /// Findings that are not.
    pub races_avoided: u64,
    /// The most recipes that ran at one moment.
    pub most_at_once: u32,
    /// From begin to end; of a build that has none, to the end of its last recipe.
    pub took: Duration,
}

impl Account {
    /// The account of the build `id`, or of the one that began last; `None` if there is none.
    ///
    /// # Errors
    /// Whatever keeps the journal from being read.
    pub fn of(journal: &Journal, id: Option<&str>) -> Result<Option<Account>, JournalError> {
        let Some(build) = journal.build(id)? else { return Ok(None) };
        let lines = journal.recipes(&build.id)?.into_iter();
        let line = |(number, recipe)| Line { number, recipe, changed: 0, unchanged: 0 };
        let mut drawing = Drawing::new(lines.map(line).collect());
        let of_build = Query { build: Some(build.id.clone()), limit: PAGE, ..Query::default() };
        let mut after_seq = 0;
        loop {
            let page = journal.list(&Query { after_seq, ..of_build.clone() })?;
            let Some(last) = page.last() else { break };
            after_seq = last.seq;
            page.into_iter().for_each(|record| drawing.add(record));
        }
        Ok(Some(drawing.finish(build)))
    }
}

/// An account that is being drawn up, entry by entry.
struct Drawing {
    recipes: Recipes,
    touches: Touches,
    sums: Sums,
}

impl Drawing {
    fn new(lines: Vec<Line>) -> Self {
        let mut sums = Sums::default();
        for Line { recipe, .. } in &lines {
            sums.by_how[recipe.how as usize] += 1;
            sums.failed += u64::from(recipe.outcome != RecipeOutcome::Done);
            sums.reruns += u64::from(recipe.reruns);
        }
        Self { recipes: Recipes::new(lines), touches: Touches::default(), sums }
    }

    fn add(&mut self, record: Record) {
        let sums = &mut self.sums;
        *sums.outcomes.entry(record.outcome.clone()).or_default() += 1;
        sums.bytes += record.bytes;
        let untouched = matches!(&*record.outcome, "unchanged" | "existed");
        sums.changed += u64::from(record.is_change);
        sums.unchanged += u64::from(untouched);
        let Some(index) = self.recipes.whose(&record) else { return };
        let line = &mut self.recipes.lines[index as usize];
        line.changed += u64::from(record.is_change);
        line.unchanged += u64::from(untouched);
        self.touches.add(index, record);
    }

    fn finish(self, build: Build) -> Account {
        let Self { recipes, touches, mut sums } = self;
        let findings = touches.findings(&recipes);
        sums.conflicts = findings.iter().filter(|f| f.kind == Kind::Conflict).count() as u64;
        sums.races_avoided = findings.len() as u64 - sums.conflicts;
        sums.most_at_once = overlap::most_at_once(recipes.spans());
        let last = recipes.lines.iter().map(|line| line.recipe.ended).max();
        let end = build.ended.map(|(at, _)| at).or(last).unwrap_or(build.begun);
        sums.took = end.duration_since(build.begun).unwrap_or_default();
        Account { build, recipes: recipes.lines, findings, sums }
    }
}

impl Sums {
    /// How many recipes there were.
    pub fn recipes(&self) -> u64 {
        self.by_how.iter().sum()
    }

    /// How many were run like this.
    pub fn run(&self, how: How) -> u64 {
        self.by_how[how as usize]
    }
}
