//! What a step of reading or comparing fails with.

use rustix::io::Errno;

use crate::error::Error;

/// A failed system call, or one that is explained already.
pub(super) enum Failed {
    Errno(Errno),
    Error(Error),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
