//! `onewriter touch`: sets times.

use std::{ffi::OsStr, path::Path};

use onewriter_proto::v1::{Time, Touch, mutation::Kind};

use super::{MANY, VERBOSE, cp, spelling};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "touch",
    about: "Set modification and access time to now, making empty files where there are none",
    details: "As touch(1). Symbolic links are followed, inside the root.",
    operands: "FILE...",
    count: (1, MANY),
    options: &[
        Opt::flag('c', "no-create", "Make no files"),
        Opt::flag('a', "access", "Only the access time"),
        Opt::flag('m', "modification", "Only the modification time"),
        Opt::value('r', "reference", "FILE", "The modification time of FILE instead of now"),
        Opt::value(
            'd',
            "date",
            "@SECONDS",
            "So many seconds since 1970 instead of now, as in @1700000000.5",
        ),
        VERBOSE,
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let time = match (given.value("reference"), given.text("date")?) {
        (Some(_), Some(_)) => {
            return Err(Failure::Usage("--reference and --date exclude each other".into()));
        }
        (Some(file), None) => Some(time_of(file)?),
        (None, Some(text)) => Some(seconds(text)?),
        (None, None) => None,
    };
    given.operands.iter().try_for_each(|path| spelling::check_directory(&server, path))?;
    let (access, modification) = (given.has("access"), given.has("modification"));
    let touch = Touch {
        paths: server.paths(&given.operands)?,
        no_create: given.has("no-create"),
        atime: time,
        mtime: time,
        omit_atime: modification && !access,
        omit_mtime: access && !modification,
    };
    context.mutate(&server, vec![Kind::Touch(touch)], given.has("verbose"))
}

fn time_of(file: &OsStr) -> Result<Time, Failure> {
    let found = std::fs::metadata(Path::new(file));
    let found =
        found.map_err(|e| Failure::Io(format!("'{}' cannot be read: {e}", file.display())))?;
    Ok(cp::mtime(&found))
}

fn seconds(text: &str) -> Result<Time, Failure> {
    let refuse = || Failure::Usage(format!("--date takes @ and seconds since 1970, not '{text}'"));
    let number = text.strip_prefix('@').ok_or_else(refuse)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let seconds = whole.parse().map_err(|_| refuse())?;
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refuse());
    }
    let nanoseconds = format!("{fraction:0<9}").parse().map_err(|_| refuse())?;
    Ok(Time { seconds, nanoseconds })
}
