//! What a commit is to be told as: its changes one by one, and how they fit what was declared.

use super::{
    CommitTerms, Report,
    judge::{Fate, Verdict},
    plan::{How, Unit},
    walk::{Contents, Entry, Folder, Kind},
};
use crate::{
    error::{Error, Reason},
    mutation::{Change, Outcome},
    path::RelPath,
};

/// A change, and whether it is one of a directory.
pub(super) struct Line {
    pub change: Change,
    directory: bool,
}

/// Every change, and what is left as it is.
pub(super) fn lines(
    contents: &Contents,
    terms: &CommitTerms,
    units: &[Unit],
    verdict: &Verdict,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (unit, fate) in units.iter().zip(&verdict.fates) {
        let entry = &contents.entries[unit.entry];
        let outcome = match fate {
            Fate::Nothing => Outcome::Absent,
            Fate::Merge { .. } => match unit.how {
                How::Merge { mode: true, .. } | How::Merge { dress: true, .. } => {
                    Outcome::Attributes
                }
                How::Merge { appeared: true, .. } if is_made(entry) => Outcome::Existed,
                _ => continue,
            },
            Fate::Keep { there } => {
                let new = super::script::kept(entry, there, terms);
                if new.is_some() { Outcome::Attributes } else { Outcome::Unchanged }
            }
            Fate::Create => Outcome::Created,
            Fate::Replace { .. } => Outcome::Replaced,
            Fate::Remove { .. } => Outcome::Removed,
        };
        let removed = matches!(fate, Fate::Remove { there } if super::walk::is_directory(there));
        lines.push(line(contents, unit.entry, outcome, removed));
        if unit.how == How::Whole {
            lines.extend(inner_lines(contents, unit.entry, verdict));
        }
    }
    lines.extend(verdict.vanished.iter().map(|(path, directory)| Line {
        change: Change::new(path, Outcome::Removed),
        directory: *directory,
    }));
    lines
}

/// Whether the command made the directory, rather than written in one that it found.
fn is_made(entry: &Entry) -> bool {
    matches!(
        entry.kind,
        Kind::Directory { opaque: true, .. } | Kind::Directory { copied: false, .. }
    )
}

/// What is in a directory that goes as a whole.
fn inner_lines<'a>(
    contents: &'a Contents,
    top: usize,
    verdict: &'a Verdict,
) -> impl Iterator<Item = Line> + 'a {
    let below = contents.below(top);
    let placed = below.filter(|&index| contents.entries[index].kind != Kind::Whiteout);
    placed.map(|index| {
        let path = &contents.entries[index].path;
        let outcome = match verdict.links.get(&index) {
            Some((own, _)) if own == path => Outcome::Unchanged,
            _ if verdict.replaced.contains(&index) => Outcome::Replaced,
            _ => Outcome::Created,
        };
        line(contents, index, outcome, false)
    })
}

fn line(contents: &Contents, index: usize, outcome: Outcome, removed_directory: bool) -> Line {
    let entry = &contents.entries[index];
    let placed = matches!(outcome, Outcome::Created | Outcome::Replaced) && entry.is_file();
    let bytes = if placed { entry.stat.st_size as u64 } else { 0 };
    let change = Change { bytes, ..Change::new(&entry.path, outcome) };
    Line { change, directory: entry.is_directory() || removed_directory }
}

/// Compares the changes with what was declared.
pub(super) fn check(
    contents: &Contents,
    terms: &CommitTerms,
    units: &[Unit],
    lines: &[Line],
    tree: &mut Folder<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let is_unchanged = |line: &&Line| line.change.outcome == Outcome::Unchanged;
    report.unchanged = lines.iter().filter(is_unchanged).count() as u64;
    if terms.outputs.is_empty() {
        return Ok(());
    }
    let undeclared = lines.iter().filter(|line| !is_declared(line, &terms.outputs));
    report.undeclared = undeclared.map(|line| line.change.path.clone()).collect();
    report.missing.clear();
    for output in &terms.outputs {
        if !will_exist(contents, units, output, tree)? {
            report.missing.push(output.clone());
        }
    }
    if terms.strict { refuse(report) } else { Ok(()) }
}

fn refuse(report: &Report) -> Result<(), Error> {
    let fail = |path: &RelPath, what: String| {
        Err(Error::new(Reason::Undeclared, path.for_syscall(), what))
    };
    if let Some(first) = report.undeclared.first() {
        let what = match report.undeclared.len() {
            1 => "was changed and is not one of the declared outputs".to_owned(),
            n => format!("and {} more were changed and are not among the declared outputs", n - 1),
        };
        return fail(first, what);
    }
    match report.missing.first() {
        Some(first) if report.missing.len() == 1 => {
            fail(first, "is a declared output and does not exist".to_owned())
        }
        Some(first) => {
            let more = report.missing.len() - 1;
            fail(first, format!("and {more} more are declared outputs and do not exist"))
        }
        None => Ok(()),
    }
}

/// Directories on the way to an output are declared with it, unless they go.
fn is_declared(line: &Line, outputs: &[RelPath]) -> bool {
    let change = &line.change;
    let on_the_way = line.directory && change.outcome != Outcome::Removed;
    !change.outcome.is_change()
        || outputs.iter().any(|output| {
            change.path.is_within(output) || (on_the_way && output.is_within(&change.path))
        })
}

/// Whether there will be something at `path` when all is committed.
fn will_exist(
    contents: &Contents,
    units: &[Unit],
    path: &RelPath,
    tree: &mut Folder<'_>,
) -> Result<bool, Error> {
    if let Some(entry) = contents.at(path) {
        return Ok(entry.kind != Kind::Whiteout);
    }
    // Whatever is nearest above it decides, if it is more than a directory that is merged.
    let mut above = path.parent();
    while let Some(dir) = above {
        if let Some(index) = contents.index_of(&dir) {
            let unit = units.binary_search_by_key(&index, |unit| unit.entry);
            let merged = unit.is_ok_and(|at| matches!(units[at].how, How::Merge { .. }));
            if !merged {
                return Ok(false);
            }
            break;
        }
        above = dir.parent();
    }
    let there = tree.look(path);
    let there = there.map_err(|errno| Error::io(path.for_syscall(), "cannot look at it", errno))?;
    Ok(there.is_some())
}
