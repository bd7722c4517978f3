//! `onewriter ln`: makes links.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use onewriter_proto::v1::{FileKind, HardLink, Symlink, mutation::Kind};

use super::{MANY, destination, spelling, stat};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "ln",
    about: "Make hard links, or symbolic ones (-s)",
    details: "\
As ln(1). With -f, what stands at the name is replaced in one step, and a symbolic link that says
the same already is left alone.",
    operands: "TARGET... LINK",
    count: (1, MANY),
    options: destination::options![
        Opt::flag('s', "symbolic", "Make symbolic links"),
        Opt::flag('f', "force", "Replace what is at the name, unless it is a directory"),
        Opt::flag('n', "no-dereference", "LINK is the very name if it is a link to a directory"),
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let replace = given.has("force");
    let mut kinds = Vec::new();
    for (target, path) in pairs(given, context, &server)? {
        let path = server.path(&path)?;
        kinds.push(if given.has("symbolic") {
            Kind::Symlink(Symlink {
                path,
                target: target.as_bytes().to_vec(),
                replace,
                parents: false,
            })
        } else {
            spelling::check_file(&server, target)?;
            Kind::HardLink(HardLink { source: server.path(target)?, path, replace, parents: false })
        });
    }
    context.mutate(&server, kinds, given.has("verbose"))
}

fn pairs<'g>(
    given: &'g Given,
    context: &mut Context,
    server: &Server,
) -> Result<Vec<(&'g OsStr, OsString)>, Failure> {
    match &given.operands[..] {
        // ln TARGET: a link of that name, here.
        [target] if given.value("target-directory").is_none() => {
            let name = Path::new(target).file_name();
            let name = name.ok_or_else(|| {
                Failure::Usage(format!("'{}' has no name of its own", target.display()))
            })?;
            Ok(vec![(target, name.to_owned())])
        }
        [target, link] if given.has("no-dereference") && is_symlink(link, context, server)? => {
            Ok(vec![(target, link.clone())])
        }
        _ => destination::pairs(given, context, server),
    }
}

fn is_symlink(link: &OsStr, context: &mut Context, server: &Server) -> Result<bool, Failure> {
    match server {
        Server::Root(_) => Ok(Path::new(link).is_symlink()),
        Server::Unix(_) | Server::Remote(_) => {
            let stats = stat::ask(context, server, vec![server.path(link)?], false)?;
            Ok(stats.iter().any(|stat| stat.kind() == FileKind::Symlink))
        }
    }
}
