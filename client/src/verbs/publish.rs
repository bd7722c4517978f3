//! `onewriter publish`: puts a complete file at a path in one step.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::IsTerminal as _,
    os::{
        fd::AsFd as _,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
};

use onewriter_proto::v1::{Publication, PublishLocal, PublishStaged, Unchanged, mutation::Kind};
use onewriter_tree::{Error, Reason, Tree};
use rustix::{fs::FileType, io::Errno};

use super::{MANY, publish_group, run};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    mode,
    server::Server,
    upload,
};

pub(super) const VERB: Verb = Verb {
    name: "publish",
    about: "Put a complete file at a path in one step",
    details: "\
publish SRC DST publishes a file, publish DST what comes on standard input, and
publish SRC... --to DIR files that belong together, as a parser's .c and .h: under their own names,
all at once or none.

Readers of DST see the whole old file or the whole new one. Where DST has the content already, it
is left alone: same inode, same modification time, so that nothing is rebuilt for it.

With standard input, what arrived when the pipe was closed is published, also when the program at
its other end failed: a shell does not tell. Use a file where that matters.",
    operands: "[SRC] DST|SRC... --to DIR",
    count: (1, MANY),
    options: &[
        Opt::flag('\0', "move", "Use SRC up: rename it into place where that is possible"),
        Opt::value('m', "mode", "MODE", "The mode [default: DST's own, else SRC's less the umask]"),
        Opt::flag('p', "parents", "Make missing directories on the way to DST"),
        UNCHANGED,
        Opt::flag('\0', "new", "Fail where DST exists"),
        Opt::value('\0', "to", "DIR", "Publish all into DIR, together or not at all"),
        run::ON_CONFLICT,
        run::RETRIES,
        Opt::flag('v', "verbose", "Say what was done"),
    ],
    common: COMMON,
    run,
};

/// `--unchanged`, of all that publish.
pub(super) const UNCHANGED: Opt = Opt::value(
    '\0',
    "unchanged",
    "HOW",
    "What to do where the content is there already: keep (leave it alone), touch (new modification time), replace",
);

/// What `--unchanged` says.
pub(super) fn unchanged(given: &Given, default: Unchanged) -> Result<i32, Failure> {
    Ok(match given.text("unchanged")? {
        None => default,
        Some("keep") => Unchanged::Keep,
        Some("touch") => Unchanged::Touch,
        Some("replace") => Unchanged::Replace,
        Some(other) => {
            return Err(Failure::Usage(format!(
                "--unchanged is keep, touch or replace, not '{other}'"
            )));
        }
    }
    .into())
}

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    if let Some(dir) = given.value("to") {
        return publish_group::run(given, context, dir);
    }
    if let Some(option) = ["on-conflict", "retries"].iter().find(|option| given.has(option)) {
        return Err(Failure::Usage(format!("--{option} is for several files: --to DIR")));
    }
    let server = context.server()?;
    one(given, &given.operands, context, &server)
}

/// Publishes one file, or standard input.
pub(super) fn one(
    given: &Given,
    operands: &[OsString],
    context: &mut Context,
    server: &Server,
) -> Result<(), Failure> {
    let (source, path) = match operands {
        [path] => (None, path),
        [source, path] => (Some(source), path),
        _ => {
            return Err(Failure::Usage(
                "one SRC and one DST are needed; several files need --to DIR".into(),
            ));
        }
    };
    let mode = match given.text("mode")? {
        Some(text) => Some(mode::parse(text, 0, context.umask())?),
        None => None,
    };
    let to = Publication {
        path: server.path(path)?,
        mode,
        parents: given.has("parents"),
        unchanged: unchanged(given, Unchanged::Keep)?,
        must_create: given.has("new"),
        ..Publication::default()
    };
    match source {
        Some(source) => file(context, server, to, source, given.has("move"), given.has("verbose")),
        None if given.has("move") => Err(Failure::Usage("--move needs a SRC".into())),
        None if stdin_is_null() => Err(Failure::Usage(
            "standard input is /dev/null: name a SRC, or pipe something in, be it empty".into(),
        )),
        None => standard_input(context, server, to, given.has("verbose")),
    }
}

/// Whether nobody gave a standard input: nobody means to publish nothing then.
fn stdin_is_null() -> bool {
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::fstat(rustix::stdio::stdin()).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == null
    })
}

fn file(
    context: &mut Context,
    server: &Server,
    to: Publication,
    source: &OsStr,
    consume: bool,
    verbose: bool,
) -> Result<(), Failure> {
    let publish = local(server, to.clone(), source, consume)?;
    match context.mutate(server, vec![Kind::PublishLocal(publish)], verbose) {
        // A daemon of somebody else: it may not open our files, so it gets the content.
        Err(Failure::Refused { reason: Some(Reason::NotLocal), .. }) => {
            let upload = if consume { upload::used_up } else { upload::file };
            let done = upload(context, server, &to, source)?;
            context.tell(&done, verbose)
        }
        done => done,
    }
}

