//! `onewriter rm`: removes files and trees.

use onewriter_proto::v1::{Remove, mutation::Kind};

use super::{MANY, VERBOSE, spelling};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "rm",
    about: "Remove files, or whole trees (-r) in one step",
    details: "\
As rm(1). A tree that is removed with -r disappears at once; its space is freed in the background.
All are attempted, whatever becomes of the first; none by the name . or ..",
    operands: "PATH...",
    count: (0, MANY),
    options: &[
        Opt::flag('f', "force", "What does not exist is no error"),
        Opt::flag('r', "recursive", "Remove directories with everything in them"),
        Opt::flag('R', "RECURSIVE", "The same as -r"),
        Opt::flag('d', "dir", "Remove empty directories"),
        VERBOSE,
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    if given.operands.is_empty() {
        let nothing = if given.has("force") {
            Ok(())
        } else {
            Err(Failure::Usage("a path is needed".into()))
        };
        return nothing;
    }
    let server = context.server()?;
    let (mut named, mut refused) = (Vec::new(), None);
    for path in &given.operands {
        match spelling::check_entry(&server, path, "removed") {
            Ok(()) => named.push(server.path(path)?),
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    if !named.is_empty() {
        remove(given, context, &server, named)?;
    }
    refused.map_or(Ok(()), Err)
}

fn remove(
    given: &Given,
    context: &mut Context,
    server: &Server,
    paths: Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let remove = Remove {
        paths,
        recursive: given.has("recursive") || given.has("RECURSIVE"),
        allow_missing: given.has("force"),
        directory: given.has("dir"),
    };
    context.mutate(server, vec![Kind::Remove(remove)], given.has("verbose"))
}
