//! What a gRPC call ended with.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;

use super::frame::error;

/// gRPC's status codes (grpc.io, "Status codes and their use in gRPC").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the standard's, and so are their meanings")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code that a `grpc-status` header names. What nobody has defined is `Unknown`.
    pub(super) fn from_header(value: &[u8]) -> Self {
        std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
            .and_then(|number| Self::ALL.get(number).copied())
            .unwrap_or(Code::Unknown)
    }
}

/// What a gRPC call ended with: the server's own word, or what the protocol says to take for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The kind of failure.
    pub code: Code,
    /// What happened, for a human reader.
    pub message: String,
    /// The failure's machine-readable reason, if the server gave one.
    pub info: Option<ErrorInfo>,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), info: None }
    }

    /// What an HTTP status means where no gRPC status came with it (gRPC's
    /// "HTTP to gRPC Status Code Mapping").
    pub(super) fn from_http(status: u16) -> Self {
        let code = match status {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        };
        Self::new(code, format!("the server answered with HTTP status {status}"))
    }

    /// What the reset of a stream means (gRPC over HTTP/2, "Errors").
    pub(super) fn from_reset(reason: u32) -> Self {
        let code = match reason {
            error::REFUSED_STREAM => Code::Unavailable,
            error::CANCEL => Code::Cancelled,
            error::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
            error::INADEQUATE_SECURITY => Code::PermissionDenied,
            _ => Code::Internal,
        };
        Self::new(code, format!("the server reset the stream with HTTP/2 error {reason}"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => write!(f, "{:?}", self.code),
            message => f.write_str(message),
        }
    }
}

/// `google.rpc.ErrorInfo`: the machine-readable reason of a failure.
#[derive(Clone, PartialEq, Message)]
pub struct ErrorInfo {
    /// What went wrong, in capitals: `PATH_ESCAPES`.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Whose reasons these are: `onewriter`.
    #[prost(string, tag = "2")]
    pub domain: String,
    /// What the reason is about.
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

/// `google.rpc.Status`, which `grpc-status-details-bin` carries. Its code and message only repeat
/// what the other headers say.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// The first `ErrorInfo` of a `grpc-status-details-bin` header. Details that cannot be read are no
/// reason to lose the status that they came with.
pub(super) fn error_info(header: &[u8]) -> Option<ErrorInfo> {
    // Senders should leave the padding out, and receivers must take it (gRPC over HTTP/2).
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let status = RpcStatus::decode(&*BASE64.decode(header).ok()?).ok()?;
    let info = status
        .details
        .iter()
        .find(|detail| detail.type_url.rsplit('/').next() == Some("google.rpc.ErrorInfo"))?;
    ErrorInfo::decode(&*info.value).ok()
}

/// Undoes the percent-encoding of `grpc-message`. As the specification asks, an encoding that is
/// broken stays as it is.
pub(super) fn percent_decode(header: &[u8]) -> String {
    let digit = |at: usize| header.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::with_capacity(header.len());
    let mut at = 0;
    while let Some(&byte) = header.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    #[test]
    fn codes() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, number);
            assert_eq!(Code::from_header(number.to_string().as_bytes()), code);
        }
        for odd in ["17", "-1", "", "OK", "99999999999999999999"] {
            assert_eq!(Code::from_header(odd.as_bytes()), Code::Unknown);
        }
    }

    #[test]
    fn messages_lose_their_percent_signs() {
        assert_eq!(percent_decode(b"a%20b%C3%A9%25"), "a bé%");
        assert_eq!(percent_decode(b"100% of %zz %4"), "100% of %zz %4");
        assert_eq!(percent_decode(b"%ff"), "\u{fffd}");
    }

    #[test]
    fn details_with_and_without_padding() {
        let info = ErrorInfo {
            reason: "PATH_ESCAPES".into(),
            domain: "onewriter".into(),
            metadata: [("path".to_owned(), "../x".to_owned())].into(),
        };
        let any = |name: &str, value: Vec<u8>| prost_types::Any {
            type_url: format!("type.googleapis.com/{name}"),
            value,
        };
        let details = vec![
            any("google.rpc.RetryInfo", vec![1, 2, 3]),
            any("google.rpc.ErrorInfo", info.encode_to_vec()),
        ];
        let bytes = RpcStatus { details }.encode_to_vec();
        let padded = STANDARD.encode(&bytes);
        assert_eq!(error_info(padded.as_bytes()), Some(info.clone()));
        assert_eq!(error_info(STANDARD_NO_PAD.encode(&bytes).as_bytes()), Some(info));
        assert_eq!(error_info(&padded.as_bytes()[1..]), None);
        assert_eq!(error_info(b"***"), None);
    }
}
