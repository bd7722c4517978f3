//! Extended attributes: those that overlayfs leaves on what is in an upper directory, and the rest.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{XattrFlags, lgetxattr, lgetxattr_query, llistxattr, lremovexattr, lsetxattr},
    io::Errno,
};

use crate::tree::proc_path;

/// What the names of overlayfs's own begin with.
const OVERLAY: &[u8] = b"user.overlay.";

/// On a directory that is not merged with what is there.
const OPAQUE: &str = "user.overlay.opaque";

/// On a directory in which there may be something that overlayfs copied from the tree.
const IMPURE: &[u8] = b"user.overlay.impure";

/// On all that overlayfs copied from the tree, with everything that it had there.
const COPIED: &str = "user.overlay.origin";

/// An access control list, of which the mode has a part.
const ACCESS: &[u8] = b"system.posix_acl_access";

/// Enough for the names that almost all files have, and the most that there can be.
const SOME: usize = 1024;
const MOST: usize = 64 * 1024;

/// `name` in `dir` as a path, which is all that the calls for extended attributes take. A symbolic
/// link at its end is not followed.
pub(super) fn place(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    [proc_path(dir).as_bytes(), b"/", name].concat()
}

/// Names and values of a directory's own, in order.
pub(super) type Dress = Vec<(Vec<u8>, Vec<u8>)>;

/// What is to be known of a directory in an upper one.
pub(super) struct Found {
    /// Overlayfs marked it as one that is not merged.
    pub opaque: bool,
    /// There may be something in it that overlayfs has marked.
    pub impure: bool,
    /// What it wears, if overlayfs copied it from the tree: one that was made by hand wears nothing
    /// that anybody chose.
    pub dress: Option<Dress>,
}

/// Looks at a directory of an upper one: once, where it has what most of them have.
pub(super) fn look(place: &[u8]) -> Result<Found, Errno> {
    let names = names(place)?;
    let has = |wanted: &[u8]| names.iter().any(|name| name == wanted);
    let opaque = has(OPAQUE.as_bytes()) && is_opaque(place)?;
    let (impure, copied) = (has(IMPURE), has(COPIED.as_bytes()));
    let dress = if copied { Some(worn(place, names)?) } else { None };
    Ok(Found { opaque, impure, dress })
}

fn worn(place: &[u8], mut names: Vec<Vec<u8>>) -> Result<Dress, Errno> {
    names.retain(|name| is_dress(name));
    names.sort_unstable();
    let mut dress = Dress::new();
    for name in names {
        if let Some(value) = get(place, &name)? {
            dress.push((name, value));
        }
    }
    Ok(dress)
}

/// What users give to directories: their own, and access control lists. What security modules and
/// privileged programs keep is not copied by every overlay, and so says nothing where it is missing.
fn is_dress(name: &[u8]) -> bool {
    (name.starts_with(b"user.") && !name.starts_with(OVERLAY))
        || name.starts_with(b"system.posix_acl_")
}

/// Whether a directory wears something else than `dress`. A value that cannot be read is not known
/// to differ.
pub(super) fn wears_other(place: &[u8], dress: &Dress) -> Result<bool, Errno> {
    let mut there = names(place)?;
    there.retain(|name| is_dress(name));
    there.sort_unstable();
    if !there.iter().eq(dress.iter().map(|(name, _)| name)) {
        return Ok(true);
    }
    for (name, value) in dress {
        match get(place, name) {
            Ok(Some(found)) => {
                if beside_mode(name, found) != beside_mode(name, value.clone()) {
                    return Ok(true);
                }
            }
            Ok(None) => return Ok(true),
            Err(Errno::ACCESS) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(false)
}

/// A value without what a mode says, too: that of the owner, the mask and the rest of an access
/// control list.
fn beside_mode(name: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    const OF_MODE: [[u8; 2]; 3] =
        [0x01u16.to_le_bytes(), 0x10u16.to_le_bytes(), 0x20u16.to_le_bytes()];
    if name == ACCESS {
        // A version of four bytes; then a tag, permissions and an id each (`linux/posix_acl_xattr.h`).
        for entry in value.get_mut(4..).unwrap_or_default().chunks_exact_mut(8) {
            if OF_MODE.iter().any(|tag| entry.starts_with(tag)) {
                entry[2..4].fill(0);
            }
        }
    }
    value
}

/// Has the directory `to` wear what `from` does, and nothing else.
pub(super) fn dress(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    let dress = worn(from, names(from)?)?;
    for name in names(to)?.iter().filter(|name| is_dress(name)) {
        if dress.iter().all(|(kept, _)| kept != name) {
            match lremovexattr(to, &name[..]) {
                Ok(()) | Err(Errno::NODATA) => {}
                failed => return failed,
            }
        }
    }
    dress.iter().try_for_each(|(name, value)| lsetxattr(to, &name[..], value, XattrFlags::empty()))
}

/// Marks a directory as overlayfs does one that is not merged with what is there.
pub(super) fn mark_opaque(place: &[u8]) -> Result<(), Errno> {
    lsetxattr(place, OPAQUE, b"y", XattrFlags::empty())
}

/// Marks a directory as overlayfs does one that it copied from the tree.
pub(super) fn mark_copied(place: &[u8]) -> Result<(), Errno> {
    lsetxattr(place, COPIED, &[], XattrFlags::empty())
}

fn is_opaque(place: &[u8]) -> Result<bool, Errno> {
    let mut value = [0; 2];
    match lgetxattr(place, OPAQUE, &mut value[..]) {
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
