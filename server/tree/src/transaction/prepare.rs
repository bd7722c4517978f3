//! What is done before a commit changes anything that anybody can see.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    CommitTerms, History, Report, account,
    commit::FEW,
    judge::{Fate, Judge, Verdict},
    plan::{How, Unit},
    script::Scribe,
    settle::Settler,
    step::Step,
    upper::{Upper, of_all},
    walk::{Contents, Folder},
};
use crate::{
    error::{Error, Reason},
    mutation::{Change, Effects},
    path::RelPath,
    tree::Fault,
};

/// What the parts of it need.
pub(super) struct Preparation<'p> {
    pub contents: &'p Contents,
    pub units: &'p [Unit],
    pub terms: &'p CommitTerms,
    pub history: &'p dyn History,
    pub transaction: &'p Upper,
    /// The tree's root.
    pub root: BorrowedFd<'p>,
    /// The upper directory.
    pub upper: BorrowedFd<'p>,
}

impl Preparation<'_> {
    /// Decides, and refuses what is not to be; fills in the report in either case.
    pub(super) fn judge(&self, report: &Mutex<Report>) -> Result<(Verdict, Vec<Change>), Error> {
        let (units, terms) = (self.units, self.terms);
        let judge = Judge {
            contents: self.contents,
            terms,
            history: self.history,
            birth: self.transaction.birth(),
            root: self.root,
            tree: Folder::new(self.root),
            upper: Folder::new(self.upper),
            verdict: Verdict::default(),
        };
        let mut verdict = judge.judge(units)?;
        let lines = account::lines(self.contents, terms, units, &verdict);
        let mut tree = Folder::new(self.root);
        let told = &mut verdict.report;
        let checked = account::check(self.contents, terms, units, &lines, &mut tree, told);
        *report.lock().unwrap_or_else(PoisonError::into_inner) = told.clone();
        if !terms.over_conflicts {
            refuse_conflicts(told)?;
        }
        checked?;
        Ok((verdict, lines.into_iter().map(|line| line.change).collect()))
    }

    /// Makes what is in the upper directory what it is to be.
    pub(super) fn settle(&self, verdict: &Verdict) -> Result<HashSet<usize>, Error> {
        let settler = Settler {
            contents: self.contents,
            verdict,
            top: self.transaction.top(),
            upper: Folder::new(self.upper),
            tree: Folder::new(self.root),
            copy: self.terms.copy,
            copied: HashMap::new(),
            other: HashSet::new(),
        };
        settler.settle(self.units)
    }

    /// The steps; `other` is what [`Preparation::settle`] returned.
    pub(super) fn script(
        &self,
        verdict: &Verdict,
        other: &HashSet<usize>,
    ) -> Result<Vec<Step>, Error> {
        let gone = self.transaction.dir("gone").map_err(of_all("cannot open what it changed"))?;
        let scribe = Scribe {
            contents: self.contents,
            verdict,
            other,
            birth: self.transaction.birth(),
            terms: self.terms,
            upper: Folder::new(self.upper),
            tree: Folder::new(self.root),
            gone: gone.as_fd(),
            opening: Vec::new(),
            moves: Vec::new(),
            closing: Vec::new(),
            slots: 0,
        };
        scribe.write(self.units)
    }

    /// Notes what must be on the disk before it gets its place.
    pub(super) fn note_content(
        &self,
        verdict: &Verdict,
        effects: &mut Effects,
    ) -> Result<(), Fault> {
        if !effects.is_durable() {
            return Ok(());
        }
        let placed = self.units.iter().zip(&verdict.fates);
        let placed: Vec<_> = placed
            .filter(|(_, fate)| matches!(fate, Fate::Create | Fate::Replace { .. }))
            .map(|(unit, _)| unit)
            .collect();
        // What directories are to wear, and wore, is on others.
        let dresses =
            self.units.iter().any(|unit| matches!(unit.how, How::Merge { dress: true, .. }));
        let many = placed.len() > FEW || placed.iter().any(|unit| unit.how == How::Whole);
        if many || dresses {
            return effects.everything(self.upper);
        }
        let mut folder = Folder::new(self.upper);
        for entry in placed.iter().map(|unit| &self.contents.entries[unit.entry]) {
            if entry.is_file() {
                match open(&mut folder, &entry.path) {
                    Ok(file) => effects.written(&file.into())?,
                    Err(_) => effects.everything(self.upper)?,
                }
            }
        }
        Ok(())
    }
}

fn open(folder: &mut Folder<'_>, path: &RelPath) -> Result<OwnedFd, Errno> {
    let (dir, name) = folder.of(path)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn refuse_conflicts(report: &Report) -> Result<(), Error> {
    let Some(first) = report.conflicts.first() else { return Ok(()) };
    let more = match report.conflicts.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let what = format!("was changed meanwhile by {}{more}", first.other);
    Err(Error::new(Reason::Conflict, first.path.for_syscall(), what))
}
