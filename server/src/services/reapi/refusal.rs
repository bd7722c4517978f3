//! Errors as clients of the Remote Execution API see them.

use std::collections::HashMap;

use onewriter_proto::{ERROR_DOMAIN, google::rpc};
use onewriter_store::{Digest, StoreError};
use onewriter_tree::Reason;
use prost::Message as _;
use rustix::io::Errno;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A status with one of our reasons.
pub(super) fn refuse(code: Code, reason: Reason, what: impl Into<String>) -> Status {
    Status::with_error_details(code, what, details(reason))
}

/// Content that is not there, in the way in which clients know that they have to upload it.
pub(super) fn missing(code: Code, digest: &Digest) -> Status {
    let mut details = details(Reason::MissingBlob);
    details.add_precondition_failure_violation("MISSING", format!("blobs/{digest}"), "");
    Status::with_error_details(code, format!("the store does not have {digest}"), details)
}

fn details(reason: Reason) -> ErrorDetails {
    ErrorDetails::with_error_info(reason.as_str(), ERROR_DOMAIN, HashMap::new())
}

/// What the store says.
pub(super) fn stored(error: StoreError) -> Status {
    let (code, reason) = match &error {
        StoreError::Mismatch { .. } | StoreError::TooLong { .. } | StoreError::Packed { .. } => {
            (Code::InvalidArgument, Reason::ContentMismatch)
        }
        StoreError::TooLarge { .. } => (Code::ResourceExhausted, Reason::TooLarge),
        StoreError::Full { .. } | StoreError::Io { errno: Errno::NOSPC | Errno::DQUOT, .. } => {
            (Code::ResourceExhausted, Reason::NoSpace)
        }
        StoreError::Io { .. } => {
            tracing::error!(cause = %error, "the content store failed");
            (Code::Internal, Reason::Io)
        }
    };
    refuse(code, reason, error.to_string())
}

/// As one of several answers.
pub(super) fn message(status: &Status) -> rpc::Status {
    // The details are such a message, whole.
    rpc::Status::decode(status.details()).ok().filter(|found| found.code != 0).unwrap_or_else(
        || rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        },
    )
}
