//! The commands that a line may consist of, one file each.
//!
//! A tool looks at the world, tells the plan what it will do, and returns its exit code; `None`
//! leaves the whole line to the real one.

mod cd;
mod chmod;
mod copy_tree;
mod cp;
mod destination;
mod echo;
mod install;
mod ln;
mod mkdir;
mod mv;
mod printf;
mod rm;
mod rmdir;
mod touch;

use std::{ffi::OsString, path::Path};

use super::{line::Command, plan::Plan, speech, whereabouts, world};

/// A command with its arguments.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// Its name, as it was typed.
    name: &'a [u8],
    arguments: &'a [Vec<u8>],
}

impl Call<'_> {
    /// The beginning of an error message: as in "rm: cannot remove 'x'".
    pub(super) fn blame(&self, what: &str, word: &[u8]) -> Vec<u8> {
        [self.name, b": ", what.as_bytes(), b" ", &speech::quoted(word)].concat()
    }
}

/// How a command is carried out.
enum Tool {
    /// By the shell itself: what it prints.
    Builtin(fn(&[Vec<u8>]) -> Option<Vec<u8>>),
    /// It changes where the commands after it stand.
    Move,
    /// By a program.
    Program(fn(&Call<'_>, &mut Plan) -> Option<i32>),
}

const TOOLS: [(&[u8], Tool); 14] = [
    (b":", Tool::Builtin(|_| Some(Vec::new()))),
    (b"true", Tool::Builtin(|_| Some(Vec::new()))),
    (b"echo", Tool::Builtin(echo::text)),
    (b"printf", Tool::Builtin(printf::text)),
    (b"cd", Tool::Move),
    (b"mkdir", Tool::Program(mkdir::run)),
    (b"cp", Tool::Program(cp::run)),
    (b"install", Tool::Program(install::run)),
    (b"mv", Tool::Program(mv::run)),
    (b"ln", Tool::Program(ln::run)),
    (b"rm", Tool::Program(rm::run)),
    (b"rmdir", Tool::Program(rmdir::run)),
    (b"touch", Tool::Program(touch::run)),
    (b"chmod", Tool::Program(chmod::run)),
];

fn tool(name: &[u8]) -> Option<&'static Tool> {
    TOOLS.iter().find(|(known, _)| *known == name).map(|(_, tool)| tool)
}

/// As [`whereabouts::usual_path`], of all tools that are known here.
pub(super) fn usual_path(root: &Path) -> Option<OsString> {
    let programs = TOOLS.iter().filter(|(_, tool)| matches!(tool, Tool::Program(_)));
    whereabouts::usual_path(root, programs.map(|(name, _)| *name))
}

/// Where Linux systems have their tools: where an absolute name of one may point.
const DIRECTORIES: [&[u8]; 2] = [b"/usr/bin/", b"/bin/"];

fn plain_name(typed: &[u8]) -> &[u8] {
    DIRECTORIES.iter().find_map(|directory| typed.strip_prefix(*directory)).unwrap_or(typed)
}

/// Whether all of a line's commands are known, and the programs among them are the GNU ones.
pub(super) fn are_known(commands: &[Command]) -> bool {
    commands.iter().all(|command| {
        let typed = &command.words[0];
        match tool(plain_name(typed)) {
            None => false,
            Some(Tool::Builtin(_) | Tool::Move) => !typed.starts_with(b"/"),
            Some(Tool::Program(_)) => command.into.is_none() && whereabouts::is_usual(typed),
        }
    })
}

/// Plans one command; its exit code.
pub(super) fn run(command: &Command, plan: &mut Plan) -> Option<i32> {
    let (name, arguments) = command.words.split_first()?;
    // A shim is called by any name that leads to it.
    match (tool(world::name(name))?, &command.into) {
        (Tool::Builtin(text), into) => {
            let text = text(arguments)?;
            match into {
                Some(into) => plan.write(into, text)?,
                None if text.is_empty() => {}
                None => plan.say(false, text),
            }
            Some(0)
        }
        (Tool::Move, None) => cd::run(arguments, plan),
        (Tool::Program(run), None) => run(&Call { name, arguments }, plan),
        _ => None,
    }
}
