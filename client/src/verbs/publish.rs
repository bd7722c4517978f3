//! `onewriter publish`: puts a complete file at a path in one step.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use onewriter_proto::v1::{Publication, PublishLocal, Unchanged, mutation::Kind};
use onewriter_tree::Reason;

use super::{MANY, publish_group, publish_input, run, spelling};
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
publish SRC DST publishes a file, publish DST (or /dev/stdin DST) what comes on standard input, and
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
    let (consume, verbose) = (given.has("move"), given.has("verbose"));
    match source {
        Some(source) if !consume && publish_input::is_own(source) => {
            publish_input::file(context, server, to, source, verbose)
        }
        Some(source) => file(context, server, to, source, consume, verbose),
        None if consume => Err(Failure::Usage("--move needs a SRC".into())),
        None => publish_input::standard(context, server, to, verbose),
    }
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
    spelling::check_file(server, source)?;
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
    if publish_input::is_own(path) {
        let why = "is another file in each process: it is neither moved nor copied with -r";
        return Err(Failure::Usage(format!("'{}' {why}", path.display())));
    }
    if let Server::Root(place) = server
        && let Ok(below) = place.relative(path)
    {
        return Ok(place.root().join(OsStr::from_bytes(&below)).into_os_string().into_vec());
    }
    let absolute = std::path::absolute(path).map_err(|e| unreadable(path, &e))?;
    Ok(absolute.into_os_string().into_vec())
}

pub(super) fn unreadable(source: &OsStr, error: &std::io::Error) -> Failure {
    Failure::Io(format!("'{}' cannot be read: {error}", source.display()))
}

/// Sources and destinations, published in one call, but for those that only this process can read.
pub(super) fn all(
    context: &mut Context,
    server: &Server,
    pairs: Vec<(&OsStr, OsString)>,
    verbose: bool,
    to: impl Fn(Vec<u8>, &OsStr) -> Result<Publication, Failure>,
) -> Result<(), Failure> {
    let (mut kinds, mut own) = (Vec::new(), Vec::new());
    for (source, path) in pairs {
        let publication = to(server.path(&path)?, source)?;
        match publish_input::is_own(source) {
            true => own.push((publication, source)),
            false => kinds.push(Kind::PublishLocal(local(server, publication, source, false)?)),
        }
    }
    if own.is_empty() || !kinds.is_empty() {
        context.mutate(server, kinds, verbose)?;
    }
    own.into_iter()
        .try_for_each(|(to, source)| publish_input::file(context, server, to, source, verbose))
}
