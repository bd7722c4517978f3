//! What make is given: a shell and a make that are this client by other names, and the makefile
//! that it reads last.
//!
//! make splits these paths at spaces, and puts them into command lines; so they may not depend on
//! what a user calls his directories, and lie in a directory of the user's own outside of all build
//! roots. There they can also be seen inside of a transaction, which hides a root's `.onewriter`.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, mkdir, open, renameat, symlinkat, unlinkat},
    io::Errno,
    process::geteuid,
};

use crate::failure::Failure;

/// The shell, of which make knows that it is one like sh.
pub(crate) const SHELL: &str = "sh";

/// The same for shells of another kind, as Python.
pub(crate) const OTHER_SHELL: &str = "shell";

/// What `$(MAKE)` is.
pub(crate) const MAKE: &str = "make";

const TAIL: &str = "tail.mk";
const TAIL_TEXT: &[u8] = include_bytes!("tail.mk");

/// The directory of the tools.
#[derive(Debug)]
pub(super) struct Tools(PathBuf);

impl Tools {
    /// Those that an `onewriter make` further up has made.
    pub(super) fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Makes them, or finds them made.
    pub(super) fn make() -> Result<Self, Failure> {
        let client = crate::verbs::this_program()?;
        let base = own_directory()?;
        let mut all = client.as_os_str().as_bytes().to_vec();
        all.extend_from_slice(TAIL_TEXT);
        let directory = base.join(&blake3::hash(&all).to_hex()[..16]);
        let fail = |e: Errno| Failure::Io(format!("cannot make '{}': {e}", directory.display()));
        make_directory(&directory).map_err(fail)?;
        for name in [SHELL, OTHER_SHELL, MAKE] {
            let link = directory.join(name);
            if std::fs::read_link(&link).ok().as_deref() != Some(&client) {
                place(&link, |at| symlinkat(&client, CWD, at)).map_err(fail)?;
            }
        }
        let tail = directory.join(TAIL);
        if std::fs::read(&tail).ok().as_deref() != Some(TAIL_TEXT) {
            place(&tail, write_tail).map_err(fail)?;
        }
        Ok(Self(directory))
    }

    pub(super) fn directory(&self) -> &OsStr {
        self.0.as_os_str()
    }

    pub(super) fn tail(&self) -> PathBuf {
        self.0.join(TAIL)
    }

    pub(super) fn program(&self) -> PathBuf {
        self.0.join(MAKE)
    }
}

/// A directory that nobody else can write to, with a path that needs no quoting anywhere.
fn own_directory() -> Result<PathBuf, Failure> {
    let needs_no_quotes = |path: &OsStr| {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
        path.as_bytes().starts_with(b"/") && path.as_bytes().iter().all(plain)
    };
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|path| needs_no_quotes(path));
    let runtime = runtime.map(PathBuf::from).filter(|path| is_own(path).unwrap_or(false));
    let directory = match runtime {
        Some(runtime) => runtime.join("onewriter"),
        None => format!("/tmp/onewriter-{}", geteuid().as_raw()).into(),
    };
    let fail = |e: io::Error| Failure::Io(format!("cannot use '{}': {e}", directory.display()));
    make_directory(&directory).map_err(|errno| fail(errno.into()))?;
    match is_own(&directory).map_err(fail)? {
        true => Ok(directory),
        false => Err(Failure::Io(format!(
            "'{}' is not a directory that only its user can write to: remove it",
            directory.display()
        ))),
    }
}

fn is_own(directory: &Path) -> io::Result<bool> {
    let found = directory.symlink_metadata()?;
    Ok(found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0)
}

fn make_directory(path: &Path) -> Result<(), Errno> {
    match mkdir(path, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => Ok(()),
        done => done,
    }
}

/// Puts something in its place in one step, whatever others are doing there.
fn place(path: &Path, make: impl FnOnce(&Path) -> Result<(), Errno>) -> Result<(), Errno> {
    let own = path.with_extension(std::process::id().to_string());
    let _ = unlinkat(CWD, &own, AtFlags::empty());
    make(&own).and_then(|()| renameat(CWD, &own, CWD, path))
}

fn write_tail(at: &Path) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = open(at, flags, Mode::from_raw_mode(0o600))?;
    match rustix::io::write(&file, TAIL_TEXT)? {
        all if all == TAIL_TEXT.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}
