//! The client under the names of other tools: `mkdir`, `cp`, … as links to it.
//!
//! What a tool's own command line says is done through the daemon where it is simple and concerns
//! a build root; everything else is done by the tool that PATH would have found without the links.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process,
};

use crate::{
    command::Given,
    context::Context,
    failure::Failure,
    output,
    simple::{self, Program},
};

/// The tools that the client stands in for.
pub(crate) const TOOLS: [&str; 9] =
    ["mkdir", "install", "cp", "mv", "ln", "rm", "rmdir", "touch", MKINSTALLDIRS];

const MKINSTALLDIRS: &str = "mkinstalldirs";

/// Tells a second client in the same process, which another one became, from where on to look for
/// the real tool, so that two of them do not look for each other: `PID:ENTRY`.
const SEARCHED: &str = "ONEWRITER_SHIM";

/// The tool that the program was called as.
pub(crate) fn called_as(program: &OsStr) -> Option<&'static str> {
    let name = Path::new(program).file_name()?;
    TOOLS.into_iter().find(|tool| name == *tool)
}

/// Stands in for `tool`; the exit code.
pub(crate) fn run(tool: &'static str, mut arguments: Vec<OsString>) -> i32 {
    if tool == MKINSTALLDIRS && simple::real(tool.as_bytes(), first_entry()).is_none() {
        // Its only option besides those that ask for help, -m, is mkdir's.
        arguments.splice(..1, [OsString::from("mkdir"), "-p".into()]);
        return stand_in("mkdir", arguments);
    }
    stand_in(tool, arguments)
}

fn stand_in(tool: &'static str, arguments: Vec<OsString>) -> i32 {
    let real = simple::real(tool.as_bytes(), first_entry());
    // A tool of the user's own does what it likes.
    let is_usual = real.as_ref().is_none_or(|real| real.is_usual);
    if is_usual && tool != MKINSTALLDIRS {
        let given = Given::default();
        let mut context = Context::new(&given);
        let words = arguments.iter().map(|word| word.clone().into_vec()).collect();
        let done = context.check(&given).map(|()| simple::command(words, &mut context));
        match done.and_then(Option::transpose) {
            Ok(Some(status)) => return status,
            Ok(None) => {}
            Err(failure) => {
                let in_vain = simple::was_in_vain(&failure);
                output::failure(tool, &failure, false, &mut context.output);
                if !in_vain || real.is_none() {
                    return failure.exit_code();
                }
                context.restore_umask();
            }
        }
    }
    let failure = match real {
        Some(Program { path, entry, .. }) => {
            let mut command = process::Command::new(&path);
            command.arg0(&arguments[0]).args(&arguments[1..]);
            command.env(SEARCHED, format!("{}:{}", process::id(), entry + 1));
            let error = command.exec();
            let message = format!("cannot execute '{}': {error}", path.display());
            Failure::NotExecuted { message, code: 126 }
        }
        None => {
            let message = format!("there is no {tool} on PATH but onewriter's own");
            Failure::NotExecuted { message, code: 127 }
        }
    };
    output::failure(tool, &failure, false, &mut output::Output::default());
    failure.exit_code()
}

/// The first entry of PATH that was not searched yet.
fn first_entry() -> usize {
    let told = env::var_os(SEARCHED).and_then(|told| {
        let told = std::str::from_utf8(told.as_bytes()).ok()?.to_owned();
        let (pid, entry) = told.split_once(':')?;
        (pid.parse() == Ok(process::id())).then(|| entry.parse().ok())?
    });
    told.unwrap_or(0)
}
