//! Running a recipe straight on the tree, and telling the daemon of it.

use std::{ffi::OsStr, time::Instant};

use onewriter_proto::v1::{RecipeHow, RecipeNoted, RecipeRan};

use super::{choice::Chosen, real_shells, words::Words};
use crate::{
    failure::Failure,
    process::{Command, Ending, StartError},
    repeat::Repeat,
    server::Server,
    verbs::run::cannot_execute,
};

/// Runs it; how it ended. `None` where there is no such shell.
pub(super) fn run(own: &OsStr, words: &Words, chosen: Chosen) -> Result<Option<Ending>, Failure> {
    let Chosen { mut context, place } = chosen;
    let begun = Instant::now();
    let command = words.command();
    let running = Command::new(&command).variables(real_shells(own, &command[0])).start(None);
    let ending = match running {
        Ok(running) => running.wait(None).ending,
        Err(StartError::Execute(_)) => return Ok(None),
        Err(error) => return Err(cannot_execute(&command[0], error)),
    };
    let (build, _) = context.labels();
    if !build.is_empty() {
        let server = Server::Root(place);
        let ran = RecipeRan {
            context: Some(context.request(&server)),
            how: RecipeHow::Unwrapped.into(),
            took_us: begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX),
            exit_code: ending.code(),
        };
        // The recipe has run, whether it is counted or not.
        let _: Result<RecipeNoted, Failure> = context
            .session(&server)
            .and_then(|mut session| session.unary("/onewriter.v1.Builds/Ran", &ran, Repeat::Never));
    }
    Ok(Some(ending))
}
