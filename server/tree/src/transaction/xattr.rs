//! Extended attributes: those that overlayfs leaves on what is in an upper directory, and the rest.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{XattrFlags, lgetxattr, lgetxattr_query, llistxattr, lremovexattr, lsetxattr},
    io::Errno,
};

use crate::tree::proc_path;

/// What the names of overlayfs's own begin with.
const OVERLAY: &[u8] = b"user.overlay.";

/// Enough for the names that almost all files have, and the most that there can be.
const SOME: usize = 1024;
const MOST: usize = 64 * 1024;

/// `name` in `dir` as a path, which is all that the calls for extended attributes take. A symbolic
/// link at its end is not followed.
pub(super) fn place(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    [proc_path(dir).as_bytes(), b"/", name].concat()
}

/// Whether overlayfs marked the directory as one that is not merged.
pub(super) fn is_opaque(place: &[u8]) -> Result<bool, Errno> {
    let mut value = [0; 2];
    match lgetxattr(place, "user.overlay.opaque", &mut value[..]) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes what overlayfs left. Looks first: most things have nothing.
pub(super) fn strip(place: &[u8]) -> Result<(), Errno> {
    for name in names(place)?.iter().filter(|name| name.starts_with(OVERLAY)) {
        match lremovexattr(place, &name[..]) {
            Ok(()) | Err(Errno::NODATA) => {}
            failed => return failed,
        }
    }
    Ok(())
}

/// Whether two things have the same attributes, apart from overlayfs's.
pub(super) fn same(a: &[u8], b: &[u8]) -> Result<bool, Errno> {
    let (of_a, of_b) = (own(a)?, own(b)?);
    if of_a != of_b {
        return Ok(false);
    }
    for name in of_a {
        if get(a, &name)? != get(b, &name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives `to` the attributes of `from`, apart from overlayfs's.
pub(super) fn copy(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    for name in own(from)? {
        let Some(value) = get(from, &name)? else { continue };
        match lsetxattr(to, &name[..], &value, XattrFlags::empty()) {
            Ok(()) => {}
            // A security module's own mark: the new file was given one when it was made.
            Err(Errno::PERM | Errno::OPNOTSUPP) if name.starts_with(b"security.") => {}
            failed => return failed,
        }
    }
    Ok(())
}

/// The names that are not overlayfs's, in order.
fn own(place: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = names(place)?;
    names.retain(|name| !name.starts_with(OVERLAY));
    names.sort_unstable();
    Ok(names)
}

fn names(place: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let mut some = [0; SOME];
    let split = |list: &[u8]| {
        let names = list.split(|&b| b == 0).filter(|name| !name.is_empty());
        names.map(<[u8]>::to_vec).collect()
    };
    match llistxattr(place, &mut some[..]) {
        Ok(length) => Ok(split(&some[..length])),
        Err(Errno::RANGE) => {
            let mut most = vec![0; MOST];
            let length = llistxattr(place, &mut most[..])?;
            Ok(split(&most[..length]))
        }
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(errno) => Err(errno),
    }
}

fn get(place: &[u8], name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let size = match lgetxattr_query(place, name) {
        Ok(size) => size,
        Err(Errno::NODATA) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut value = vec![0; size];
    if size > 0 {
        let length = lgetxattr(place, name, &mut value[..])?;
        value.truncate(length);
    }
    Ok(Some(value))
}
