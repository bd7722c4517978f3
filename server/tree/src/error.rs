//! What can go wrong with a mutation, in terms that its user knows.

use std::{fmt, io};

use rustix::io::Errno;

use crate::path::Printable;

/// The one table of reasons.
macro_rules! reasons {
    ($($reason:ident => $name:literal,)*) => {
        /// Why a mutation was refused or failed. The names are those of the protocol's `Reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "proto/onewriter/v1/common.proto documents each")]
        pub enum Reason {
            $($reason,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$reason),*];

            /// The name on the wire and in `--json`, as in `NOT_A_DIRECTORY`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }
        }
    };
}

reasons! {
    PathEmpty => "PATH_EMPTY",
    PathNul => "PATH_NUL",
    PathAbsolute => "PATH_ABSOLUTE",
    PathParent => "PATH_PARENT",
    PathReserved => "PATH_RESERVED",
    PathTooLong => "PATH_TOO_LONG",
    NameTooLong => "NAME_TOO_LONG",
    NotADirectory => "NOT_A_DIRECTORY",
    IsADirectory => "IS_A_DIRECTORY",
    NotFound => "NOT_FOUND",
    Exists => "EXISTS",
    NotEmpty => "NOT_EMPTY",
    OutsideRoot => "OUTSIDE_ROOT",
    SymlinkLoop => "SYMLINK_LOOP",
    SymlinkRace => "SYMLINK_RACE",
    Permission => "PERMISSION",
    ReadOnly => "READ_ONLY",
    NoSpace => "NO_SPACE",
    CrossDevice => "CROSS_DEVICE",
    RootGone => "ROOT_GONE",
    Source => "SOURCE",
    NotLocal => "NOT_LOCAL",
    ContentMismatch => "CONTENT_MISMATCH",
    Incomplete => "INCOMPLETE",
    LockTimeout => "LOCK_TIMEOUT",
    Draining => "DRAINING",
    VersionMismatch => "VERSION_MISMATCH",
    BadRequest => "BAD_REQUEST",
    Journal => "JOURNAL",
    Io => "IO",
    Conflict => "CONFLICT",
    Undeclared => "UNDECLARED",
    StaleLease => "STALE_LEASE",
    Deadlock => "DEADLOCK",
    MissingBlob => "MISSING_BLOB",
    TooLarge => "TOO_LARGE",
    Unauthenticated => "UNAUTHENTICATED",
    Forbidden => "FORBIDDEN",
    Quota => "QUOTA",
    TooManyRequests => "TOO_MANY_REQUESTS",
    PositionGone => "POSITION_GONE",
    AskAgain => "ASK_AGAIN",
    WaitTimeout => "WAIT_TIMEOUT",
    StoreUnavailable => "STORE_UNAVAILABLE",
    StoreRefused => "STORE_REFUSED",
    NotOwner => "NOT_OWNER",
}

impl Reason {
    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// A mutation that was refused or failed: which path, which part of it, and why.
///
/// `Display` is one line for the person who asked, as in `'a/b/c': 'a/b' is a regular file, not a
/// directory`.
#[derive(Debug)]
pub struct Error {
    /// What kind of failure it is; programs decide by this and never by the text.
    pub reason: Reason,
    /// The path that was asked for, as it was given.
    pub path: Vec<u8>,
    /// The part of the path that is in the way, where it is not the whole.
    pub component: Option<Vec<u8>>,
    /// What happened, without the path.
    pub what: String,
    /// The system call's error, where one was the cause.
    pub errno: Option<Errno>,
    /// Which mutation of a batch it was, counted from 0.
    pub index: Option<usize>,
}

impl Error {
    /// A failure at `path`.
    pub fn new(reason: Reason, path: &[u8], what: impl Into<String>) -> Self {
        let (path, what) = (path.to_vec(), what.into());
        Self { reason, path, component: None, what, errno: None, index: None }
    }

    /// Names the part of the path that is in the way.
    #[must_use]
    pub fn at(mut self, component: &[u8]) -> Self {
        self.component = Some(component.to_vec());
        self
    }

    /// A system call that failed while it was doing `what` (as in "cannot make the directory") at
    /// `path`; the reason follows from the error number.
    pub fn io(path: &[u8], what: &str, errno: Errno) -> Self {
        let (reason, hint) = match errno {
            Errno::ACCESS | Errno::PERM => (Reason::Permission, "permission denied"),
            Errno::ROFS => (Reason::ReadOnly, "the filesystem is read-only"),
            Errno::NOSPC => (Reason::NoSpace, "no space or no inodes are left on the filesystem"),
            Errno::DQUOT => (Reason::NoSpace, "the disk quota is used up"),
            Errno::XDEV => (Reason::CrossDevice, "it lies on another filesystem than the root"),
            Errno::NAMETOOLONG => (Reason::NameTooLong, "the name is too long for the filesystem"),
            Errno::LOOP => (Reason::SymlinkLoop, "too many symbolic links"),
            Errno::NOENT => (Reason::NotFound, "no such file or directory"),
            Errno::NOTDIR => (Reason::NotADirectory, "not a directory"),
            Errno::ISDIR => (Reason::IsADirectory, "is a directory"),
            Errno::EXIST => (Reason::Exists, "it exists already"),
            Errno::NOTEMPTY => (Reason::NotEmpty, "the directory is not empty"),
            Errno::BUSY => (Reason::Io, "it is in use (is it a mount point?)"),
            Errno::MFILE | Errno::NFILE => (Reason::Io, "too many files are open"),
            _ => (Reason::Io, ""),
        };
        let what = match hint {
            "" => format!("{what}: {}", io::Error::from(errno)),
            hint => format!("{what}: {hint}"),
        };
        Self { errno: Some(errno), ..Self::new(reason, path, what) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': ", Printable(&self.path))?;
        match &self.component {
            Some(part) if *part != self.path => write!(f, "'{}' {}", Printable(part), self.what),
            _ => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
        }
    }

    #[test]
    fn the_text_names_path_and_component() {
        let error = Error::new(Reason::NotADirectory, b"a/b/c", "is a regular file").at(b"a/b");
        assert_eq!(error.to_string(), "'a/b/c': 'a/b' is a regular file");
        let error = Error::io(b"x", "cannot publish", Errno::NOSPC);
        assert_eq!(error.reason, Reason::NoSpace);
        assert_eq!(
            error.to_string(),
            "'x': cannot publish: no space or no inodes are left on the filesystem"
        );
    }
}
