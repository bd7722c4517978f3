//! A path below a build root, checked once.
//!
//! A [`RelPath`] cannot name anything outside the root by itself, nor the daemon's private state:
//! whoever holds one need not check it again. (Symbolic links are another matter: [`crate::Tree`]
//! resolves those by directory handle.)

use std::fmt;

use crate::error::{Error, Reason};

/// The directory of the daemon's private state, directly below the root. No request may name it.
pub const STATE_DIR: &str = ".onewriter";

/// The longest component that Linux filesystems take, in bytes.
pub const NAME_MAX: usize = 255;

/// The longest path that one system call takes, in bytes, without its final NUL.
pub const PATH_MAX: usize = 4095;

/// A path relative to a build root: components separated by single slashes, none of them empty,
/// `.`, `..` or `.onewriter`. The empty one is the root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// The root itself.
    pub const ROOT: Self = Self(Vec::new());

    /// Checks `bytes`. Empty components and `.` are dropped; a path of only those is the root.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |reason, why: &str| Err(Error::new(reason, bytes, why));
        if bytes.is_empty() {
            return refuse(Reason::PathEmpty, "the path is empty");
        }
        if bytes.contains(&0) {
            return refuse(Reason::PathNul, "the path holds a NUL byte");
        }
        if bytes[0] == b'/' {
            return refuse(Reason::PathAbsolute, "the path must be relative to the build root");
        }
        let mut clean = Vec::with_capacity(bytes.len());
        for name in bytes.split(|&b| b == b'/').filter(|n| !n.is_empty() && *n != b".") {
            check_name(name, bytes)?;
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(name);
        }
        if clean.len() > PATH_MAX {
            return refuse(Reason::PathTooLong, "the path is longer than 4095 bytes");
        }
        Ok(Self(clean))
    }

    /// This path with one more component, which is checked.
    pub fn child(&self, name: &[u8]) -> Result<Self, Error> {
        let joined = if self.is_root() { name.to_vec() } else { [&self.0, name].join(&b'/') };
        check_name(name, &joined)?;
        if joined.len() > PATH_MAX {
            return Err(Error::new(
                Reason::PathTooLong,
                &joined,
                "the path is longer than 4095 bytes",
            ));
        }
        Ok(Self(joined))
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without a leading slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Everything but the last component; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.split().map(|(parent, _)| Self(parent.to_vec()))
    }

    /// The last component; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.split().map(|(_, name)| name)
    }

    /// The parent's bytes and the last component; `None` for the root.
    pub(crate) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|&b| b == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        })
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// Whether `self` is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root()
            || self.0.strip_prefix(&other.0[..]).is_some_and(|r| r.is_empty() || r[0] == b'/')
    }

    /// What system calls take: the root is `.`.
    pub(crate) fn for_syscall(&self) -> &[u8] {
        for_syscall(&self.0)
    }
}

/// What system calls take for the bytes of a relative path: the root is `.`.
pub(crate) fn for_syscall(bytes: &[u8]) -> &[u8] {
    if bytes.is_empty() { b"." } else { bytes }
}

fn check_name(name: &[u8], whole: &[u8]) -> Result<(), Error> {
    let refuse = |reason, why: String| Err(Error::new(reason, whole, why).at(name));
    match name {
        b".." => refuse(Reason::PathParent, "is not allowed in a path below the build root".into()),
        _ if name == STATE_DIR.as_bytes() => {
            refuse(Reason::PathReserved, "is the daemon's own, and no request may name it".into())
        }
        _ if name.len() > NAME_MAX => refuse(
            Reason::NameTooLong,
            format!("is a name of {} bytes; {NAME_MAX} is the most", name.len()),
        ),
        _ => Ok(()),
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(self.for_syscall()).fmt(f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({self})")
    }
}

/// Bytes of a path as a person may read them on a terminal: UTF-8 as it is, control characters
/// and anything else escaped.
#[derive(Debug)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(path: &[u8]) -> Reason {
        RelPath::parse(path).unwrap_err().reason
    }

    #[test]
    fn spelling_is_normalised() {
        for (given, clean) in [("a/b", "a/b"), ("./a//b/", "a/b"), (".", ""), ("a/./b", "a/b")] {
            assert_eq!(RelPath::parse(given.as_bytes()).unwrap().as_bytes(), clean.as_bytes());
        }
    }

    #[test]
    fn what_could_escape_is_refused() {
        assert_eq!(reason(b""), Reason::PathEmpty);
        assert_eq!(reason(b"a\0b"), Reason::PathNul);
        assert_eq!(reason(b"/etc/passwd"), Reason::PathAbsolute);
        assert_eq!(reason(b"a/../../b"), Reason::PathParent);
        assert_eq!(reason(b".onewriter"), Reason::PathReserved);
        assert_eq!(reason(b"./.onewriter/lock"), Reason::PathReserved);
        assert_eq!(reason(b"sub/.onewriter/lock"), Reason::PathReserved);
    }

    #[test]
    fn limits_are_those_of_the_kernel() {
        assert!(RelPath::parse(&[b'n'; 255]).is_ok());
        assert_eq!(reason(&[b'n'; 256]), Reason::NameTooLong);
        let long = b"d/".repeat(2048);
        assert!(RelPath::parse(&long[..4095]).is_ok());
        assert_eq!(reason(&[&long[..], b"dd"].concat()), Reason::PathTooLong);
    }

    #[test]
    fn within_stops_at_component_borders() {
        let path = |s: &str| RelPath::parse(s.as_bytes()).unwrap();
        assert!(path("a/b").is_within(&path("a")));
        assert!(path("a").is_within(&path("a")));
        assert!(path("a").is_within(&RelPath::ROOT));
        assert!(!path("ab").is_within(&path("a")));
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let path = RelPath::parse(b"a\x1b[2J\xff\xc3\xa4").unwrap();
        assert_eq!(path.to_string(), "a\\u{1b}[2J\\xffä");
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_never_escapes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(path) = RelPath::parse(&bytes) {
                prop_assert_eq!(&RelPath::parse(path.for_syscall()).unwrap(), &path);
                prop_assert!(path.components().all(|c| c != b".." && c != b"." && !c.contains(&0)));
                prop_assert!(!path.as_bytes().starts_with(b"/"));
            }
        }
    }
}
