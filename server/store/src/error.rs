//! What can go wrong with stored content.

use rustix::io::Errno;

use crate::digest::Digest;

/// Why content could not be taken or given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is not what was announced.
    #[error("the content that arrived is {found} and not {announced}, as was announced")]
    Mismatch {
        /// What it was to be.
        announced: Digest,
        /// What it is: as much as had come.
        found: Digest,
    },
    /// It went on behind its end.
    #[error("more than the {} bytes arrived that were announced", .announced.size)]
    TooLong {
        /// What it was to be.
        announced: Digest,
    },
    /// It was sent compressed, and cannot be unpacked.
    #[error(
        "what was sent for {announced} cannot be unpacked: it is no zstd stream, or one with a window of more than 8 MiB"
    )]
    Packed {
        /// What it was to be.
        announced: Digest,
    },
    /// The store would not hold it if it were empty.
    #[error("{size} bytes do not fit into a store of {max}")]
    TooLarge {
        /// The content's size.
        size: u64,
        /// The store's.
        max: u64,
    },
    /// All that is in it is in use.
    #[error("the store's {max} bytes are taken by content that is in use; try again later")]
    Full {
        /// The store's size in bytes.
        max: u64,
    },
    /// A system call failed.
    #[error("{what}: {}", std::io::Error::from(*.errno))]
    Io {
        /// What it was to do, as in "cannot open the store".
        what: &'static str,
        /// How it failed.
        errno: Errno,
    },
}

impl StoreError {
    pub(crate) fn io(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Io { what, errno }
    }

    pub(crate) fn std(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Io { what, errno: errno(&error) }
    }
}

pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