/// The mutation that publishes a file of this machine.
pub(super) fn local(
    server: &Server,
    to: Publication,
    source: &OsStr,
    consume: bool,
) -> Result<PublishLocal, Failure> {
    if let Server::Root(place) = server
        && consume
    {
        place.check_movable(source)?;
    }
    Ok(PublishLocal { to: Some(to), source: absolute(server, source)?, consume })
}

/// A file of this machine by its absolute path; one in the tree by its place in it.
fn absolute(server: &Server, path: &OsStr) -> Result<Vec<u8>, Failure> {
    if path.is_empty() {
        return Err(Failure::Usage("the source's name is empty".into()));
    }
    if let Server::Root(place) = server
        && let Ok(below) = place.relative(path)
    {
        return Ok(place.root().join(OsStr::from_bytes(&below)).into_os_string().into_vec());
    }
    let absolute = std::path::absolute(path).map_err(|e| unreadable(path, &e))?;
    Ok(absolute.into_os_string().into_vec())
}

fn unreadable(source: &OsStr, error: &std::io::Error) -> Failure {
    Failure::Io(format!("'{}' cannot be read: {error}", source.display()))
}

fn standard_input(
    context: &mut Context,
    server: &Server,
    to: Publication,
    verbose: bool,
) -> Result<(), Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Err(Failure::Usage(
            "the content is expected on standard input, which is a terminal".into(),
        ));
    }
    let input = input.as_fd().try_clone_to_owned().map(File::from);
    let input = input.map_err(|e| unreadable(OsStr::new("standard input"), &e))?;
    match server {
        Server::Root(_) => {}
        Server::Unix(_) => {
            let done = upload::pipe(context, server, &to, input)?;
            return context.tell(&done, verbose);
        }
        Server::Remote(_) => {
            let done = upload::spooled(context, server, &to, input)?;
            return context.tell(&done, verbose);
        }
    }
    let tree = context.open_tree(server, &to.path)?;
    let staged = Waiting::write(&tree, input)?;
    let publish = PublishStaged { to: Some(to.clone()), name: staged.name.clone().into_bytes() };
    match context.mutate(server, vec![Kind::PublishStaged(publish)], verbose) {
        // A daemon of somebody else, as for root: it takes content, not files.
        Err(Failure::Refused { reason: Some(Reason::NotLocal), .. }) => {
            let content = staged.file.try_clone();
            let content = content.map_err(|e| unreadable(OsStr::new("standard input"), &e))?;
            let done = upload::content(context, server, &to, content, None)?;
            context.tell(&done, verbose)
        }
        done => {
            done?;
            staged.published();
            Ok(())
        }
    }
}

/// Content that this client wrote into staging. It is locked, so that a daemon that starts at this
/// moment does not take it for a leftover; dropped before it was published, it is removed.
struct Waiting<'t> {
    tree: &'t Tree,
    name: String,
    published: bool,
    file: File,
}

/// Where it is, for people to read.
const STAGING: &[u8] = b".onewriter/staging";

impl<'t> Waiting<'t> {
    fn write(tree: &'t Tree, mut input: File) -> Result<Self, Failure> {
        let refuse = |errno| Error::io(STAGING, "cannot put the content into staging", errno);
        let fail = |e: std::io::Error| match Errno::from_io_error(&e) {
            Some(errno) => Failure::from(refuse(errno)),
            None => Failure::Io(format!("the content cannot be put into staging: {e}")),
        };
        let staged = tree.staging().create_for_others().map_err(refuse)?;
        let mut file = staged.file().try_clone().map_err(fail)?;
        std::io::copy(&mut input, &mut file).map_err(fail)?;
        let name = staged.leave().unwrap_or_default();
        Ok(Self { tree, name, published: false, file })
    }

    fn published(mut self) {
        self.published = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.published {
            let _ = self.tree.staging().delete(self.name.as_bytes());
        }
    }
}

/// Sources and destinations, published in one call.
pub(super) fn all(
    context: &mut Context,
    server: &Server,
    pairs: Vec<(&OsStr, OsString)>,
    verbose: bool,
    to: impl Fn(Vec<u8>, &OsStr) -> Result<Publication, Failure>,
) -> Result<(), Failure> {
    let kind = |(source, path): (&OsStr, OsString)| {
        let publication = to(server.path(&path)?, source)?;
        local(server, publication, source, false).map(Kind::PublishLocal)
    };
    let kinds = pairs.into_iter().map(kind).collect::<Result<Vec<_>, _>>()?;
    context.mutate(server, kinds, verbose)
}
