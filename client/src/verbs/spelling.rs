//! What the end of an operand says: dots, by which a directory is only stood in, and a slash, after
//! which only a directory is meant.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use onewriter_tree::{Error, Reason};

use crate::{
    failure::Failure,
    server::Server,
    simple::{name, without_slashes},
};

/// Refuses what cannot be `moved` or `removed` by such a name, as mv(1) and rm(1) do.
pub(super) fn check_entry(server: &Server, path: &OsStr, what: &str) -> Result<(), Failure> {
    if ends_in_dots(path) {
        let why = format!("a directory is not {what} by the name '.' or '..'");
        return Err(Error::new(Reason::BadRequest, &server.path(path)?, why).into());
    }
    check_file(server, path)
}

/// Refuses a slash after the name of what is there and is no directory itself.
pub(super) fn check_file(server: &Server, path: &OsStr) -> Result<(), Failure> {
    let Some(bare) = before_slash(server, path) else { return Ok(()) };
    match bare.symlink_metadata() {
        Ok(found) if !found.is_dir() => Err(no_directory(server, path)),
        _ => Ok(()),
    }
}

/// Refuses a slash after the name of what does not lead to a directory, or is not there.
pub(super) fn check_directory(server: &Server, path: &OsStr) -> Result<(), Failure> {
    match before_slash(server, path) {
        Some(bare) if !bare.is_dir() => Err(no_directory(server, path)),
        _ => Ok(()),
    }
}

fn no_directory(server: &Server, path: &OsStr) -> Failure {
    // A source may lie outside of the root.
    let named = server.path(path).unwrap_or_else(|_| path.as_bytes().to_vec());
    let why = "is no directory, as the slash at its end says";
    Error::new(Reason::NotADirectory, &named, why).into()
}

/// What comes before slashes at the end, where there are some; only in a tree that is seen from here.
fn before_slash(server: &Server, path: &OsStr) -> Option<PathBuf> {
    let bare = without_slashes(path.as_bytes());
    let is_seen = matches!(server, Server::Root(_));
    let has_slash = !bare.is_empty() && bare.len() < path.len();
    (is_seen && has_slash).then(|| Path::new(OsStr::from_bytes(bare)).to_owned())
}

/// Whether somebody who stands in a directory, or came by way of it, names it or the one above.
pub(super) fn ends_in_dots(path: &OsStr) -> bool {
    matches!(last_name(path), b"." | b"..")
}

/// The last name, slashes after it or not.
pub(super) fn last_name(path: &OsStr) -> &[u8] {
    name(without_slashes(path.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_name_is_dots() {
        for path in [".", "..", "./", "a/.", "a/..//", "/.", "a//.."] {
            assert!(ends_in_dots(OsStr::new(path)), "{path}");
        }
        for path in ["", "/", "a", "a/", "./a", "../a/", "a.", "...", "a/..."] {
            assert!(!ends_in_dots(OsStr::new(path)), "{path}");
        }
    }
}
