//! Whether a recipe becomes a transaction.

use std::{
    env,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{UNSANDBOXED, UNWRAPPED, between_blanks, contains, context, words::Words};
use crate::{
    context::Context, failure::Failure, place::Place, process::is_pipe, verbs::make::TOOLS,
};
use onewriter_tree::Pattern;

/// How a recipe is to be run.
pub(super) enum Choice {
    /// As it would be without onewriter, by this process itself.
    Plain,
    /// In the same way, but it belongs to the account of the build.
    Unwrapped(Chosen),
    /// As a transaction.
    Transaction(Chosen),
}

/// Where a recipe runs.
pub(super) struct Chosen {
    pub(super) context: Context,
    pub(super) place: Place,
}

/// Chooses.
///
/// # Errors
/// A setting that makes no sense.
pub(super) fn choose(words: &Words) -> Result<Choice, Failure> {
    // What make only wants to know ($(shell …)), while it reads makefiles.
    if words.target.is_empty() || runs_make(words) {
        return Ok(Choice::Plain);
    }
    let context = context(words)?;
    if context.is_direct() {
        return Ok(Choice::Plain);
    }
    let place = match context.place() {
        Ok(place) if place.is_within() => place,
        Ok(_) | Err(Failure::NoRoot(_)) => return Ok(Choice::Plain),
        Err(failure) => return Err(failure),
    };
    let chosen = |place| Chosen { context, place };
    match env::var_os(UNSANDBOXED).is_some() || is_unwrapped(words, &place) {
        true => Ok(Choice::Unwrapped(chosen(place))),
        false => Ok(Choice::Transaction(chosen(place))),
    }
}

/// The recipes of a make that runs in this one are wrapped themselves, and so is what runs once.
fn runs_make(words: &Words) -> bool {
    let recipe = words.recipe.as_bytes();
    let named = env::var_os(TOOLS).is_some_and(|tools| {
        let make = [tools.as_bytes(), b"/make"].concat();
        contains(recipe, &make)
    });
    // What waits for others cannot do so in a tree of its own.
    let waits = ["onewriter make", "onewriter once", "onewriter lock"];
    named || waits.iter().any(|words| contains(recipe, words.as_bytes())) || has_jobserver()
}

/// make leaves its jobserver open only for recipes that run a make, by `$(MAKE)` or `+`. Where it is
/// a pipe: a newer make names a FIFO, which tells nothing.
fn has_jobserver() -> bool {
    let Some(flags) = env::var_os("MAKEFLAGS") else { return false };
    let number = |flag: &[u8]| -> Option<i32> {
        let of = [&b"--jobserver-auth="[..], b"--jobserver-fds="];
        let pipe = of.iter().find_map(|name| flag.strip_prefix(*name))?;
        let reading = pipe.split(|&b| b == b',').next()?;
        std::str::from_utf8(reading).ok()?.parse().ok()
    };
    flags.as_bytes().split(|&b| b == b' ').find_map(number).is_some_and(is_pipe)
}

/// By the target's name as make has it, or by its path below the root.
fn is_unwrapped(words: &Words, place: &Place) -> bool {
    let Some(patterns) = env::var_os(UNWRAPPED).filter(|patterns| !patterns.is_empty()) else {
        return false;
    };
    let name = words.target.as_bytes();
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let below = PathBuf::from(place.directory()).join(OsStr::from_bytes(name));
    let below = below.strip_prefix(place.root()).map_or(&*below, Path::new);
    between_blanks(patterns.as_bytes()).any(|text| {
        let pattern = Pattern::new(text);
        pattern.matches(name) || pattern.matches(below.as_os_str().as_bytes())
    })
}
