//! `onewriter mv`: renames files and directories.

use onewriter_proto::v1::{Publication, Rename, Unchanged, mutation::Kind};

use super::{MANY, destination, publish, spelling};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "mv",
    about: "Rename files and directories, or move files into the tree",
    details: "\
As mv(1). With --keep, a DST of the same content and mode is left alone, and SRC is gone all the
same: the idiom of a generator that writes a new file beside the old one.",
    operands: "SRC... DST",
    count: (1, MANY),
    options: destination::options![
        Opt::flag('\0', "keep", "Leave a DST of the same content and mode alone"),
        Opt::flag('f', "force", "Accepted for mv's sake: nothing is asked anyway"),
        Opt::flag('\0', "new", "Fail where DST exists"),
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let mut kinds = Vec::new();
    for (source, path) in destination::pairs(given, context, &server)? {
        spelling::check_entry(&server, source, "moved")?;
        let to = server.path(&path)?;
        kinds.push(match inside(&server, source) {
            Some(from) => Kind::Rename(Rename {
                from,
                to,
                must_create: given.has("new"),
                keep_unchanged: given.has("keep"),
                parents: false,
            }),
            None => {
                let unchanged =
                    if given.has("keep") { Unchanged::Keep } else { Unchanged::Replace };
                let must_create = given.has("new");
                let to = Publication {
                    path: to,
                    unchanged: unchanged.into(),
                    must_create,
                    ..Publication::default()
                };
                Kind::PublishLocal(publish::local(&server, to, source, true)?)
            }
        });
    }
    context.mutate(&server, kinds, given.has("verbose"))
}

/// The source's path in the tree, if it lies there.
fn inside(server: &Server, source: &std::ffi::OsStr) -> Option<Vec<u8>> {
    match server {
        Server::Root(place) => place.relative(source).ok(),
        Server::Unix(_) | Server::Remote(_) => {
            server.path(source).ok().filter(|path| !path.starts_with(b"/"))
        }
    }
}
