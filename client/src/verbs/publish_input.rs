//! Publishing what only this process can read: its standard input, and files whose names mean another
//! file to each process, as a shell's `<(...)`.

use std::{
    ffi::OsStr,
    fs::File,
    io::IsTerminal as _,
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{FileTypeExt as _, PermissionsExt as _},
        },
    },
    path::Path,
};

use onewriter_proto::v1::{Publication, PublishStaged, mutation::Kind};
use onewriter_tree::{Error, Reason, Tree};
use rustix::{fs::FileType, io::Errno};

use super::publish::unreadable;
use crate::{context::Context, failure::Failure, server::Server, upload};

/// Standard input's names.
const STANDARD: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// Whether the daemon could find another file by this name.
pub(super) fn is_own(source: &OsStr) -> bool {
    // This is asked of every source.
    if !source.as_bytes().starts_with(b"/") {
        return false;
    }
    let own = ["/proc", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"];
    own.iter().any(|name| Path::new(source).starts_with(name))
}

/// Whether it is a name of standard input.
pub(super) fn is_standard(source: &OsStr) -> bool {
    STANDARD.iter().any(|name| Path::new(source) == Path::new(name))
}

/// Publishes standard input.
pub(super) fn standard(
    context: &mut Context,
    server: &Server,
    to: Publication,
    verbose: bool,
) -> Result<(), Failure> {
    let input = std::io::stdin();
    if stdin_is_null() {
        return Err(Failure::Usage(
            "standard input is /dev/null: name a SRC, or pipe something in, be it empty".into(),
        ));
    }
    if input.is_terminal() {
        return Err(Failure::Usage(
            "the content is expected on standard input, which is a terminal".into(),
        ));
    }
    let input = input.as_fd().try_clone_to_owned().map(File::from);
    let input = input.map_err(|e| unreadable(OsStr::new("standard input"), &e))?;
    content(context, server, to, input, verbose)
}

/// Publishes what is read from a file of this process's own.
pub(super) fn file(
    context: &mut Context,
    server: &Server,
    to: Publication,
    source: &OsStr,
    verbose: bool,
) -> Result<(), Failure> {
    if is_standard(source) {
        return standard(context, server, to, verbose);
    }
    let input = File::open(source).map_err(|e| unreadable(source, &e))?;
    let found = input.metadata().map_err(|e| unreadable(source, &e))?;
    if !found.is_file() && !found.file_type().is_fifo() {
        let refused = Error::new(Reason::Source, &to.path, "is neither a regular file nor a pipe");
        return Err(refused.at(source.as_bytes()).into());
    }
    let source_mode = found.is_file().then(|| found.permissions().mode() & 0o777);
    content(context, server, Publication { source_mode, ..to }, input, verbose)
}

fn content(
    context: &mut Context,
    server: &Server,
    to: Publication,
    input: File,
    verbose: bool,
) -> Result<(), Failure> {
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
            let done = upload::content(context, server, &to, content, to.source_mode)?;
            context.tell(&done, verbose)
        }
        done => {
            done?;
            staged.published();
            Ok(())
        }
    }
}

/// Whether nobody gave a standard input: nobody means to publish nothing then.
fn stdin_is_null() -> bool {
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::fstat(rustix::stdio::stdin()).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == null
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_open_files_are_told_from_those_of_others() {
        for name in ["/dev/stdin", "//dev/./fd/63", "/proc/self/cmdline", "/proc/1/status"] {
            assert!(is_own(OsStr::new(name)), "{name}");
        }
        for name in ["", "dev/stdin", "/dev/shm/x", "/dev/null", "/process/x", "/tmp/proc/x"] {
            assert!(!is_own(OsStr::new(name)), "{name}");
        }
    }
}
