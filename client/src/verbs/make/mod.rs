//! `onewriter make`: builds an unmodified makefile, every recipe of which is a transaction.
//!
//! The real make runs, with one more makefile, which it reads last and which has it call this client
//! for its shell (`tail.mk`, `crate::recipe`). It is itself called by a name of this client, so that
//! `$(MAKE)` comes back here, where the same is done for the makefiles further down.

mod arguments;
mod probe;
mod program;
mod root;
mod settings;
mod summary;
mod tools;

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

pub(crate) use self::tools::{OTHER_SHELL, SHELL};
use self::{
    arguments::Arguments, program::real_make, settings::Settings, summary::Account, tools::Tools,
};
use super::{MANY, run};
use crate::{
    command::{Given, Opt, Verb},
    context::{self, Context, is_inside_transaction},
    failure::Failure,
    output,
    process::{Command, StartError},
    recipe, simple,
};

/// Tells whatever runs below where the [`Tools`] are.
pub(crate) const TOOLS: &str = "ONEWRITER_TOOLS";

pub(super) const VERB: Verb = Verb {
    name: "make",
    about: "Build with make, so that no recipe sees half of what another one does",
    details: "\
Runs make with all arguments from the first one on that is not an option listed here (or from the
one after --): 'onewriter make --quiet -j8 --silent all'. Makefiles need not know of it.

What a recipe line (under .ONESHELL, a recipe) changes below the build root appears together when it
succeeds, and not at all when it fails or is interrupted. Files whose content stays the same get a
new time, as make expects, but are not written. With --unchanged keep they do not get that either:
then nothing is made anew because of them, but their own rule runs again each time, unless its
target is a stamp file:

  gen.stamp: grammar ; ./generate grammar && touch $@
  gen.h: gen.stamp ;

Recipes run as without onewriter: those that run a make ($(MAKE), +), those of --unwrapped, those of
a target with a SHELL or .SHELLFLAGS of its own, and all where the kernel gives no command a view of
its own.

A PATTERN is one of a file's name, or with a slash in it of its path: * and ? are any characters but
slashes, % any. A file .onewriter.toml at the root may hold settings for all who build there:

  unwrapped = [\"test-%\"]
  keep = [\"gen/*.h\"]
  on-conflict = \"rerun\"

The directory where make starts is made a build root if it is in none. ONEWRITER_MAKE names the make
to run. In a transaction, and with ONEWRITER=off, it runs without anything around it.",
    operands: "[MAKE-ARGUMENT]...",
    count: (0, MANY),
    options: &[
        Opt::flag('\0', "quiet", "Print no summary"),
        Opt::value(
            '\0',
            "unchanged",
            "HOW",
            "Of files made again as they were: touch (set their time), keep (leave it), keep PATTERN (of these) [default: touch]",
        ),
        Opt::value(
            '\0',
            "unwrapped",
            "PATTERN",
            "Run the recipes of these targets as without onewriter",
        ),
        run::ON_CONFLICT,
        Opt::value(
            '\0',
            "root",
            "DIR",
            "The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]",
        ),
        Opt::value(
            '\0',
            "timeout",
            "SECONDS",
            "Each recipe waits at most so long for locks [default: 300] [env: ONEWRITER_TIMEOUT]",
        ),
        Opt::value('\0', "build", "ID", "What to call this build [env: ONEWRITER_BUILD]"),
    ],
    common: &[],
    run,
};

/// Joins `--unchanged keep PATTERN` to one value, as an option takes one; what is no pattern is make's.
pub(crate) fn with_patterns(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_none_or(|verb| verb != VERB.name) {
        return arguments;
    }
    let is_pattern = |word: &OsString| word.as_bytes().iter().any(|b| b"*?%".contains(b));
    let mut at = 2;
    while let Some([option, how, pattern]) = arguments.get(at..at + 3) {
        if option == "--unchanged" && how == "keep" && is_pattern(pattern) {
            arguments[at + 1] = [&how[..], &pattern[..]].join(OsStr::new("="));
            arguments.remove(at + 2);
        }
        at += if arguments[at].as_bytes().contains(&b'=') { 1 } else { 2 };
    }
    arguments
}

/// Whether this program was started as `$(MAKE)`.
pub(crate) fn is_make(program: &OsStr) -> bool {
    env::var_os(TOOLS).is_some() && recipe::base_name(program) == tools::MAKE
}

/// Does what `$(MAKE)` is to do, with make's arguments; the exit code.
pub(crate) fn run_again(arguments: &[OsString]) -> i32 {
    let mut given = Given::default();
    given.operands = arguments.to_vec();
    let failure = further_down(&given).err().unwrap_or_else(|| Failure::Io(String::new()));
    output::failure(VERB.name, &failure, false, &mut output::Output::default());
    failure.exit_code()
}

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let arguments = Arguments::of(&given.operands);
    if context.is_direct() || arguments.is_question || !arguments.directory_is_there() {
        return become_make(None, &given.operands, Vec::new());
    }
    if env::var_os(TOOLS).is_some() {
        return further_down(given);
    }
    let ours = VERB.options.iter().map(|option| option.long);
    if let Some((word, our)) = arguments::mistaken(&given.operands, ours) {
        return Err(Failure::Usage(format!(
            "make has no option --{word}; is it --{our}, which comes before all that is for make? ('onewriter help make')"
        )));
    }
    if context.is_afar() {
        return Err(Failure::Usage(
            "onewriter make works with the daemon of its build root, on this machine: leave out ONEWRITER_SERVER; on a worker, 'onewriter run' makes one transaction of a make"
                .into(),
        ));
    }
    let root = root::find(context, &arguments.directory)?;
    context.set_root(&root);
    let mut variables = Settings::of(given, &root)?.variables();
    variables.extend(given.value("root").map(|_| (context::ROOT, root.clone().into())));
    variables.extend(given.value("timeout").map(|limit| (context::TIMEOUT, limit.to_owned())));
    let (make, tools) = (real_make()?, Tools::make()?);
    let words = words(&tools, &arguments, &given.operands);
    let is_sandboxed = probe::can_sandbox(context)?;
    if !is_sandboxed {
        variables.push((recipe::UNSANDBOXED, "1".into()));
    }
    variables.extend(simple::usual_path(&root).map(|path| (simple::USUAL_PATH, path)));
    let jobs = arguments.jobs(env::var_os("MAKEFLAGS"));
    let account = Account::open(context, &given.operands, jobs)?;
    variables.push((context::BUILD, account.id().into()));
    variables.push((program::VARIABLE, make.clone().into()));
    variables.push((TOOLS, tools.directory().to_owned()));
    context.restore_umask();
    let running = command(&words, &make, &tools, variables).start(None).map_err(|error| {
        let failure = run::cannot_execute(make.as_os_str(), error);
        // It is on record, and has ended.
        account.close(context, failure.exit_code(), true);
        failure
    })?;
    let ended = running.wait(None);
    context.ending = ended.ending;
    account.close(context, ended.ending.code(), given.has("quiet"));
    Ok(())
}

