//! `onewriter mkdir`: makes directories.

use onewriter_proto::v1::{MakeDirectories, mutation::Kind};

use super::{MANY, VERBOSE};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    mode,
};

pub(super) const VERB: Verb = Verb {
    name: "mkdir",
    about: "Make directories, and those on the way to them",
    details: "\
A directory that exists already is no error, whoever made it and whenever. Something else that
stands in its place is one, and is named. All are attempted, whatever becomes of the first.",
    operands: "DIR...",
    count: (1, MANY),
    options: &[
        Opt::flag('p', "parents", "Accepted for mkdir's sake: parents are made anyway"),
        Opt::value(
            'm',
            "mode",
            "MODE",
            "The mode of DIR, as in mkdir -m [default: 777 less the umask]",
        ),
        Opt::flag('\0', "no-parents", "Fail where a parent is missing"),
        Opt::flag('\0', "new", "Fail where DIR exists"),
        VERBOSE,
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let mode = match given.text("mode")? {
        Some(text) => Some(mode::of_new_directory(text, context.umask())?),
        None => None,
    };
    let server = context.server()?;
    let make = MakeDirectories {
        paths: server.paths(&given.operands)?,
        mode,
        no_parents: given.has("no-parents"),
        must_create: given.has("new"),
    };
    context.mutate(&server, vec![Kind::MakeDirectories(make)], given.has("verbose"))
}
