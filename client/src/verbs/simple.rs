//! `onewriter simple`: a recipe line without a shell.

use std::ffi::OsString;

use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    process::Ending,
    simple::simple,
};

pub(super) const VERB: Verb = Verb {
    name: "simple",
    about: "Do a recipe line that needs no shell, or say that it needs one",
    details: "\
LINE consists of mkdir, cp, install, mv, ln, rm, rmdir, touch, chmod, echo, printf, cd, true and :,
joined by && and ;, with words in which a shell finds nothing to expand. It is done in one request,
with the tools' own messages and exit code. Where it is not certain that they would do just that,
nothing is done, and the exit code is 125: 'onewriter simple LINE' tells whether a recipe line is done
without a shell.",
    operands: "LINE",
    count: (1, 1),
    options: &[
        Opt::value('\0', "shell", "SHELL", "The shell that would run it [default: /bin/sh]"),
        Opt::value('\0', "flags", "FLAGS", "Its flags, -c or -ec [default: -c]"),
    ],
    common: COMMON,
    run,
};

/// What the program exits with where the line needs a shell.
const NOT_SIMPLE: i32 = 125;

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let setting = |option, default: &str| {
        given.value(option).map_or_else(|| OsString::from(default), OsString::from)
    };
    let (shell, flags) = (setting("shell", "/bin/sh"), [setting("flags", "-c")]);
    let recipe = given.operands[0].as_encoded_bytes();
    let server = context.server().ok();
    match server.and_then(|server| simple(recipe, &shell, &flags, &[], context, &server)) {
        Some(status) => {
            context.ending = Ending::Exit(status?);
            Ok(())
        }
        None => {
            let message = "this line needs a shell".into();
            Err(Failure::NotExecuted { message, code: NOT_SIMPLE })
        }
    }
}
