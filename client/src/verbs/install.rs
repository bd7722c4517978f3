//! `onewriter install`: copies files and sets their mode.

use std::path::Path;

use onewriter_proto::v1::{
    MakeDirectories, ModeChange, Outcome, Publication, SetAttributes, Unchanged, mutation::Kind,
};

use super::{
    MANY, cp, destination,
    publish::{self, UNCHANGED, unchanged},
};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    mode,
};

pub(super) const VERB: Verb = Verb {
    name: "install",
    about: "Copy files and set their mode, each in one step; or make directories (-d)",
    details: "\
As install(1), but DST is never missing or half there while it is replaced, and any number of
installers may share directories and files.",
    operands: "SRC... DST|-d DIR...",
    count: (1, MANY),
    options: destination::options![
        Opt::flag('d', "directory", "Make directories, with those on the way to them"),
        Opt::flag('D', "parents", "Make missing directories on the way to DST"),
        Opt::flag('C', "compare", "Leave a DST of the same content and mode alone"),
        Opt::flag('c', "copy", "Accepted for install's sake"),
        Opt::value('m', "mode", "MODE", "The mode [default: 755]"),
        Opt::flag('p', "preserve-timestamps", "Keep the modification time"),
        UNCHANGED,
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let mode = mode::parse(given.text("mode")?.unwrap_or("755"), 0, 0)?;
    // install(1) gives directories on the way 755, whatever the umask.
    context.assume_umask(0o022);
    let server = context.server()?;
    let verbose = given.has("verbose");
    if given.has("directory") {
        let paths = server.paths(&given.operands)?;
        let make = MakeDirectories { paths, mode: Some(mode), ..MakeDirectories::default() };
        let mut made = context.apply(&server, vec![Kind::MakeDirectories(make)])?;
        // Unlike mkdir, install sets the mode of what was there.
        let existed = made.changes.extract_if(.., |c| c.outcome() == Outcome::Existed);
        let paths: Vec<_> = existed.map(|change| change.path).collect();
        if !paths.is_empty() {
            let mode = Some(ModeChange { keep: 0, set: mode });
            let set = SetAttributes { paths, mode, ..SetAttributes::default() };
            made.changes.extend(context.apply(&server, vec![Kind::SetAttributes(set)])?.changes);
        }
        return context.tell(&made, verbose);
    }
    let default = if given.has("compare") { Unchanged::Keep } else { Unchanged::Touch };
    let unchanged = unchanged(given, default)?;
    let preserve = given.has("preserve-timestamps");
    let pairs = destination::pairs(given, context, &server)?;
    publish::all(context, &server, pairs, verbose, |path, source| {
        let mtime = match preserve {
            true => Some(std::fs::metadata(Path::new(source)).map(|found| cp::mtime(&found))),
            false => None,
        };
        let unreadable = |e| Failure::Io(format!("'{}' cannot be read: {e}", source.display()));
        Ok(Publication {
            path,
            mode: Some(mode),
            parents: given.has("parents"),
            unchanged,
            mtime: mtime.transpose().map_err(unreadable)?,
            ..Publication::default()
        })
    })
}
