//! `onewriter rm`: removes files and trees.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use onewriter_proto::v1::{Remove, mutation::Kind};
use onewriter_tree::{Error, Reason};

use super::{MANY, VERBOSE};
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
    let (dots, named): (Vec<_>, Vec<_>) =
        given.operands.iter().partition(|path| ends_in_dots(path));
    let dots = dots.into_iter().map(|path| server.path(path)).collect::<Result<Vec<_>, _>>()?;
    let named = named.into_iter().map(|path| server.path(path)).collect::<Result<Vec<_>, _>>()?;
    if !named.is_empty() {
        remove(given, context, &server, named)?;
    }
    dots.first().map_or(Ok(()), |path| Err(refusal(path)))
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

/// Whether somebody who stands in a directory, or came by way of it, names it or the one above.
fn ends_in_dots(path: &OsStr) -> bool {
    let mut names = path.as_bytes().rsplit(|&b| b == b'/').skip_while(|name| name.is_empty());
    matches!(names.next(), Some(b"." | b".."))
}

fn refusal(path: &[u8]) -> Failure {
    let why = "a directory is not removed by the name '.' or '..'";
    Error::new(Reason::BadRequest, path, why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_name_is_dots() {
        for path in [".", "..", "./", "a/.", "a/..//", "/.", "a//.."] {
            assert!(ends_in_dots(OsStr::new(path)), "{path}");
        }
        for path in ["", "/", "a", "a/", "./a", "../a/", "a.", "...", "a/..."] {
            assert!(!ends_in_dots(OsStr::new(path)), "{path}");
        }
    }
}
