//! `onewriter fetch`: brings files and trees of the server's root to this machine.

use std::{ffi::OsStr, fs::File, io::Write as _, path::Path};

use onewriter_proto::v1::{
    FileKind, ListTreeRequest, ListTreeResponse, ReadFileRequest, ReadFileResponse, Stat,
    TreeEntry, read_file_response::Step,
};
use onewriter_tree::{
    RelPath, Staged, Tree,
    mutation::{
        self, Effects, MakeDirectory, ModeChange, Mutation, Publish, SetAttributes, Source, Symlink,
    },
    open_file,
    path::STATE_DIR,
};
use rustix::fs::Timespec;
use serde_json::json;

use super::MANY;
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    output::shown,
    server::Server,
    session::Session,
    worker,
};

pub(super) const VERB: Verb = Verb {
    name: "fetch",
    about: "Bring files and trees of the build root to another directory or machine",
    details: "\
Each PATH keeps its place below DIR, its mode and its modification time. Content that DIR has already
is not sent, and stays untouched. Each file appears in one step. What DIR has besides stays there.",
    operands: "PATH...",
    count: (1, MANY),
    options: &[
        Opt::value('\0', "to", "DIR", "The directory that stands for the root [default: .]"),
        Opt::flag('v', "verbose", "Say what was fetched"),
    ],
    common: COMMON,
    run,
};

/// How often a file is asked for anew that is changed while it comes.
const ATTEMPTS: usize = 4;

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    if context.is_direct() {
        return Err(Failure::Usage("without a daemon there is nobody to fetch from".into()));
    }
    let server = context.server()?;
    let paths = server.paths(&given.operands)?;
    let to = given.value("to").unwrap_or(OsStr::new("."));
    // Before the umask is set to 0, by which modes are exact.
    context.umask();
    let tree = Tree::of_directory(Path::new(to))?;
    // A command of that copy is not to take for left what is about to be published.
    let is_root = Path::new(to).join(STATE_DIR).exists();
    let _used = is_root.then(|| worker::in_use(&tree)).transpose()?;
    let mut errand = Errand::new(&tree, given.has("verbose"));
    let listed = list(context, &server, paths)?;
    let mut session = context.session(&server)?;
    for entry in listed {
        errand.bring(context, &server, &mut session, entry)?;
    }
    let Errand { fetched, bytes, kept, .. } = errand;
    if context.is_json() {
        return context.output.json(&json!({ "fetched": fetched, "bytes": bytes, "kept": kept }));
    }
    Ok(())
}

/// All that is at paths of the server's root, and below them.
pub(crate) fn list(
    context: &mut Context,
    server: &Server,
    paths: Vec<Vec<u8>>,
) -> Result<Vec<TreeEntry>, Failure> {
    let request = ListTreeRequest { context: Some(context.request(server)), paths };
    let mut session = context.session(server)?;
    session.stream_again("/onewriter.v1.Reading/ListTree", |call| {
        call.send_last(&request)?;
        let mut entries = Vec::new();
        while let Some(page) = call.recv::<ListTreeResponse>()? {
            entries.extend(page.entries);
        }
        Ok(entries)
    })
}

/// What there is to do, and what was done.
pub(crate) struct Errand<'t> {
    /// Where it all goes.
    tree: &'t Tree,
    verbose: bool,
    /// Files whose content came, and how many bytes that was; files that were there.
    fetched: u64,
    bytes: u64,
    kept: u64,
}

impl<'t> Errand<'t> {
    pub(crate) fn new(tree: &'t Tree, verbose: bool) -> Self {
        Self { tree, verbose, fetched: 0, bytes: 0, kept: 0 }
    }

    /// Brings what the server has listed, unless it is there.
    pub(crate) fn bring(
        &mut self,
        context: &mut Context,
        server: &Server,
        session: &mut Session<'_>,
        entry: TreeEntry,
    ) -> Result<(), Failure> {
        let TreeEntry { stat: Some(stat), blake3 } = entry else { return Ok(()) };
        // The server is believed only as far as its paths stay below DIR.
        let path = RelPath::parse(&stat.path)?;
        match stat.kind() {
            FileKind::Directory if path.is_root() => Ok(()),
            // Its owner has to put files into it.
            FileKind::Directory => self.change(&mut MakeDirectory {
                path,
                mode: Some(stat.mode | 0o700),
                umask: 0,
                parents: true,
                must_create: false,
            }),
            FileKind::Symlink => self.change(&mut Symlink {
                path,
                target: stat.target,
                replace: true,
                parents: true,
                umask: 0o022,
            }),
            FileKind::Regular if self.has(&path, &stat, blake3.as_deref()) => {
                self.keep(path, &stat)
            }
            FileKind::Regular => self.fetch(context, server, session, (path, stat, blake3)),
            // Devices, fifos and sockets are of their machine.
            _ => Ok(()),
        }
    }