/// In a build that has begun: this process becomes make.
fn further_down(given: &Given) -> Result<(), Failure> {
    let arguments = Arguments::of(&given.operands);
    let tools = Tools::at(env::var_os(TOOLS).unwrap_or_default().into());
    if is_inside_transaction() {
        // All that it does belongs to the transaction.
        return become_make(Some(&tools), &given.operands, Vec::new());
    }
    let variables = Settings::inherited(given)?.variables();
    let words = words(&tools, &arguments, &given.operands);
    become_make(Some(&tools), &words[1..], variables)
}

/// The words of make's command line, its name first.
fn words(tools: &Tools, arguments: &Arguments, given: &[OsString]) -> Vec<OsString> {
    let tail = tools.tail();
    // make starts itself again when it has made a makefile anew.
    let has_tail = given.iter().any(|word| word == tail.as_os_str());
    let rest = match has_tail {
        true => given.to_vec(),
        false => arguments.with_tail(given, tail.as_os_str()),
    };
    [vec![tools.program().into()], rest].concat()
}

fn command<'w>(
    words: &'w [OsString],
    make: &'w Path,
    tools: &Tools,
    variables: Vec<(&'static str, OsString)>,
) -> Command<'w> {
    let command = Command::new(words).executing(make).variables(variables);
    // Where it is set, make believes it.
    match env::var_os("MAKE") {
        Some(_) => command.variable("MAKE", tools.program()),
        None => command,
    }
}

fn become_make(
    tools: Option<&Tools>,
    arguments: &[OsString],
    variables: Vec<(&'static str, OsString)>,
) -> Result<(), Failure> {
    let make = real_make()?;
    let error = match tools {
        Some(tools) => {
            let words = [&[tools.program().into()], arguments].concat();
            command(&words, &make, tools, variables).replace_this_process()
        }
        None => {
            let words = [&["make".into()], arguments].concat();
            Command::new(&words).executing(&make).replace_this_process()
        }
    };
    Err(match error {
        error @ StartError::Execute(_) => run::cannot_execute(make.as_os_str(), error),
        _ => Failure::Io(format!("cannot run '{}'", make.display())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_after_keep_belongs_to_it() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, joined) in [
            ("o make --unchanged keep *.h all", "o make --unchanged keep=*.h all"),
            ("o make --unchanged keep all", "o make --unchanged keep all"),
            (
                "o make --unwrapped x --unchanged keep a/% --unchanged keep b?",
                "o make --unwrapped x --unchanged keep=a/% --unchanged keep=b?",
            ),
            ("o run --unchanged keep *.h", "o run --unchanged keep *.h"),
        ] {
            assert_eq!(with_patterns(words(line)), words(joined), "{line}");
        }
    }
}
