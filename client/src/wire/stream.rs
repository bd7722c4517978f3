//! The one stream of a connection that is in use, and its call's side of gRPC.

use prost::Message;

use super::CallError;
use super::buffer::Buffer;
use super::response::Response;
use super::status::{Code, Status};

/// What a stream's own window is set to: with 4 MiB the server need not wait for the client on a
/// local socket.
pub(super) const WINDOW: u32 = 4 << 20;

/// The length of what gRPC puts before each message: a flag and the message's length.
pub(super) const PREFIX: usize = 5;

/// How a call ended.
#[derive(Clone)]
pub(super) enum End {
    Status(Status),
    Refused,
}

impl End {
    /// What it means to the caller.
    pub(super) fn result(self) -> Result<(), CallError> {
        match self {
            End::Refused => Err(CallError::Refused),
            End::Status(status) if status.code != Code::Ok => Err(CallError::Status(status)),
            End::Status(_) => Ok(()),
        }
    }
}

/// A stream and what has come on it.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) id: u32,
    /// How many bytes of DATA the server takes now. Settings can make it negative.
    pub(super) send_window: i64,
    /// How many bytes of DATA the server may still send.
    pub(super) granted: i64,
    /// Whether this side may still send.
    pub(super) open_here: bool,
    /// Whether the server may still send.
    pub(super) open_there: bool,
    pub(super) response: Response,
    /// `None` while the call lasts. After that, whatever else comes on the stream is of no interest.
    pub(super) end: Option<End>,
    /// Content of DATA frames that has not been taken yet.
    pub(super) body: Buffer,
    max_message: usize,
}

impl Stream {
    /// The stream of a new call. What it needs of memory it takes over from the one before.
    pub(super) fn restart(&mut self, id: u32, send_window: i64, max_message: usize) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        *self = Self {
            id,
            send_window,
            granted: i64::from(WINDOW),
            open_here: true,
            open_there: true,
            body,
            max_message,
            ..Self::default()
        };
    }

    /// Whether what comes on stream `id` is this call's.
    pub(super) fn awaits(&self, id: u32) -> bool {
        id == self.id && self.open_there && self.end.is_none()
    }

    /// The server has sent its last frame.
    pub(super) fn ended_by_server(&mut self) {
        self.open_there = false;
        let status = std::mem::take(&mut self.response).into_status();
        self.end = Some(End::Status(status));
    }

    /// The next message, if all of it has come.
    pub(super) fn message<M: Message + Default>(&mut self) -> Result<Option<M>, CallError> {
        let Some((&[flag, l0, l1, l2, l3], rest)) = self.body.bytes().split_first_chunk::<PREFIX>()
        else {
            return Ok(None);
        };
        if flag != 0 {
            return Err(CallError::Protocol(
                "a compressed message, which the client did not ask for",
            ));
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if length > self.max_message {
            return Err(CallError::Protocol("a message larger than the client takes"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.body.consume(PREFIX);
        Ok(Some(M::decode(self.body.take(length))?))
    }

    /// What the end of the call, if it has come, means to somebody who waits for a message.
    pub(super) fn outcome(&self) -> Option<Result<(), CallError>> {
        Some(match self.end.clone()?.result() {
            Ok(()) if !self.body.is_empty() => {
                Err(CallError::Protocol("the call ended within a message"))
            }
            result => result,
        })
    }
}
