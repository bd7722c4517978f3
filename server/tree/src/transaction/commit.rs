//! The commit of a transaction, as a mutation.

use std::{
    collections::BTreeSet,
    os::fd::AsFd as _,
    sync::{Arc, Mutex},
};

use rustix::fs::OFlags;

use super::{
    CommitTerms, History, Report,
    intent::Intent,
    inventory::Inventory,
    judge::Fate,
    plan::{Planner, Unit},
    prepare::Preparation,
    record,
    step::{Stage, Step},
    upper::{Upper, of_all},
    walk::{Contents, is_directory},
};
use crate::{
    error::Error,
    fault,
    mutation::{Access, Change, Claim, Deed, Effects, Mutation, Outcome},
    path::RelPath,
    tree::{Fault, Last, Tree},
};

/// Up to so many handles are synchronised one by one; more are not worth holding.
pub(super) const FEW: usize = 3;

type Locks = Vec<(RelPath, Access)>;

/// The commit of a transaction.
pub struct Commit {
    upper: Upper,
    terms: CommitTerms,
    history: Box<dyn History>,
    report: Arc<Mutex<Report>>,
    contents: Option<Contents>,
    /// What the claims are for; `None` as long as nobody asked for claims.
    planned: Option<Vec<Unit>>,
    claims: Locks,
    ready: Option<Ready>,
}

/// What `prepare` left to `apply`.
struct Ready {
    steps: Vec<Step>,
    changes: Vec<Change>,
    /// Whether a directory takes the place of something, or something that of a directory: two acts
    /// where nothing can be exchanged.
    swaps: bool,
}

impl Ready {
    /// Whether others could see it half done.
    fn is_stepwise(&self) -> bool {
        let mut essential = self.steps.iter().filter(|step| step.is_essential());
        let first = essential.next();
        self.swaps || first.is_some_and(Step::is_compound) || essential.next().is_some()
    }
}

impl Commit {
    /// Commits what `upper` holds; it is discarded afterwards, however that ends.
    pub fn new(upper: Upper, terms: CommitTerms, history: Box<dyn History>) -> Self {
        Self {
            upper,
            terms,
            history,
            report: Arc::default(),
            contents: None,
            planned: None,
            claims: Vec::new(),
            ready: None,
        }
    }

    /// The same of an upper directory that was looked through before.
    pub fn of(
        upper: Upper,
        inventory: Inventory,
        terms: CommitTerms,
        history: Box<dyn History>,
    ) -> Self {
        Self { contents: Some(inventory.contents), ..Self::new(upper, terms, history) }
    }

    /// What is to be told of it, filled in by `prepare`: to be kept by whoever hands it away.
    pub fn report(&self) -> Arc<Mutex<Report>> {
        Arc::clone(&self.report)
    }

    /// What has to be on record before `apply` begins, so that a crash in the middle of it can be
    /// made good; `None` where that is one atomic step.
    pub(crate) fn intent(&self) -> Option<Vec<u8>> {
        let ready = self.ready.as_ref().filter(|ready| ready.is_stepwise())?;
        let (name, steps) = (self.upper.name().to_owned(), ready.steps.clone());
        Some(Intent { name, steps }.encode())
    }

    /// The units and their locks, as the tree is now. The upper directory is walked once.
    fn plan(&mut self) -> Result<(Vec<Unit>, Locks), Error> {
        if self.contents.is_none() {
            let upper = self.upper.dir("upper").map_err(of_all("cannot open what it changed"))?;
            self.contents = Some(Contents::of(upper.as_fd())?);
        }
        let Some(contents) = &self.contents else { return Ok(Default::default()) };
        let planner = Planner {
            tree: self.upper.tree(),
            contents,
            history: &*self.history,
            birth: self.upper.birth(),
        };
        let units = planner.plan()?;
        let locks = planner.locks(&units);
        Ok((units, locks))
    }

    fn plan_claims(&mut self) -> Result<(), Error> {
        // A plan that failed has no claims, and so does not fit when it is made again: `prepare`
        // says why it failed, or has it locked anew.
        self.planned = Some(Vec::new());
        self.claims.clear();
        let (units, locks) = self.plan()?;
        (self.planned, self.claims) = (Some(units), locks);
        Ok(())
    }
}

