//! `onewriter publish SRC... --to DIR`: several files that belong together appear together.
//!
//! It is a transaction without a sandbox: what it is to hold is known, and put there directly.

use std::{
    ffi::{OsStr, OsString},
    fs::{OpenOptions, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use onewriter_proto::v1::{MutationResponse, TransactionCommit, Unchanged};
use onewriter_tree::{Error, FileKind, Last, Reason, RelPath, Tree, path::STATE_DIR, stat};

use super::{publish, publish_afar, run};
use crate::{
    command::Given,
    context::Context,
    failure::Failure,
    leased::millis,
    mode,
    process::{Ended, Ending, Tick},
    server::Server,
    transaction::{Committed, Filling, RETRIES, Wish, transact},
    upload,
};

/// A file and where it goes.
pub(super) struct Pair<'g> {
    pub(super) source: &'g OsStr,
    pub(super) to: RelPath,
}

impl Pair<'_> {
    pub(super) fn no_file(&self) -> Failure {
        let (to, source) = (self.to.as_bytes(), self.source.as_bytes());
        Error::new(Reason::Source, to, "is not a regular file").at(source).into()
    }

    pub(super) fn exists(&self) -> Failure {
        Error::new(Reason::Exists, self.to.as_bytes(), "it exists already").into()
    }
}

pub(super) fn run(given: &Given, context: &mut Context, dir: &OsStr) -> Result<(), Failure> {
    let server = context.server()?;
    if context.is_direct() {
        return one_by_one(given, context, &server, dir);
    }
    let umask = context.umask();
    let mode = given.text("mode")?.map(|text| mode::parse(text, 0, umask)).transpose()?;
    let Server::Root(place) = &server else {
        return publish_afar::run(given, context, &server, (dir, mode));
    };
    let tree = context.open_tree(&server, b".")?;
    let dir = tree.canonicalize(&RelPath::parse(&server.path(dir)?)?, Last::Follow)?;
    if !given.has("parents") {
        check_directory(&tree, &dir)?;
    }
    let pairs = pairs(&given.operands, &dir)?;
    let wish = wish(given, context, &pairs)?;
    let staging = place.root().join(STATE_DIR).join("staging");
    let (root, must_create) = (place.root(), given.has("new"));
    let going = going(given, context, &server, &pairs)?;
    let mut group = Group { pairs, mode, umask, must_create, tree, root, staging };
    let (_, committed) = transact(context, &server, &wish, &mut group)?;
    done(given, context, &going, committed)
}

/// The sources that are to be removed when all are published.
pub(super) fn going<'g>(
    given: &Given,
    context: &mut Context,
    server: &Server,
    pairs: &[Pair<'g>],
) -> Result<Vec<&'g OsStr>, Failure> {
    if !given.has("move") {
        return Ok(Vec::new());
    }
    let pairs: Vec<_> = pairs.iter().map(|pair| (pair.source, pair.to.as_bytes())).collect();
    upload::not_there_already(context, server, &pairs)
}

/// What comes after the commit.
pub(super) fn done(
    given: &Given,
    context: &mut Context,
    going: &[&OsStr],
    committed: Option<Committed>,
) -> Result<(), Failure> {
    going.iter().try_for_each(|source| upload::remove_source(source))?;
    let changes = committed.map(|committed| committed.changes).unwrap_or_default();
    context.tell(&MutationResponse { changes }, given.has("verbose"))
}

/// Inside of a transaction, or where nobody keeps one.
fn one_by_one(
    given: &Given,
    context: &mut Context,
    server: &Server,
    dir: &OsStr,
) -> Result<(), Failure> {
    let to = |source: &OsStr| name_of(source).map(|name| Path::new(dir).join(name));
    for source in &given.operands {
        let operands = vec![source.clone(), to(source)?.into_os_string()];
        publish::one(given, &operands, context, server)?;
    }
    Ok(())
}

