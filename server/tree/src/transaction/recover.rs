//! Making good what a daemon had begun that was killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd as _,
};

use super::{
    commit::undo,
    intent::Intent,
    step::{Stage, Step},
    upper::{Upper, of_all},
};
use crate::{
    error::Error,
    fault,
    mutation::{Change, Outcome},
    path::RelPath,
    tree::Tree,
};

/// How [`recover_all`](super::recover_all) made good what a killed daemon had begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The rest was done. One change for each step; a directory that was placed as a whole is one.
    Completed(Vec<Change>),
    /// The rest could not be done: all is as it was before.
    Undone,
    /// There was nothing to make good.
    Nothing,
}

/// Completes, or undoes, what a killed daemon had begun. `intent` is what
/// [`Commit::intent`](super::Commit::intent) returned.
///
/// The transaction's directory is the mark: once it has another name, all is done, and whatever
/// was changed later is left alone.
///
/// # Errors
/// Where the intent cannot be read, or can neither be completed nor undone; then all that can still
/// be tried stays.
pub(crate) fn recover(tree: &Tree, intent: &[u8]) -> Result<Recovered, Error> {
    let intent = Intent::decode(intent)?;
    let Some(mut upper) = Upper::find(tree, &intent.name)? else { return Ok(Recovered::Nothing) };
    let root = tree.dir(b"").map_err(of_all("cannot open the build root"))?;
    let dir = |name| upper.dir(name).map_err(of_all("cannot open what a transaction left"));
    let (new, gone) = (dir("upper")?, dir("gone")?);
    let mut stage = Stage::new(tree, root.as_fd(), new.as_fd(), gone.as_fd());
    let mut steps = intent.steps.iter();
    let redone =
        steps.try_for_each(|step| fault::point("recover.step").and_then(|()| stage.run(step)));
    let recovered = match redone {
        Ok(()) => Recovered::Completed(changes(&intent.steps)),
        Err(_) => {
            undo(&mut stage, &intent.steps)?;
            Recovered::Undone
        }
    };
    upper.discard().map_err(of_all("cannot discard what a transaction left"))?;
    Ok(recovered)
}

/// A path that was only opened for the while, and closed again, did not change.
fn changes(steps: &[Step]) -> Vec<Change> {
    let mut modes = BTreeMap::<&RelPath, _>::new();
    let mut dressed = BTreeSet::new();
    for step in steps {
        match step {
            Step::Attributes { path, old, new, .. } => {
                modes.entry(path).or_insert((*old, *new)).1 = *new;
            }
            Step::Dress { path, .. } => {
                dressed.insert(path);
            }
            _ => {}
        }
    }
    let moved = steps.iter().filter_map(|step| Some(Change::new(step.path(), step.outcome()?)));
    let mut changes: Vec<_> =
        moved.filter(|change| change.outcome != Outcome::Attributes).collect();
    let set = modes.into_iter().filter(|(_, (old, new))| old != new);
    dressed.extend(set.map(|(path, _)| path));
    dressed.retain(|path| !changes.iter().any(|change| change.path == **path));
    let set = dressed.into_iter().map(|path| Change::new(path, Outcome::Attributes));
    changes.extend(set);
    changes
}