impl Mutation for Commit {
    fn method(&self) -> &'static str {
        self.terms.method
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        if self.planned.is_none() {
            let _ = self.plan_claims();
        }
        let claims = self.claims.iter_mut();
        claims
            .map(|(path, access)| {
                let deed = if *access == Access::Shared { Deed::Stay } else { Deed::Change };
                Claim { path, access: *access, last: Last::Keep, deed }
            })
            .collect()
    }

    fn resolve(&mut self, _tree: &Tree) -> Result<(), Error> {
        self.plan_claims()
    }

    fn prepare(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        self.ready = None;
        tree.check_root(&RelPath::ROOT)?;
        let (units, _) = self.plan()?;
        if self.planned.as_ref().is_some_and(|planned| *planned != units) {
            return Err(Fault::Moved);
        }
        let Some(contents) = &self.contents else { return Err(Fault::Moved) };
        let root = tree.dir(b"").map_err(of_all("cannot open the build root"))?;
        let upper = self.upper.dir("upper").map_err(of_all("cannot open what it changed"))?;
        let preparation = Preparation {
            contents,
            units: &units,
            terms: &self.terms,
            history: &*self.history,
            transaction: &self.upper,
            root: root.as_fd(),
            upper: upper.as_fd(),
        };
        let (verdict, changes) = preparation.judge(&self.report)?;
        let other = preparation.settle(&verdict)?;
        let steps = preparation.script(&verdict, &other)?;
        preparation.note_content(&verdict, effects)?;
        let swaps = units.iter().zip(&verdict.fates).any(|(unit, fate)| {
            matches!(fate, Fate::Replace { there }
                if is_directory(there) || contents.entries[unit.entry].is_directory())
        });
        self.ready = Some(Ready { steps, changes, swaps });
        if let Some(intent) = self.intent() {
            record::write(&self.upper, &self.terms.author, &intent, effects)?;
        }
        fault::point("commit.prepared").map_err(of_all("cannot commit it"))?;
        Ok(())
    }

    fn is_stepwise(&self) -> bool {
        self.ready.as_ref().is_some_and(Ready::is_stepwise)
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        let Some(Ready { steps, changes, .. }) = self.ready.take() else {
            return Err(Fault::Moved);
        };
        let root = tree.dir(b"").map_err(of_all("cannot open the build root"))?;
        let dir = |name| self.upper.dir(name).map_err(of_all("cannot open what it changed"));
        let (upper, gone) = (dir("upper")?, dir("gone")?);
        let mut stage = Stage::new(tree, root.as_fd(), upper.as_fd(), gone.as_fd());
        self.upper.hold();
        for (at, step) in steps.iter().enumerate() {
            let done = fault::point("commit.step").and_then(|()| stage.run(step));
            if let Err(errno) = done {
                // It is on record, and not ours any more to take back.
                tree.guard(step.path())?;
                let failed = Error::io(step.path().for_syscall(), step.failing(), errno);
                return Err(self.take_back(&mut stage, &steps[..=at], failed).into());
            }
        }
        let mark = fault::point("commit.steps-done").and_then(|()| match self.terms.copy {
            true => self.upper.discard(),
            false => self.upper.discard_reusable(),
        });
        if let Err(errno) = mark {
            tree.guard(&RelPath::ROOT)?;
            let failed = of_all("cannot mark the commit as done")(errno);
            return Err(self.take_back(&mut stage, &steps, failed).into());
        }
        let _ = fault::point("commit.done");
        effects.changes.extend(changes);
        note_steps(tree, &steps, effects)
    }
}

impl Commit {
    /// Undoes `steps`; returns `failed`, which says so if that fails as well.
    fn take_back(&mut self, stage: &mut Stage<'_>, steps: &[Step], failed: Error) -> Error {
        match undo(stage, steps) {
            Ok(()) => {
                self.upper.release();
                failed
            }
            Err(error) => {
                let what = format!(
                    "{}; and what was done before could not all be undone ({error}): the daemon \
                     tries again when it is started",
                    failed.what
                );
                Error { what, ..failed }
            }
        }
    }
}

/// Undoes steps, the last one first. Goes on after a failure, and reports the first.
pub(super) fn undo(stage: &mut Stage<'_>, steps: &[Step]) -> Result<(), Error> {
    let mut first = Ok(());
    for step in steps.iter().rev() {
        let undone = fault::point("undo.step").and_then(|()| stage.undo(step));
        let undone =
            undone.map_err(|e| Error::io(step.path().for_syscall(), "cannot put it back", e));
        first = first.and(undone);
    }
    first
}

/// Notes what the steps changed, to be synchronised with the disk.
fn note_steps(tree: &Tree, steps: &[Step], effects: &mut Effects) -> Result<(), Fault> {
    if !effects.is_durable() {
        return Ok(());
    }
    let in_place = |step: &&Step| {
        matches!(step, Step::Attributes { .. } | Step::Dress { .. } | Step::After { .. })
    };
    let (set, moved): (Vec<_>, Vec<_>) = steps.iter().partition(in_place);
    let moved = moved.iter().filter(|step| step.is_essential());
    let dirs: BTreeSet<_> = moved.filter_map(|step| step.path().parent()).collect();
    let set: BTreeSet<_> = set.iter().map(|step| step.path()).collect();
    if dirs.len() + set.len() > FEW {
        return effects.everything(tree.staging().handle());
    }
    for path in dirs {
        if let Ok(dir) = tree.dir(path.as_bytes()) {
            effects.touched(&dir)?;
        }
    }
    // One that nobody may open for reading cannot be synchronised alone.
    for path in set {
        match tree.open_at(path.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW) {
            Ok(file) => effects.written(&file.into())?,
            Err(_) => effects.everything(tree.staging().handle())?,
        }
    }
    Ok(())
}

impl Step {
    /// What is said when it fails.
    fn failing(&self) -> &'static str {
        match self {
            Self::Create { .. } | Self::Replace { .. } => "cannot put it in its place",
            Self::Remove { .. } => "cannot remove it",
            Self::Attributes { .. } => "cannot change its mode or time",
            Self::Dress { .. } => "cannot change its owner or extended attributes",
            Self::Before { .. } | Self::After { .. } => "cannot set the directory's time",
        }
    }

    /// What it does to its path.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Create { .. } => Some(Outcome::Created),
            Self::Replace { .. } => Some(Outcome::Replaced),
            Self::Remove { .. } => Some(Outcome::Removed),
            Self::Attributes { .. } | Self::Dress { .. } => Some(Outcome::Attributes),
            Self::Before { .. } | Self::After { .. } => None,
        }
    }
}
