//! Errors as clients see them: a gRPC status with a `google.rpc.ErrorInfo`.

use std::collections::HashMap;

use onewriter_core::{Refusal, journal::JournalError};
use onewriter_proto::ERROR_DOMAIN;
use onewriter_tree::{Error, Printable, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The longest text and the longest value of the metadata, in bytes. A status travels in headers,
/// the text twice and three times as long where it is not ASCII, and clients take 16 KiB of them.
const MAX_TEXT: usize = 2048;
const MAX_VALUE: usize = 768;

/// The status that tells of a refusal.
pub(crate) fn status(refusal: impl Into<Refusal>) -> Status {
    let Refusal { error, holder, denial, kept } = refusal.into();
    let subject = match error.reason {
        Reason::BadRequest if error.path != b"." => "field",
        _ => "path",
    };
    let mut metadata = HashMap::new();
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), cut(value, MAX_VALUE));
    put(subject, Printable(&error.path).to_string());
    if let Some(component) = &error.component {
        put("component", Printable(component).to_string());
    }
    if let Some(holder) = holder {
        put("holder", holder.to_string());
    }
    if let Some(denial) = denial {
        put("identity", denial.identity.to_string());
        put("rule", denial.rule);
        put("cure", denial.cure);
    }
    if let Some(kept) = kept {
        put("oldest", kept.start().to_string());
        put("newest", kept.end().to_string());
    }
    if let Some(errno) = error.errno {
        put("errno", errno.raw_os_error().to_string());
    }
    if let Some(index) = error.index {
        put("index", index.to_string());
    }
    let details = ErrorDetails::with_error_info(error.reason.as_str(), ERROR_DOMAIN, metadata);
    Status::with_error_details(code(error.reason), cut(text(&error), MAX_TEXT), details)
}

/// The status of a daemon that does not own the build root: `owner` does, if that is known.
pub(crate) fn not_owner(owner: Option<&str>, why: &str) -> Status {
    let mut metadata = HashMap::from([("path".to_owned(), ".".to_owned())]);
    metadata.extend(owner.map(|owner| ("owner".to_owned(), cut(owner.to_owned(), MAX_VALUE))));
    let elsewhere = match owner {
        Some(owner) => format!("; {owner} does"),
        None => String::new(),
    };
    let text = format!("this daemon does not own the build root: {why}{elsewhere}");
    let reason = Reason::NotOwner;
    let details = ErrorDetails::with_error_info(reason.as_str(), ERROR_DOMAIN, metadata);
    Status::with_error_details(code(reason), cut(text, MAX_TEXT), details)
}

/// What is told where the journal cannot be read.
pub(crate) fn unreadable_journal(error: JournalError) -> Error {
    Refusal::from(error).error
}

/// The root is named only where it is the matter.
fn text(error: &Error) -> String {
    match error.reason {
        Reason::VersionMismatch | Reason::Journal | Reason::PositionGone | Reason::AskAgain => {
            error.what.clone()
        }
        _ => error.to_string(),
    }
}

/// At most `max` bytes: what is too long loses its middle, since the end says what is wrong.
fn cut(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    const GAP: &str = " … ";
    let half = (max - GAP.len()) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    [&text[..head], GAP, &text[tail..]].concat()
}

fn code(reason: Reason) -> Code {
    use Reason::*;
    match reason {
        PathEmpty | PathNul | PathAbsolute | PathParent | PathReserved | PathTooLong
        | NameTooLong | BadRequest => Code::InvalidArgument,
        NotADirectory | IsADirectory | NotEmpty | OutsideRoot | SymlinkLoop | ReadOnly
        | CrossDevice | Source | VersionMismatch | Undeclared | StaleLease | MissingBlob
        | StoreRefused => Code::FailedPrecondition,
        NotFound | RootGone => Code::NotFound,
        Exists => Code::AlreadyExists,
        Unauthenticated => Code::Unauthenticated,
        Permission | NotLocal | Forbidden => Code::PermissionDenied,
        NoSpace | TooLarge | Quota | TooManyRequests => Code::ResourceExhausted,
        SymlinkRace | Incomplete | Conflict | Deadlock => Code::Aborted,
        ContentMismatch => Code::DataLoss,
        LockTimeout | WaitTimeout => Code::DeadlineExceeded,
        Draining | NotOwner | AskAgain | StoreUnavailable => Code::Unavailable,
        PositionGone => Code::OutOfRange,
        Journal | Io => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use onewriter_core::locks::Owner;

    use super::*;

    #[test]
    fn a_status_names_reason_path_component_and_holder() {
        let error = Error::new(Reason::LockTimeout, b"a/b/c", "is held").at(b"a/b");
        let owner = Owner { method: "remove", target: "clean".into(), pid: 7, ..Owner::default() };
        let status = status(Refusal { holder: Some(Arc::new(owner)), ..error.into() });
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("LOCK_TIMEOUT", "onewriter"));
        assert_eq!(info.metadata["path"], "a/b/c");
        assert_eq!(info.metadata["component"], "a/b");
        assert_eq!(info.metadata["holder"], "pid 7 (remove for target 'clean')");
    }

    #[test]
    fn a_request_without_meaning_names_its_field() {
        let info = status(onewriter_proto::convert::bad("paths", "there are none"))
            .get_details_error_info()
            .unwrap();
        assert_eq!(info.metadata["field"], "paths");
        assert!(!info.metadata.contains_key("path"));
    }

    #[test]
    fn a_status_fits_into_what_clients_take_however_long_the_path() {
        for byte in [b'x', b'/', 0xff, 0x01] {
            let long = vec![byte; 1 << 20];
            let error = Error::new(Reason::PathTooLong, &long, "the path is too long").at(&long);
            let status = status(error);
            assert!(status.message().ends_with("the path is too long"), "{}", status.message());
            let headers = status.into_http::<()>().headers().clone();
            let size: usize = headers.iter().map(|(name, v)| name.as_str().len() + v.len()).sum();
            assert!(size < 16 << 10, "{size} bytes of headers");
        }
    }
}
