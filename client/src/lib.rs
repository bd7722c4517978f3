//! The client: a library of plain Rust in and out, and the commands of the `onewriter` program.
//!
//! Everything that a hot command does not need stays off its way: clap is built only for help and
//! for command lines that the fast parser does not understand, JSON only for `--json`, the
//! daemon's starter only where none answers.

mod apply;
pub mod arena;
pub mod command;
mod context;
pub mod entry;
pub mod failure;
mod leased;
mod mode;
mod output;
mod place;
pub mod process;
mod recipe;
mod remote;
mod repeat;
mod replay;
mod requests;
mod reruns;
mod server;
mod session;
mod shims;
mod simple;
mod start;
mod transaction;
mod upload;
mod verbs;
pub mod wire;
mod worker;

use std::ffi::OsString;

use crate::{
    command::{Given, Verb},
    context::Context,
    failure::{EXIT_CODES, Failure},
};

/// All commands.
#[must_use]
pub fn verbs() -> &'static [&'static Verb] {
    verbs::ALL
}

const COMMON_FIRST: &str = "\
The options --root, --server, --tls-ca, --tls-cert, --tls-key, --token-file, --timeout, --build,
--target, --lease and --json, which nearly all commands have, may also come before the command.";

/// The whole command line as clap knows it: for help, completions and manual pages.
#[must_use]
pub fn clap() -> clap::Command {
    let program = clap::Command::new("onewriter")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Makes the writes of parallel builds safe: one daemon owns every change of a build tree")
        .after_help(command::flowing(&format!("{COMMON_FIRST}\n\n{EXIT_CODES}")))
        .max_term_width(100)
        // `mkdir --version` is what configure scripts ask of a mkdir.
        .propagate_version(true)
        .subcommand_required(true)
        .arg_required_else_help(true);
    program.subcommands(verbs::ALL.iter().map(|verb| verb.clap()))
}

/// Runs the program; its exit code. `arguments` begin with the program's name.
pub fn run(arguments: Vec<OsString>) -> i32 {
    process::occupy_standard_numbers();
    if let Some(tool) = arguments.first().and_then(|program| shims::called_as(program)) {
        return shims::run(tool, arguments);
    }
    match arguments.first() {
        Some(program) if recipe::is_shell(program) => return recipe::run(arguments),
        Some(program) if verbs::make::is_make(program) => {
            return verbs::make::run_again(&arguments[1..]);
        }
        _ => {}
    }
    let arguments = verbs::make::with_patterns(command::verb_first(arguments));
    let named = |name: &OsString| verbs::ALL.iter().find(|verb| name == verb.name);
    let Some(verb) = arguments.get(1).and_then(named) else { return explain(arguments) };
    match verb.parse(&arguments[2..]) {
        Some(given) => execute(verb, &given),
        None => explain(arguments),
    }
}

/// Lets clap look at the command line: it prints help and errors, or understands it after all.
fn explain(arguments: Vec<OsString>) -> i32 {
    let as_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    if command::lacks_verb(&arguments) {
        let why = "a command is missing";
        let error = clap().error(clap::error::ErrorKind::MissingSubcommand, why);
        return misunderstood(error, as_json);
    }
    let matches = match clap().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return misunderstood(error, as_json),
    };
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        verbs::ALL.iter().find(|verb| verb.name == name).map(|verb| (verb, matches))
    });
    let Some((verb, matches)) = chosen else { return Failure::Usage(String::new()).exit_code() };
    match verb.given(matches) {
        Ok(given) => execute(verb, &given),
        Err(error) => misunderstood(error, as_json),
    }
}

/// Prints what clap has to say: help, or what is wrong with the command line.
fn misunderstood(mut error: clap::Error, as_json: bool) -> i32 {
    // What follows "--" is a path, as which an option of another tool is never meant.
    error.remove(clap::error::ContextKind::Suggested);
    let _ = error.print();
    if as_json && error.use_stderr() {
        let text = error.to_string();
        let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut output = output::Output::default();
        output::failure_as_json(&Failure::Usage(what), &mut output);
        let _ = output.flush();
    }
    error.exit_code()
}

fn execute(verb: &Verb, given: &Given) -> i32 {
    let mut context = Context::new(given);
    let done = context.check(given).and_then(|()| (verb.run)(given, &mut context));
    let done = done.and_then(|()| context.output.flush());
    match done {
        Ok(()) => context.ending.imitate(),
        Err(failure) => {
            output::failure(verb.name, &failure, given.has("json"), &mut context.output);
            failure.exit_code()
        }
    }
}