    fn change(&self, change: &mut dyn Mutation) -> Result<(), Failure> {
        Ok(mutation::run(change, self.tree, &mut Effects::new(false))?)
    }

    /// Whether that very content is there.
    fn has(&self, path: &RelPath, stat: &Stat, blake3: Option<&[u8]>) -> bool {
        let Ok((file, found)) = open_file(self.tree, path) else { return false };
        let mut hasher = blake3::Hasher::new();
        found.path == *path
            && found.size == stat.size
            && hasher.update_reader(file).is_ok()
            && blake3 == Some(hasher.finalize().as_bytes())
    }

    fn keep(&mut self, path: RelPath, stat: &Stat) -> Result<(), Failure> {
        self.kept += 1;
        let mode = Some(ModeChange { keep: 0, set: stat.mode });
        let (uid, gid, atime, mtime) = (None, None, None, None);
        self.change(&mut SetAttributes { path, mode, uid, gid, atime, mtime })
    }

    fn fetch(
        &mut self,
        context: &mut Context,
        server: &Server,
        session: &mut Session<'_>,
        (path, mut stat, mut blake3): (RelPath, Stat, Option<Vec<u8>>),
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let (staged, found) = self.receive(context, server, session, &stat.path)?;
            if blake3.as_deref() == Some(found.as_bytes()) {
                return self.publish(context, path, &stat, staged);
            }
            // It was published anew since it was listed.
            let again = list(context, server, vec![stat.path.clone()])?.into_iter().next();
            let Some(TreeEntry { stat: Some(now), blake3: digest }) = again else { break };
            (stat, blake3) = (now, digest);
        }
        let why = format!("'{}' changed again and again while it was fetched", shown(&stat.path));
        Err(Failure::Io(why))
    }

    /// The content of a file, in staging.
    fn receive(
        &self,
        context: &mut Context,
        server: &Server,
        session: &mut Session<'_>,
        path: &[u8],
    ) -> Result<(Staged, blake3::Hash), Failure> {
        let request = ReadFileRequest {
            context: Some(context.request(server)),
            path: path.to_vec(),
            ..ReadFileRequest::default()
        };
        let fail = |e: &dyn std::fmt::Display| {
            Failure::Io(format!("'{}' cannot be written: {e}", shown(path)))
        };
        let staged = self.tree.staging().create_own().map_err(|e| fail(&e))?;
        let mut file: &File = staged.file();
        let (mut hasher, mut broken) = (blake3::Hasher::new(), None);
        session.stream("/onewriter.v1.Reading/ReadFile", |call| {
            call.send_last(&request)?;
            while let Some(answer) = call.recv::<ReadFileResponse>()? {
                if let Some(Step::Chunk(chunk)) = answer.step {
                    hasher.update(&chunk);
                    if let Err(error) = file.write_all(&chunk) {
                        broken = Some(error);
                        break;
                    }
                }
            }
            Ok(())
        })?;
        match broken {
            Some(error) => Err(fail(&error)),
            None => Ok((staged, hasher.finalize())),
        }
    }

    fn publish(
        &mut self,
        context: &mut Context,
        path: RelPath,
        stat: &Stat,
        staged: Staged,
    ) -> Result<(), Failure> {
        self.fetched += 1;
        self.bytes += stat.size;
        let mut publish = Publish::new(path, Source::Staged(staged));
        (publish.mode, publish.parents) = (Some(stat.mode), true);
        publish.mtime = stat
            .mtime
            .as_ref()
            .map(|time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() });
        self.change(&mut publish)?;
        if self.verbose && !context.is_json() {
            context.output.line(format_args!("fetched '{}'", shown(&stat.path)))?;
        }
        Ok(())
    }
}
