//! A recipe: what make hands to its shell, which `onewriter make` has this client be.
//!
//! It is run by the shell that the makefile wanted, as a transaction. What cannot or need not be
//! one is run as without onewriter: this process becomes that shell.

mod choice;
mod ignored;
mod simple;
mod transaction;
mod unwrapped;
mod words;

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use onewriter_tree::Pattern;

pub(crate) use self::transaction::on_conflict;
use crate::{
    command::Given,
    context::Context,
    failure::Failure,
    output,
    process::{Command, Ending, StartError},
    server::Server,
    verbs::make::{OTHER_SHELL, SHELL},
};
use choice::{Choice, Chosen};
use words::Words;

/// Targets whose recipes are not to be transactions: patterns with spaces between them.
pub(crate) const UNWRAPPED: &str = "ONEWRITER_UNWRAPPED";

/// Files that are left as they are where they are made again as they were: patterns.
pub(crate) const KEEP: &str = "ONEWRITER_KEEP";

/// What to do where others changed the same files, as `--on-conflict` has it.
pub(crate) const ON_CONFLICT: &str = "ONEWRITER_ON_CONFLICT";

/// Set where the kernel was found to refuse sandboxes.
pub(crate) const UNSANDBOXED: &str = "ONEWRITER_UNSANDBOXED";

/// The shell of the makefile, for recipes with flags of their own.
const PLAIN_SHELL: &str = "ONEWRITER_SHELL";

/// What people know a recipe's messages by.
const NAME: &str = "recipe";

/// Whether this program was started as the shell of make.
pub(crate) fn is_shell(program: &OsStr) -> bool {
    matches!(base_name(program), name if name == SHELL || name == OTHER_SHELL)
}

/// The last component.
pub(crate) fn base_name(program: &OsStr) -> &OsStr {
    let name = program.as_bytes().rsplit(|&b| b == b'/').next();
    OsStr::from_bytes(name.unwrap_or_default())
}

/// Does what a shell would; the exit code.
pub(crate) fn run(arguments: Vec<OsString>) -> i32 {
    let Some(mut words) = Words::of(&arguments) else { return become_shell(arguments) };
    name_the_real_shell(&arguments[0], &mut words);
    let ending = choice::choose(&words).and_then(|choice| match choice {
        Choice::Transaction(Chosen { mut context, place }) => {
            let server = Server::Root(place);
            match without_a_shell(&words, &mut context, &server) {
                Some(done) => done.map(|code| Some(Ending::Exit(code))),
                None => transaction::run(&arguments[0], &words, context, &server),
            }
        }
        Choice::Unwrapped(chosen) => unwrapped::run(&arguments[0], &words, chosen),
        Choice::Plain => Ok(None),
    });
    match ending {
        Ok(Some(ending)) => ending.imitate(),
        Ok(None) => become_command(&arguments[0], &words.command()),
        Err(failure) => {
            output::failure(NAME, &failure, false, &mut output::Output::default());
            failure.exit_code()
        }
    }
}

/// Has a recipe of a few plain commands done by the daemon, in one request; its exit code. `None` if
/// it takes a shell.
fn without_a_shell(
    words: &Words,
    context: &mut Context,
    server: &Server,
) -> Option<Result<i32, Failure>> {
    let ([shell], flags) = words.shell.split_at_checked(words.shell_length)? else { return None };
    // One that could not be executed is make's to complain about.
    let is_there = shell == "/bin/sh"
        || shell.as_bytes().starts_with(b"/")
            && rustix::fs::access(shell, rustix::fs::Access::EXEC_OK).is_ok();
    let keep: Vec<_> = kept().into_iter().map(Pattern::new).collect();
    let recipe = words.recipe.as_bytes();
    is_there.then(|| crate::simple::simple(recipe, shell, flags, &keep, context, server))?
}

/// Patterns of the files that keep their time where they are made again as they were.
fn kept() -> Vec<Vec<u8>> {
    let patterns = env::var_os(KEEP).unwrap_or_default();
    between_blanks(patterns.as_bytes()).map(<[u8]>::to_vec).collect()
}

/// The words of a text in which none has a blank.
fn between_blanks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

/// `$(SHELL)` in a recipe is this program: where it got into files that are made, they would need
/// it for good.
fn name_the_real_shell(program: &OsStr, words: &mut Words) {
    let real = words.shell[..words.shell_length].join(OsStr::new(" "));
    let mut recipe = std::mem::take(&mut words.recipe).into_vec();
    if contains(&recipe, program.as_bytes()) {
        recipe = replaced(&recipe, program.as_bytes(), real.as_bytes());
    }
    // So are $(.SHELLFLAGS) what this program is told, and then the real ones.
    if contains(&recipe, b" --flags ") {
        recipe = replaced(&recipe, &words.before_flags(), b"");
    }
    words.recipe = OsString::from_vec(recipe);
}

/// A text with each `part` of it replaced.
fn replaced(text: &[u8], part: &[u8], with: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, more)) = rest.split_first() {
        match rest.strip_prefix(part) {
            Some(behind) => {
                made.extend_from_slice(with);
                rest = behind;
            }
            None => {
                made.push(byte);
                rest = more;
            }
        }
    }
    made
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Called as `$(SHELL) script`, or with flags that belong to one target.
fn become_shell(mut arguments: Vec<OsString>) -> i32 {
    let plain = env::var_os(PLAIN_SHELL).filter(|shell| !shell.is_empty());
    let plain = plain.unwrap_or_else(|| "/bin/sh".into());
    let own = std::mem::take(&mut arguments[0]);
    let words = between_blanks(plain.as_bytes()).map(|word| OsStr::from_bytes(word).to_owned());
    let words: Vec<_> = words.chain(arguments.into_iter().skip(1)).collect();
    become_command(&own, &words)
}

/// Returns only where that fails, with the exit code. `own` is what this program was called.
fn become_command(own: &OsStr, words: &[OsString]) -> i32 {
    let command = Command::new(words).variables(real_shells(own, &words[0]));
    match command.replace_this_process() {
        StartError::Execute(errno) => {
            // As make says it.
            let why = errno.to_string();
            let why = why.split(" (os error").next().unwrap_or_default();
            eprintln!("make: {}: {why}", words[0].display());
            127
        }
        _ => 127,
    }
}

/// Variables in which this program would be taken for a shell.
fn real_shells(own: &OsStr, real: &OsStr) -> Vec<(&'static str, OsString)> {
    let mut variables = Vec::new();
    for name in ["SHELL", "CONFIG_SHELL"] {
        if env::var_os(name).is_some_and(|value| value == own) {
            variables.push((name, real.to_owned()));
        }
    }
    variables
}

/// A context as the environment has it.
fn context(words: &Words) -> Result<Context, Failure> {
    let given = Given::default();
    let mut context = Context::new(&given);
    context.set_recipe(
        words.target.to_string_lossy().into_owned(),
        onewriter_proto::v1::Recipe {
            command: cut(&words.recipe),
            prerequisites: cut(&words.prerequisites),
        },
    );
    context.check(&given)?;
    Ok(context)
}

/// As much as the daemon keeps.
fn cut(text: &OsStr) -> String {
    let bytes = text.as_bytes();
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).into_owned();
    text.truncate(text.floor_char_boundary(1024));
    text
}
