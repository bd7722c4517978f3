//! Where `cp`, `install`, `mv` and `ln` put things: at a name, or under their own names in a
//! directory.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use onewriter_proto::v1::FileKind;

use super::{spelling, stat};
use crate::{
    command::{Given, Opt},
    context::Context,
    failure::Failure,
    server::Server,
};

/// The options of a verb that has a destination: its own, and those that all such have.
macro_rules! options {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::verbs::destination::INTO,
            $crate::verbs::destination::EXACTLY,
            $crate::verbs::VERBOSE,
        ]
    };
}
pub(super) use options;

/// `-t`.
pub(super) const INTO: Opt = Opt::value('t', "target-directory", "DIR", "Put all into DIR");

/// `-T`.
pub(super) const EXACTLY: Opt =
    Opt::flag('T', "no-target-directory", "DST is the very name, even if a directory is there");

/// Each source with its destination.
pub(super) fn pairs<'g>(
    given: &'g Given,
    context: &mut Context,
    server: &Server,
) -> Result<Vec<(&'g OsStr, OsString)>, Failure> {
    let operands = &given.operands;
    let (sources, dir) = match given.value("target-directory") {
        Some(dir) => (&operands[..], dir.to_owned()),
        None => {
            let (last, sources) = operands.split_last().ok_or_else(missing)?;
            let into = !given.has("no-target-directory") && is_directory(last, context, server)?;
            if sources.is_empty() {
                return Err(missing());
            }
            if !into && sources.len() > 1 {
                return Err(Failure::Usage(format!("'{}' is not a directory", last.display())));
            }
            if !into {
                return Ok(vec![(&sources[0], last.clone())]);
            }
            (sources, last.clone())
        }
    };
    let all_of_it = given.has("recursive") || given.has("RECURSIVE");
    let to = |source: &OsStr| under(&dir, source, all_of_it);
    sources.iter().map(|source| Ok((source.as_os_str(), to(source)?))).collect()
}

fn missing() -> Failure {
    Failure::Usage("a source and a destination are needed".into())
}

/// Whether `path` leads to a directory now, where the destinations are.
fn is_directory(path: &OsStr, context: &mut Context, server: &Server) -> Result<bool, Failure> {
    if path.as_bytes().ends_with(b"/") {
        return Ok(true);
    }
    match server {
        Server::Root(_) => Ok(Path::new(path).is_dir()),
        Server::Unix(_) | Server::Remote(_) => {
            let stats = stat::ask(context, server, vec![server.path(path)?], true)?;
            Ok(stats.iter().any(|stat| stat.kind() == FileKind::Directory))
        }
    }
}

/// `all_of_it`: what is in a source that ends in `.` goes into `dir` itself, as with cp -r.
fn under(dir: &OsStr, source: &OsStr, all_of_it: bool) -> Result<OsString, Failure> {
    let name = match spelling::last_name(source) {
        b"." if all_of_it => return Ok(dir.to_owned()),
        b"." => None,
        _ => Path::new(source).file_name(),
    };
    let name = name
        .ok_or_else(|| Failure::Usage(format!("'{}' has no name of its own", source.display())))?;
    Ok(Path::new(dir).join(name).into_os_string())
}
