//! Running a recipe as a transaction.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use onewriter_proto::v1::{OnConflict, TransactionCommit, Unchanged};

use super::{NAME, ON_CONFLICT, ignored, kept, real_shells, words::Words};
use crate::{
    context::{Context, TRANSACTION, transaction},
    failure::Failure,
    place::Place,
    process::{Command, Ended, Ending, Sandbox, StartError, Tick},
    server::Server,
    transaction::{Filling, RETRIES, Wish, transact},
    verbs::run::{cannot_execute, is_refusal},
};

/// Runs it; how it ended. `None` where the kernel does not allow it: nothing has been run then.
pub(super) fn run(
    own: &OsStr,
    words: &Words,
    mut context: Context,
    server: &Server,
) -> Result<Option<Ending>, Failure> {
    let wish = wish(words, context.timeout()?)?;
    let Server::Root(place) = server else { unreachable!("a recipe's is chosen by its place") };
    let command = words.command();
    let mut recipe = Recipe { own, place, words, command: &command, refused: false };
    let done = transact(&mut context, server, &wish, &mut recipe);
    if recipe.refused {
        return Ok(None);
    }
    let (ending, committed) = done?;
    committed.map_or(Ok(()), |committed| wish.tell(&mut context, &committed))?;
    Ok(Some(ending))
}

fn wish(words: &Words, wait: std::time::Duration) -> Result<Wish, Failure> {
    let wait_ms = wait.as_millis().try_into().unwrap_or(u64::MAX);
    Ok(Wish {
        verb: NAME,
        line: words.recipe.to_string_lossy().into_owned(),
        retries: RETRIES,
        keep_failed: false,
        verbose: false,
        wait,
        commit: TransactionCommit {
            // make goes by times: what a recipe has made is as new as its end.
            unchanged: Unchanged::Touch.into(),
            keep: kept(),
            on_conflict: on_conflict()?.into(),
            wait_ms,
            ..TransactionCommit::default()
        },
    })
}

/// What the environment says of conflicts.
///
/// # Errors
/// It makes no sense.
pub(crate) fn on_conflict() -> Result<OnConflict, Failure> {
    let how = env::var_os(ON_CONFLICT).unwrap_or_default();
    match how.as_bytes() {
        b"" | b"rerun" => Ok(OnConflict::Rerun),
        b"fail" => Ok(OnConflict::Fail),
        b"last" => Ok(OnConflict::Last),
        _ => {
            let what = format!("{ON_CONFLICT} is rerun, fail or last, not '{}'", how.display());
            Err(Failure::Usage(what))
        }
    }
}

/// A transaction that a recipe fills.
struct Recipe<'a> {
    /// What this program was called.
    own: &'a OsStr,
    place: &'a Place,
    words: &'a Words,
    command: &'a [OsString],
    refused: bool,
}

impl Filling for Recipe<'_> {
    /// make goes on as if it had not failed, and so finds what it would have left.
    fn stays(&self, ending: Ending) -> bool {
        matches!(ending, Ending::Exit(_)) && ignored::is_ignored(self.words)
    }

    fn fill(&mut self, name: &str, tick: Option<Tick<'_>>) -> Result<Ended, Failure> {
        let sandboxed = Sandbox::new(self.place.root(), name, &self.place.stand()?)
            .map_err(|(step, errno)| StartError::Sandbox { step, errno })
            .and_then(|sandbox| {
                Command::new(self.command)
                    .variable(TRANSACTION, transaction(name))
                    .variables(real_shells(self.own, &self.command[0]))
                    .start(Some(&sandbox))
            });
        match sandboxed {
            Ok(running) => Ok(running.wait(tick)),
            Err(StartError::Sandbox { step, errno }) if is_refusal(errno) => {
                eprintln!(
                    "onewriter {NAME}: the kernel gives it no view of its own (cannot {step}: {errno}): it runs as without onewriter"
                );
                self.refused = true;
                Err(Failure::NoSandbox(String::new()))
            }
            // Becoming the shell fails in the same way, and says so as make does.
            Err(StartError::Execute(_)) => {
                self.refused = true;
                Err(Failure::NoSandbox(String::new()))
            }
            Err(error) => Err(cannot_execute(&self.command[0], error)),
        }
    }
}
