//! Errors as clients see them: a gRPC status with a `google.rpc.ErrorInfo`.

use std::collections::HashMap;

use onewriter_proto::ERROR_DOMAIN;
use onewriter_tree::{Error, Printable, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The status that tells `error`.
pub(crate) fn status(error: Error) -> Status {
    let mut metadata = HashMap::from([("path".to_owned(), Printable(&error.path).to_string())]);
    if let Some(component) = &error.component {
        metadata.insert("component".to_owned(), Printable(component).to_string());
    }
    if let Some(errno) = error.errno {
        metadata.insert("errno".to_owned(), errno.raw_os_error().to_string());
    }
    if let Some(index) = error.index {
        metadata.insert("index".to_owned(), index.to_string());
    }
    let details = ErrorDetails::with_error_info(error.reason.as_str(), ERROR_DOMAIN, metadata);
    Status::with_error_details(code(error.reason), error.to_string(), details)
}

fn code(reason: Reason) -> Code {
    use Reason::*;
    match reason {
        PathEmpty | PathNul | PathAbsolute | PathParent | PathReserved | PathTooLong
        | NameTooLong | BadRequest => Code::InvalidArgument,
        NotADirectory | IsADirectory | NotEmpty | OutsideRoot | SymlinkLoop | ReadOnly
        | CrossDevice | Source | VersionMismatch => Code::FailedPrecondition,
        NotFound | RootGone => Code::NotFound,
        Exists => Code::AlreadyExists,
        Permission | NotLocal => Code::PermissionDenied,
        NoSpace => Code::ResourceExhausted,
        SymlinkRace | Incomplete => Code::Aborted,
        ContentMismatch => Code::DataLoss,
        LockTimeout => Code::DeadlineExceeded,
        Draining => Code::Unavailable,
        Journal | Io => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_reason_path_and_component() {
        let error = Error::new(Reason::NotADirectory, b"a/b/c", "is a regular file").at(b"a/b");
        let status = status(error);
        assert_eq!(status.code(), Code::FailedPrecondition);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NOT_A_DIRECTORY", "onewriter"));
        assert_eq!(info.metadata["path"], "a/b/c");
        assert_eq!(info.metadata["component"], "a/b");
    }
}
