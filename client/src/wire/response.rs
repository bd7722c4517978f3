//! What the headers of a response say.

use super::hpack::{Fields, HpackError};
use super::status::{self, Code, ErrorInfo, Status};

/// What has been learnt from a call's header blocks: the first, the trailers, or one that is both.
#[derive(Default)]
pub(super) struct Response {
    /// 0 before the first block has come.
    http_status: u16,
    is_grpc: bool,
    code: Option<Code>,
    message: String,
    info: Option<ErrorInfo>,
}

impl Response {
    /// Takes in a header block.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<(), HpackError> {
        for field in Fields::new(block) {
            let field = field?;
            let value = || field.value.decode();
            match &*field.name.decode()? {
                b":status" => self.http_status = http_status(&value()?)?,
                b"content-type" => self.is_grpc = value()?.starts_with(b"application/grpc"),
                b"grpc-status" => self.code = Some(Code::from_header(&value()?)),
                b"grpc-message" => self.message = status::percent_decode(&value()?),
                b"grpc-status-details-bin" => self.info = status::error_info(&value()?),
                _ => {}
            }
        }
        if self.http_status == 0 { Err("a response without an HTTP status") } else { Ok(()) }
    }

    /// Whether the first header block is still to come. Interim responses (1xx) do not count.
    pub(super) fn is_expected(&self) -> bool {
        self.http_status < 200
    }

    /// Why what follows the first header block is no gRPC, if it is not.
    pub(super) fn objection(&self) -> Option<Status> {
        if self.code.is_some() {
            None
        } else if self.http_status != 200 {
            Some(Status::from_http(self.http_status))
        } else if !self.is_grpc {
            Some(Status::new(Code::Unknown, "the server's answer is not gRPC"))
        } else {
            None
        }
    }

    /// The status that the call ended with, once the server has ended it.
    pub(super) fn into_status(self) -> Status {
        match (self.objection(), self.code) {
            (Some(status), _) => status,
            (None, Some(code)) => Status { code, message: self.message, info: self.info },
            (None, None) => {
                Status::new(Code::Unknown, "the server ended the call without a status")
            }
        }
    }
}

fn http_status(value: &[u8]) -> Result<u16, HpackError> {
    match *value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Ok([a, b, c].into_iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
        }
        _ => Err("an HTTP status that is no number"),
    }
}
