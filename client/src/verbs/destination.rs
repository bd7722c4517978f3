//! Where `cp`, `install`, `mv` and `ln` put things: at a name, or under their own names in a
//! directory.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use crate::{
    command::{Given, Opt},
    failure::Failure,
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
pub(super) fn pairs(given: &Given) -> Result<Vec<(&OsStr, OsString)>, Failure> {
    let operands = &given.operands;
    let (sources, dir) = match given.value("target-directory") {
        Some(dir) => (&operands[..], dir.to_owned()),
        None => {
            let (last, sources) = operands.split_last().ok_or_else(missing)?;
            let into = !given.has("no-target-directory") && is_directory(last);
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
    sources.iter().map(|source| Ok((source.as_os_str(), under(&dir, source)?))).collect()
}

fn missing() -> Failure {
    Failure::Usage("a source and a destination are needed".into())
}

/// Where `path` leads to a directory now.
fn is_directory(path: &OsStr) -> bool {
    path.as_bytes().ends_with(b"/") || Path::new(path).is_dir()
}

fn under(dir: &OsStr, source: &OsStr) -> Result<OsString, Failure> {
    let name = Path::new(source).file_name();
    let name = name
        .ok_or_else(|| Failure::Usage(format!("'{}' has no name of its own", source.display())))?;
    Ok(Path::new(dir).join(name).into_os_string())
}
