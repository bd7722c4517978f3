//! `onewriter init`: makes a build root.

use std::path::Path;

use onewriter_tree::Tree;
use serde_json::json;

use crate::{
    command::{Given, Verb},
    context::Context,
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "init",
    about: "Make DIR (default: here) a build root",
    details: "\
Makes DIR/.onewriter, which holds the daemon's state and ignores itself in git. Every command below
DIR belongs to that root then. Doing it again changes nothing.",
    operands: "DIR",
    count: (0, 1),
    options: &[],
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let dir = given.operands.first().map_or(Path::new("."), Path::new);
    let made = Tree::init(dir)?;
    let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    if context.is_json() {
        return context.output.json(&json!({ "root": real.to_string_lossy(), "created": made }));
    }
    let what = if made { "made a build root" } else { "it is a build root already:" };
    context.output.line(format_args!("{what} {}", real.display()))
}
