//! `onewriter shims`: links to the client, under the names of the tools that it stands in for.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use onewriter_proto::v1::{Symlink, mutation::Kind};
use onewriter_tree::{Error, Reason};

use super::VERBOSE;
use crate::{
    command::{Given, JSON, Opt, Verb},
    context::Context,
    failure::Failure,
    place::Place,
    server::Server,
    shims::TOOLS,
};

pub(super) const VERB: Verb = Verb {
    name: "shims",
    about: "Fill DIR with links by which mkdir, cp, install and others go through the daemon",
    details: "\
With DIR first on PATH, or MKDIR_P='DIR/mkdir -p', INSTALL=DIR/install and the like for a configure
script, these tools keep their command lines and messages: mkdir, install, cp, mv, ln, rm, rmdir,
touch, mkinstalldirs. Inside of a build root, and with options that it knows exactly, the client has
the daemon do it; all else is done by the tool that PATH finds behind the links.

Where something else has one of these names in DIR already, nothing is done.",
    operands: "DIR",
    count: (1, 1),
    options: &[VERBOSE],
    common: &[JSON] as &[Opt],
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let target = super::this_program()?.into_os_string().into_vec();
    let everything = || Place::everything().map(Server::Root);
    let dir = std::path::absolute(&given.operands[0])
        .map_err(|e| Failure::Io(format!("'{}': {e}", given.operands[0].display())))?;
    // Inside of a build root it is the daemon's business, like everything there.
    let inside = context.server().ok().filter(|server| server.path(dir.as_os_str()).is_ok());
    let server = inside.map_or_else(everything, Ok)?;
    let link = |tool: &str| {
        let replace = is_ours(&dir.join(tool), &target)?;
        let path = server.path(dir.join(tool).as_os_str())?;
        Ok(Kind::Symlink(Symlink { path, target: target.clone(), replace, parents: true }))
    };
    let kinds = TOOLS.into_iter().map(link).collect::<Result<Vec<_>, Failure>>()?;
    let done = match &server {
        Server::Root(place) if place.is_everything() => context.apply_directly(&server, kinds)?,
        _ => context.apply(&server, kinds)?,
    };
    context.tell(&done, given.has("verbose"))
}

/// Whether a link to this program, or to one that had its name, is at `path`; `false` if nothing is.
fn is_ours(path: &Path, program: &[u8]) -> Result<bool, Failure> {
    let named = Path::new(OsStr::from_bytes(program)).file_name();
    match std::fs::read_link(path) {
        Ok(target) if target.file_name() == named => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Ok(_) | Err(_) => {
            let why = "is not one of these links: remove it, or name another DIR";
            Err(Error::new(Reason::Exists, path.as_os_str().as_bytes(), why).into())
        }
    }
}
