//! `onewriter cp`: copies files and trees.

use std::{
    ffi::{OsStr, OsString},
    fs::Metadata,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt as _,
    },
    path::Path,
};

use onewriter_proto::v1::{
    MakeDirectories, ModeChange, MutationResponse, Publication, SetAttributes, Symlink, Time,
    Unchanged, mutation::Kind,
};
use onewriter_tree::{Error, Reason};

use super::{
    MANY, destination,
    publish::{self, UNCHANGED, unchanged},
};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "cp",
    about: "Copy files and trees, each file in one step",
    details: "\
As cp(1), but nobody sees half a file. A destination that has the content already keeps its inode
and gets a new modification time, as make expects of cp (--unchanged=keep leaves it alone). A
symbolic link as destination is written through, inside the root.",
    operands: "SRC... DST",
    count: (1, MANY),
    options: destination::options![
        Opt::flag('r', "recursive", "Copy directories with everything in them; links as links"),
        Opt::flag('R', "RECURSIVE", "The same as -r"),
        Opt::flag('p', "preserve", "Keep mode and modification time"),
        Opt::flag('f', "force", "Accepted for cp's sake: a destination is replaced anyway"),
        UNCHANGED,
    ],
    common: COMMON,
    run,
};

/// Mutations that go to the daemon in one call.
const BATCH: usize = 500;

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let copy = Copy {
        server: &server,
        umask: context.umask(),
        preserve: given.has("preserve"),
        unchanged: unchanged(given, Unchanged::Touch)?,
    };
    let pairs = destination::pairs(given, context, &server)?;
    let verbose = given.has("verbose");
    if !given.has("recursive") && !given.has("RECURSIVE") {
        return publish::all(context, &server, pairs, verbose, |path, source| {
            copy.publication(path, source)
        });
    }
    let (mut waiting, mut done) = (Vec::new(), MutationResponse::default());
    for (source, path) in pairs {
        copy.refuse_into_itself(Path::new(source), Path::new(&path))?;
        copy.tree(Path::new(source), Path::new(&path), &mut |kind| {
            waiting.push(kind);
            if waiting.len() == BATCH {
                done.changes.extend(context.apply(&server, std::mem::take(&mut waiting))?.changes);
            }
            Ok(())
        })?;
    }
    if !waiting.is_empty() {
        done.changes.extend(context.apply(&server, waiting)?.changes);
    }
    context.tell(&done, verbose)
}

/// What a directory's owner needs to fill it.
const FILLABLE: u32 = 0o300;

struct Copy<'a> {
    server: &'a Server,
    umask: u32,
    preserve: bool,
    unchanged: i32,
}

impl Copy<'_> {
    fn publication(&self, path: Vec<u8>, source: &OsStr) -> Result<Publication, Failure> {
        let kept = if self.preserve { Some(look(Path::new(source), true)?) } else { None };
        Ok(Publication {
            path,
            mode: kept.as_ref().map(|m| m.mode() & 0o7777),
            mtime: kept.as_ref().map(mtime),
            unchanged: self.unchanged,
            follow: true,
            ..Publication::default()
        })
    }

    /// A copy that lies in its own source would never end.
    fn refuse_into_itself(&self, source: &Path, path: &Path) -> Result<(), Failure> {
        let (Server::Root(_), true) = (self.server, look(source, false)?.is_dir()) else {
            return Ok(());
        };
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let named = path.ancestors().filter(|path| !path.as_os_str().is_empty());
        let existing = named.chain([Path::new(".")]).find_map(real);
        match (real(source), existing) {
            (Some(source), Some(existing)) if existing.starts_with(&source) => {}
            _ => return Ok(()),
        }
        let what = format!("'{}' lies in the directory that is to be copied", path.display());
        Err(Error::new(Reason::Source, source.as_os_str().as_bytes(), what).into())
    }

    fn tree(
        &self,
        source: &Path,
        path: &Path,
        take: &mut impl FnMut(Kind) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let found = look(source, false)?;
        let to = self.server.path(path.as_os_str())?;
        if found.is_symlink() {
            let target = std::fs::read_link(source).map_err(|e| unreadable(source, &e))?;
            let target = target.into_os_string().into_vec();
            return take(Kind::Symlink(Symlink {
                path: to,
                target,
                replace: true,
                parents: false,
            }));
        }
        if !found.is_dir() {
            let publication =
                Publication { follow: false, ..self.publication(to, source.as_os_str())? };
            return take(Kind::PublishLocal(publish::local(
                self.server,
                publication,
                source.as_os_str(),
                false,
            )?));
        }
        let mode = match self.preserve {
            true => found.mode() & 0o7777,
            false => found.mode() & 0o777 & !self.umask,
        };
        // A directory that is there keeps its mode.
        let keeps_mode = !self.preserve
            && (mode | FILLABLE == mode || matches!(self.server, Server::Root(_)) && path.is_dir());
        take(Kind::MakeDirectories(MakeDirectories {
            paths: vec![to.clone()],
            mode: Some(mode | FILLABLE),
            ..MakeDirectories::default()
        }))?;
        let mut names: Vec<OsString> = std::fs::read_dir(source)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
            .map_err(|e| unreadable(source, &e))?;
        names.sort();
        names
            .into_iter()
            .try_for_each(|name| self.tree(&source.join(&name), &path.join(&name), take))?;
        if keeps_mode {
            return Ok(());
        }
        take(Kind::SetAttributes(SetAttributes {
            paths: vec![to],
            mode: Some(ModeChange { keep: 0, set: mode }),
            mtime: self.preserve.then(|| mtime(&found)),
            ..SetAttributes::default()
        }))
    }
}

fn look(path: &Path, follow: bool) -> Result<Metadata, Failure> {
    let found = if follow { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
    found.map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Io(format!("'{}' cannot be read: {error}", path.display()))
}

/// The modification time of a file.
pub(super) fn mtime(found: &Metadata) -> Time {
    Time { seconds: found.mtime(), nanoseconds: found.mtime_nsec().try_into().unwrap_or(0) }
}
