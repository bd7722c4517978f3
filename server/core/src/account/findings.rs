//! What overlapping recipes did to one path: races that were avoided, and conflicts.

use std::collections::HashMap;

use super::{
    Line,
    cure::{Cure, cure},
    join::Recipes,
    overlap::{Meeting, Pairs, Run, Sort, meeting},
};
use crate::{engine::CONFLICT, journal::Record};

/// The most others that a finding names.
const MOST_NAMED: usize = 16;

/// What happened where recipes met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They made the same directory.
    Directory,
    /// They wrote the same file with the same content.
    File,
    /// They wrote the same file with different content.
    Conflict,
}

/// Recipes that ran at the same time, and were at the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What happened.
    pub kind: Kind,
    /// Where.
    pub path: Vec<u8>,
    /// The number of the recipe that came first; 0 where it is none of this build.
    pub first: i64,
    /// That of one that met it.
    pub second: i64,
    /// Some more that did.
    pub others: Vec<i64>,
    /// How many more did.
    pub other_count: u64,
    /// Of a conflict: whom the second one met, in words.
    pub met: String,
    /// The second one ran again.
    pub reran: bool,
    /// What orders them.
    pub cure: Cure,
}

/// What recipes did to a path.
#[derive(Debug, Default)]
struct Path {
    /// By recipe; a recipe may have been there more than once.
    runs: Vec<(u32, Sort)>,
    /// Recipes that were at odds with others there, with whom they were.
    conflicts: Vec<(u32, String)>,
    is_directory: bool,
}

/// What recipes did, by path.
#[derive(Debug, Default)]
pub(super) struct Touches(HashMap<Vec<u8>, Path>);

impl Touches {
    /// Adds an entry of the recipe `index`.
    pub(super) fn add(&mut self, index: u32, record: Record) {
        let sort = match &*record.outcome {
            "created" | "replaced" => Some(Sort::Made),
            "existed" | "unchanged" | "attributes" => Some(Sort::Found),
            CONFLICT => None,
            _ => return,
        };
        let path = self.0.entry(record.path).or_default();
        path.is_directory |= record.outcome == "existed" || record.method == "mkdir";
        match sort {
            Some(sort) => path.runs.push((index, sort)),
            None => path.conflicts.push((index, record.error.unwrap_or_default())),
        }
    }

    /// All findings, by path.
    pub(super) fn findings(self, recipes: &Recipes) -> Vec<Finding> {
        let met = |path: &Path| path.runs.len() + path.conflicts.len() > 1;
        let paths = self.0.into_iter().filter(|(_, path)| met(path) || !path.conflicts.is_empty());
        let mut findings: Vec<Finding> =
            paths.flat_map(|(name, path)| path.findings(&name, recipes)).collect();
        findings.sort_by(|a, b| a.path.cmp(&b.path).then((a.kind as u8).cmp(&(b.kind as u8))));
        findings
    }
}

impl Path {
    fn findings(mut self, name: &[u8], recipes: &Recipes) -> Vec<Finding> {
        if !self.conflicts.is_empty() {
            return vec![self.recorded_conflict(name, recipes)];
        }
        let mut runs = self.runs(recipes);
        let race = if self.is_directory { Kind::Directory } else { Kind::File };
        let found = [(race, Pairs::MadeAndFound), (Kind::Conflict, Pairs::BothMade)];
        let found = found.into_iter().filter(|(kind, _)| {
            // Of a directory that was removed in between, too, there is nothing to be said.
            *kind == race || !self.is_directory
        });
        found
            .filter_map(|(kind, pairs)| {
                let meeting = meeting(&mut runs, pairs)?;
                Some(finding(kind, name, Some(meeting.first), &meeting, recipes))
            })
            .collect()
    }

    /// Each recipe once: who made it does not count as having found it.
    fn runs(&mut self, recipes: &Recipes) -> Vec<Run> {
        self.runs.sort_unstable_by_key(|(index, sort)| (*index, *sort as u8));
        self.runs.dedup_by_key(|(index, _)| *index);
        let run = |&(index, sort): &(u32, Sort)| Run {
            index,
            span: recipes.span(index),
            group: recipes.group(index),
            sort,
        };
        self.runs.iter().map(run).collect()
    }

    /// A commit met somebody, and said so.
    fn recorded_conflict(mut self, name: &[u8], recipes: &Recipes) -> Finding {
        let runs = self.runs(recipes);
        let (second, met) = self.conflicts.swap_remove(0);
        let span = recipes.span(second);
        let is_other =
            |run: &&Run| run.index != second && run.sort == Sort::Made && run.span.meets(span);
        // Of those that came before it was over, the first: it then ran again.
        let first = runs.iter().filter(is_other).min_by_key(|run| run.span.ended);
        let first = first.map(|run| run.index);
        let mut others: Vec<u32> = self.conflicts.iter().map(|(index, _)| *index).collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|index| *index != second && Some(*index) != first);
        let meeting = Meeting { first: first.unwrap_or_default(), second, others };
        let reran = recipes.lines[second as usize].recipe.reruns > 0;
        Finding { met, reran, ..finding(Kind::Conflict, name, first, &meeting, recipes) }
    }
}

fn finding(
    kind: Kind,
    path: &[u8],
    first: Option<u32>,
    meeting: &Meeting,
    recipes: &Recipes,
) -> Finding {
    let line = |index: u32| -> &Line { &recipes.lines[index as usize] };
    let (first, second) = (first.map(line), line(meeting.second));
    Finding {
        kind,
        path: path.to_vec(),
        first: first.map_or(0, |line| line.number),
        second: second.number,
        others: meeting.others.iter().take(MOST_NAMED).map(|&i| line(i).number).collect(),
        other_count: meeting.others.len() as u64,
        met: String::new(),
        reran: false,
        cure: cure(kind, first.map(|line| &line.recipe), &second.recipe),
    }
}
