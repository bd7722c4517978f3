//! Recipe lines that need no shell: `mkdir -p a && cp b a/c; touch d` becomes one request.
//!
//! A line is parsed as a shell would read it ([`line`]), and its commands are played through on a
//! picture of the tree ([`world`]) before anything is done. What comes of it is what the shell and
//! the GNU tools would have made of it, messages and exit code included: wherever that is not
//! certain, the answer is `None`, and the line is left to them. What is foreseen is then done in one
//! request ([`carry`]).

mod carry;
mod keep;
mod line;
mod node;
mod options;
mod plan;
mod rights;
mod shell;
mod speech;
mod tools;
mod whereabouts;
mod world;

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use onewriter_tree::Pattern;

use self::{
    carry::Line,
    line::{Command, Joint},
};
pub(crate) use self::{
    carry::was_in_vain,
    whereabouts::{Program, USUAL_PATH, real},
    world::{name, without_slashes},
};
use crate::{context::Context, failure::Failure, server::Server};

/// Does a recipe as `SHELL FLAGS RECIPE` would, in the working directory; its exit code. `None` if it
/// is not simple: then nothing was done, and the shell shall do it. Files at paths of the patterns
/// `keep` keep their time where they stay as they were.
pub(crate) fn simple(
    recipe: &[u8],
    shell: &OsStr,
    flags: &[OsString],
    keep: &[Pattern],
    context: &mut Context,
    server: &Server,
) -> Option<Result<i32, Failure>> {
    let exits = shell::exits_on_failure(shell, flags)?;
    let commands = line::parse(recipe)?;
    if !tools::are_known(&commands) || !shell::is_usual() {
        return None;
    }
    run(&commands, exits, keep, context, server)
}

/// What [`USUAL_PATH`] is to say in a build below `root`, if anything.
pub(crate) fn usual_path(root: &Path) -> Option<OsString> {
    tools::usual_path(root)
}

/// Does one command as the tool of its name would; as [`simple`].
pub(crate) fn command(words: Vec<Vec<u8>>, context: &mut Context) -> Option<Result<i32, Failure>> {
    if !shell::is_usual() {
        return None;
    }
    let server = context.server().ok()?;
    let command = Command { words, into: None, joint: Joint::Always };
    run(&[command], false, &[], context, &server)
}

fn run(
    commands: &[Command],
    exits: bool,
    keep: &[Pattern],
    context: &mut Context,
    server: &Server,
) -> Option<Result<i32, Failure>> {
    // Without a daemon, nobody could do several things in one step.
    if context.is_direct() {
        return None;
    }
    let line = Line { commands, exits, umask: context.umask(), keep };
    let done = carry::line(&line, context, server);
    if done.is_none() {
        // For whoever does it now.
        context.restore_umask();
    }
    done
}
