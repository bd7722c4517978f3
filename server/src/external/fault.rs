//! What goes wrong with a store, as those are told who need it.

use std::{error::Error as _, fmt, sync::Arc, time::Duration};

use onewriter_store::Digest;
use onewriter_tree::{Error, Reason};
use rustix::io::Errno;
use tonic::{Code, Status};

use crate::config::StoreUrl;

/// Why a store did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct StoreFault {
    url: Arc<StoreUrl>,
    kind: Kind,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Kind {
    /// There is no connection, or it broke, or the store failed inside.
    Failed(String),
    /// It did not answer while there was patience.
    Silent(Duration),
    /// It did not answer by the request's deadline.
    Late,
    /// It does not serve this daemon.
    Barred(Status),
    /// It does not do what was asked for.
    Refused(Status),
    /// It has sent something else than the content that was asked for.
    Lied(Digest, String),
    /// What it sent cannot be written here.
    Here(Errno),
}

impl Kind {
    /// What a failed answer means.
    pub(super) fn of(status: Status) -> Self {
        // A status that the transport made has an error behind it; one that came by the wire has not.
        if let Some(cause) = status.source() {
            return Self::Failed(innermost(cause));
        }
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                Self::Barred(status)
            }
            Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss
            | Code::Cancelled
            | Code::DeadlineExceeded => {
                Self::Failed(format!("{}: {}", status.code(), status.message()))
            }
            _ => Self::Refused(status),
        }
    }

    /// Whether it concerns whoever asks next, too.
    pub(super) fn is_of_the_store(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Silent(_) | Self::Barred(_))
    }

    /// Whether it may go better the next time.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// The error at the root of a chain, which is what the system or the peer said.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl StoreFault {
    pub(super) fn new(url: Arc<StoreUrl>, kind: Kind) -> Self {
        Self { url, kind }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What a program decides by.
    pub(crate) fn reason(&self) -> Reason {
        match &self.kind {
            Kind::Failed(_) | Kind::Silent(_) | Kind::Late => Reason::StoreUnavailable,
            Kind::Barred(_) | Kind::Refused(_) => Reason::StoreRefused,
            Kind::Lied(..) => Reason::ContentMismatch,
            Kind::Here(errno) => Error::io(b".", "", *errno).reason,
        }
    }

    /// The store's own status, where it refuses what was asked for and nothing is wrong with it.
    pub(crate) fn refusal(&self) -> Option<&Status> {
        match &self.kind {
            Kind::Refused(status) => Some(status),
            _ => None,
        }
    }

    /// As an error at `path`.
    pub(crate) fn error(self, path: &[u8]) -> Error {
        match self.kind {
            Kind::Here(errno) => Error::io(path, "cannot write its content into staging", errno),
            _ => Error::new(self.reason(), path, self.to_string()),
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        match &self.kind {
            Kind::Failed(why) => write!(
                f,
                "the content store {url} cannot be reached or broke off ({why}); ask again when it \
                 is back, or have the daemon's `cas` name another"
            ),
            Kind::Silent(limit) => write!(
                f,
                "the content store {url} has said nothing for {} s; ask again when it is well, or \
                 have the daemon wait longer (`cas-timeout`)",
                limit.as_secs_f64()
            ),
            Kind::Late => write!(
                f,
                "the content store {url} did not answer before the request's deadline; ask again \
                 with more time"
            ),
            Kind::Barred(status) if status.code() == Code::Unimplemented => write!(
                f,
                "what answers at {url} is no content store of the Remote Execution API ({}); check \
                 the daemon's `cas`",
                status.message()
            ),
            Kind::Barred(status) => write!(
                f,
                "the content store {url} does not serve this daemon ({}: {}); check the daemon's \
                 `cas-tls-cert` or `cas-token-file`",
                status.code(),
                status.message()
            ),
            Kind::Refused(status) => write!(
                f,
                "the content store {url} refuses it ({}): {}",
                status.code(),
                status.message()
            ),
            Kind::Lied(digest, how) => write!(
                f,
                "the content store {url} has sent {how} for {digest}; nothing of it is kept. \
                 Upload the content anew, and have the store checked"
            ),
            Kind::Here(errno) => write!(f, "its content cannot be written: {errno}"),
        }
    }
}