pub(super) fn wish(given: &Given, context: &Context, pairs: &[Pair<'_>]) -> Result<Wish, Failure> {
    let wait = context.timeout()?;
    let names: Vec<_> = pairs.iter().map(|pair| pair.to.to_string()).collect();
    Ok(Wish {
        verb: "publish",
        line: format!("publish {}", names.join(" ")),
        retries: given.number("retries")?.unwrap_or(RETRIES),
        keep_failed: false,
        verbose: false,
        wait,
        commit: TransactionCommit {
            unchanged: publish::unchanged(given, Unchanged::Keep)?,
            on_conflict: run::on_conflict(given)?.into(),
            report: true,
            wait_ms: millis(wait),
            ..TransactionCommit::default()
        },
    })
}

fn name_of(source: &OsStr) -> Result<&OsStr, Failure> {
    let no_name = || Failure::Usage(format!("'{}' has no name of its own", source.display()));
    Path::new(source).file_name().ok_or_else(no_name)
}

pub(super) fn pairs<'g>(sources: &'g [OsString], dir: &RelPath) -> Result<Vec<Pair<'g>>, Failure> {
    let mut pairs: Vec<Pair<'g>> = Vec::new();
    for source in sources {
        let to = dir.child(name_of(source)?.as_bytes())?;
        if pairs.iter().any(|pair| pair.to == to) {
            return Err(Failure::Usage(format!("two of the files would be '{to}'")));
        }
        pairs.push(Pair { source, to });
    }
    Ok(pairs)
}

fn check_directory(tree: &Tree, dir: &RelPath) -> Result<(), Failure> {
    let found = stat(tree, dir, Last::Keep)?.1;
    must_be_directory(dir, found.map(|found| found.kind == FileKind::Directory))
}

/// `found`: whether what is there is a directory; `None` if nothing is.
pub(super) fn must_be_directory(dir: &RelPath, found: Option<bool>) -> Result<(), Failure> {
    let refuse = |reason, what: &str| Err(Error::new(reason, dir.as_bytes(), what).into());
    match found {
        Some(true) => Ok(()),
        Some(false) => refuse(Reason::NotADirectory, "is not a directory"),
        None => refuse(Reason::NotFound, "does not exist"),
    }
}

/// Files that appear together.
struct Group<'g> {
    pairs: Vec<Pair<'g>>,
    mode: Option<u32>,
    umask: u32,
    must_create: bool,
    tree: Tree,
    root: &'g Path,
    staging: PathBuf,
}

impl Filling for Group<'_> {
    fn fill(&mut self, name: &str, _: Option<Tick<'_>>) -> Result<Ended, Failure> {
        let upper = self.staging.join(name).join("upper");
        for pair in &self.pairs {
            run::make_way(self.root, &upper, Path::new(OsStr::from_bytes(pair.to.as_bytes())))?;
            self.copy(pair, &upper)?;
        }
        Ok(Ended { ending: Ending::Exit(0), background: false })
    }
}

impl Group<'_> {
    fn copy(&self, pair: &Pair<'_>, upper: &Path) -> Result<(), Failure> {
        let unreadable = |e: std::io::Error| {
            Failure::Io(format!("'{}' cannot be read: {e}", pair.source.display()))
        };
        let unwritable = |e| Failure::Io(format!("'{}' cannot be put into staging: {e}", pair.to));
        let mut source =
            upload::open_source(pair.source).map_err(|errno| unreadable(errno.into()))?;
        let found = source.metadata().map_err(unreadable)?;
        if !found.is_file() {
            return Err(pair.no_file());
        }
        let mode = self.mode_at(pair, found.permissions().mode())?;
        let to = upper.join(OsStr::from_bytes(pair.to.as_bytes()));
        let mut options = OpenOptions::new();
        let mut copy =
            options.write(true).create_new(true).mode(0o600).open(to).map_err(unwritable)?;
        std::io::copy(&mut source, &mut copy).map_err(unwritable)?;
        copy.set_permissions(Permissions::from_mode(mode)).map_err(unwritable)
    }

    /// The mode that the file gets: as for one that is published by itself.
    fn mode_at(&self, pair: &Pair<'_>, source: u32) -> Result<u32, Failure> {
        let there = stat(&self.tree, &pair.to, Last::Keep)?.1;
        if there.is_some() && self.must_create {
            return Err(pair.exists());
        }
        let own = there.filter(|found| found.kind == FileKind::RegularFile);
        let own = own.map(|found| found.mode & 0o777);
        Ok(self.mode.or(own).unwrap_or(source & 0o777 & !self.umask))
    }
}
