//! `onewriter publish SRC... --to DIR` at a daemon that opens none of this machine's files.
//!
//! What the transaction is to hold is known: no copy of the root is needed.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use onewriter_proto::v1::{FileKind, RemoteFile};
use onewriter_tree::{RelPath, transaction::Seen};

use super::{
    publish_group::{self, Pair},
    stat,
};
use crate::{
    command::Given,
    context::Context,
    failure::Failure,
    process::{Ended, Ending, Tick},
    server::Server,
    worker::{self, Cargo, Loaded, Manifest},
};

/// `dir`, and the mode that was asked for.
pub(super) fn run(
    given: &Given,
    context: &mut Context,
    server: &Server,
    (dir, mode): (&OsStr, Option<u32>),
) -> Result<(), Failure> {
    let found = stat::ask(context, server, vec![server.path(dir)?], true)?;
    let found = found.first().cloned().unwrap_or_default();
    // Where it really is, as far as it is there.
    let dir = RelPath::parse(&found.path)?;
    if !given.has("parents") {
        let is_there = found.kind() != FileKind::Unspecified;
        let is_directory = found.kind() == FileKind::Directory;
        publish_group::must_be_directory(&dir, is_there.then_some(is_directory))?;
    }
    let pairs = publish_group::pairs(&given.operands, &dir)?;
    let wish = publish_group::wish(given, context, &pairs)?;
    let (umask, must_create) = (context.umask(), given.has("new"));
    let going = publish_group::going(given, context, server, &pairs)?;
    let mut files = Files { server, dir, pairs, mode, umask, must_create };
    let (_, committed) = worker::transact(context, server, &wish, "", &mut files)?;
    publish_group::done(given, context, &going, committed)
}

/// Files that appear together.
struct Files<'a> {
    server: &'a Server,
    dir: RelPath,
    pairs: Vec<Pair<'a>>,
    mode: Option<u32>,
    umask: u32,
    must_create: bool,
}

impl Cargo for Files<'_> {
    fn load(
        &mut self,
        context: &mut Context,
        _conflicts: &[Vec<u8>],
        _tick: Tick<'_>,
    ) -> Result<Loaded, Failure> {
        if self.must_create {
            self.refuse_what_exists(context)?;
        }
        let mut manifest = Manifest::default();
        let mut way: Vec<_> =
            std::iter::successors(Some(self.dir.clone()), RelPath::parent).collect();
        way.reverse();
        for directory in way.iter().filter(|directory| !directory.is_root()) {
            manifest.way(directory.as_bytes(), 0o777 & !self.umask);
        }
        for pair in &self.pairs {
            let seen = self.must_create.then_some(&Seen::Nothing);
            let file = self.described(pair)?;
            manifest.file(pair.to.as_bytes(), file, PathBuf::from(pair.source), seen);
        }
        let ended = Ended { ending: Ending::Exit(0), background: false };
        Ok(Loaded::Ready(manifest, ended))
    }

    fn is_fresh(&self) -> bool {
        true
    }

    fn landed(&mut self, _ended: Ended) -> Result<(), Failure> {
        Ok(())
    }

    fn keep(&mut self) -> Result<PathBuf, Failure> {
        Err(Failure::Io("the files are where they were".into()))
    }
}

impl Files<'_> {
    fn refuse_what_exists(&self, context: &mut Context) -> Result<(), Failure> {
        let paths: Vec<_> = self.pairs.iter().map(|pair| pair.to.as_bytes().to_vec()).collect();
        let found = stat::ask(context, self.server, paths, false)?;
        let mut found = self.pairs.iter().zip(found);
        match found.find(|(_, found)| found.kind() != FileKind::Unspecified) {
            Some((pair, _)) => Err(pair.exists()),
            None => Ok(()),
        }
    }

    fn described(&self, pair: &Pair<'_>) -> Result<RemoteFile, Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let source = Path::new(pair.source);
        let unreadable = |e| Failure::Io(format!("'{}' cannot be read: {e}", source.display()));
        let found = source.metadata().map_err(unreadable)?;
        if !found.is_file() {
            return Err(pair.no_file());
        }
        let own = found.permissions().mode() & 0o777 & !self.umask;
        let (mode, yields) = (self.mode.unwrap_or(own), self.mode.is_none());
        Ok(RemoteFile { mode, yields, ..worker::digest(source)? })
    }
}
