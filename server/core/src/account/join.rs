//! Whose an entry of the journal is.
//!
//! Entries name a process and a target, and so do recipes; but process ids come again, and so do
//! targets of the same name. So the moment decides as well.

use std::{collections::HashMap, time::Duration};

use super::{Line, overlap::Span};
use crate::journal::{How, Record, time_to_ns};

/// What a client says about its own beginning is as much too late as its message took.
const SLACK: i64 = Duration::from_millis(5).as_nanos() as i64;

/// How many recipes of a target are looked at, back from the last that had begun.
const LOOK_BACK: usize = 64;

/// The recipes of a build, and ways to find one.
pub(super) struct Recipes {
    pub(super) lines: Vec<Line>,
    spans: Vec<Span>,
    groups: Vec<u32>,
    by_pid: HashMap<u32, Vec<u32>>,
    by_target: HashMap<String, Vec<u32>>,
}

impl Recipes {
    pub(super) fn new(lines: Vec<Line>) -> Self {
        let span = |line: &Line| Span {
            begun: time_to_ns(line.recipe.begun),
            ended: time_to_ns(line.recipe.ended),
        };
        let spans: Vec<Span> = lines.iter().map(span).collect();
        let mut order: Vec<u32> = (0..lines.len() as u32).collect();
        order.sort_by_key(|&index| spans[index as usize].begun);
        let mut by_pid: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut by_target: HashMap<String, Vec<u32>> = HashMap::new();
        for index in order {
            let recipe = &lines[index as usize].recipe;
            by_pid.entry(recipe.pid).or_default().push(index);
            match by_target.get_mut(&recipe.target) {
                Some(of_target) => of_target.push(index),
                None => drop(by_target.insert(recipe.target.clone(), vec![index])),
            }
        }
        let groups = groups(&lines);
        Self { lines, spans, groups, by_pid, by_target }
    }

    /// The recipe that an entry is of: that of its process, or else that of its target.
    pub(super) fn whose(&self, record: &Record) -> Option<u32> {
        let at = time_to_ns(record.at);
        let of_pid = self.by_pid.get(&record.pid).filter(|_| record.pid != 0);
        let recipe = |index: u32| &self.lines[index as usize].recipe;
        // One process may run several at once, as one that serves others does.
        let by_pid = of_pid.and_then(|these| {
            let named = self.running(these, at).find(|&i| recipe(i).target == record.target);
            named.or_else(|| self.running(these, at).next())
        });
        by_pid.or_else(|| {
            let these = self.by_target.get(&record.target).filter(|_| !record.target.is_empty())?;
            let is_here = |&index: &u32| recipe(index).directory == record.directory;
            let here = self.running(these, at).find(is_here);
            here.or_else(|| self.running(these, at).next())
        })
    }

    /// Those of `these` that ran at a moment, the last to begin first.
    fn running<'a>(&'a self, these: &'a [u32], at: i64) -> impl Iterator<Item = u32> + 'a {
        let end = these.partition_point(|&i| self.spans[i as usize].begun - SLACK <= at);
        let back = these[..end].iter().rev().take(LOOK_BACK).copied();
        back.filter(move |&index| at <= self.spans[index as usize].ended + SLACK)
    }

    pub(super) fn span(&self, index: u32) -> Span {
        self.spans[index as usize]
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        self.spans.iter().copied()
    }

    /// Recipes of one group belong together.
    pub(super) fn group(&self, index: u32) -> u32 {
        self.groups[index as usize]
    }
}

/// Each recipe is a group of its own; but an unwrapped one may run others in it, which have its
/// target: those are one group.
fn groups(lines: &[Line]) -> Vec<u32> {
    let place = |line: &Line| (line.recipe.target.clone(), line.recipe.directory.clone());
    let numbered = || (0..).zip(lines);
    let unwrapped = numbered().filter(|(_, line)| line.recipe.how == How::Unwrapped);
    let shared: HashMap<_, u32> = unwrapped.map(|(index, line)| (place(line), index)).collect();
    if shared.is_empty() {
        return (0..lines.len() as u32).collect();
    }
    numbered().map(|(index, line)| shared.get(&place(line)).copied().unwrap_or(index)).collect()
}
