//! A connection: its state, and the beginning and the end of a call on it.

use std::borrow::Cow;
use std::time::Instant;

use prost::Message;

use super::buffer::Buffer;
use super::frame::{self, flag, kind, setting};
use super::hpack::{self, put_indexed, put_literal, put_named};
use super::hpack_table::index;
use super::incoming::{HeaderBlock, MAX_PAYLOAD, Payload};
use super::stream::{self, Stream};
use super::transport::Transport;
use super::{Call, CallError, CallOptions, GRACE};

/// What the connection's window is set to once a call needs more than the 64 KiB that it begins
/// with.
pub(super) const WINDOW: i64 = 8 << 20;

/// Room for the answer of a small call; large DATA goes past it anyway.
const SMALL_INBOX: usize = 1 << 10;

/// Room for what a streaming call may find waiting at once.
const LARGE_INBOX: usize = 16 << 10;

/// Room for a small request.
const SMALL_OUTBOX: usize = 512;

/// The `:scheme` of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Over a Unix socket or plain TCP.
    Http,
    /// Over TLS.
    Https,
}

/// An HTTP/2 connection to a gRPC server, for one call at a time.
///
/// A connection outlives its calls, also those that fail: unless [`Connection::is_usable`] says
/// otherwise, the next one can be made.
pub struct Connection<S> {
    pub(super) transport: S,
    scheme: Scheme,
    authority: Cow<'static, str>,

    /// Frames to send, and the rest of a message that is being sent: see `outgoing`.
    pub(super) out: Vec<u8>,
    /// How much of `out` has gone.
    pub(super) sent: usize,
    /// Acknowledgements and the like, which go between other frames.
    pub(super) control: Vec<u8>,
    /// Whether the server may be waiting for what is in `control`.
    pub(super) control_is_urgent: bool,
    /// Whether the server takes nothing any more. It may have said why.
    pub(super) send_failed: bool,

    pub(super) inbox: Buffer,
    /// The frame whose payload is just coming.
    pub(super) payload: Option<Payload>,
    /// The header block whose other parts are to come.
    pub(super) block: Option<HeaderBlock>,

    /// How many bytes of DATA the server takes now on the whole connection.
    pub(super) send_window: i64,
    /// The same, for each new stream.
    pub(super) initial_send_window: i64,
    pub(super) max_send_payload: usize,
    /// Whether the server changed its header table's size since the last request.
    pub(super) table_size_changed: bool,

    /// How many bytes of DATA the server may still send on the whole connection.
    pub(super) granted: i64,
    /// What `granted` is filled up to.
    pub(super) grant: i64,

    pub(super) answered: bool,
    pub(super) going_away: bool,
    pub(super) broken: bool,
    pub(super) next_stream: u32,
    pub(super) stream: Stream,
    /// Whether the call is to be done in as few system calls as possible.
    pub(super) frugal: bool,
    pub(super) deadline: Option<Instant>,
}

impl<S: Transport> Connection<S> {
    /// A connection over `transport` to a server on this machine.
    pub fn new(transport: S) -> Self {
        Self::with_origin(transport, Scheme::Http, "localhost")
    }

    /// What it runs over.
    pub fn transport(&self) -> &S {
        &self.transport
    }

    /// A connection over `transport` to the server that calls itself `authority` (`host:port`).
    pub fn with_origin(
        transport: S,
        scheme: Scheme,
        authority: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            transport,
            scheme,
            authority: authority.into(),
            out: Vec::with_capacity(SMALL_OUTBOX),
            sent: 0,
            control: Vec::new(),
            control_is_urgent: false,
            send_failed: false,
            inbox: Buffer::with_room(SMALL_INBOX),
            payload: None,
            block: None,
            send_window: frame::DEFAULT_WINDOW,
            initial_send_window: frame::DEFAULT_WINDOW,
            max_send_payload: frame::DEFAULT_MAX_PAYLOAD,
            table_size_changed: false,
            granted: frame::DEFAULT_WINDOW,
            grant: frame::DEFAULT_WINDOW,
            answered: false,
            going_away: false,
            broken: false,
            next_stream: 1,
            stream: Stream::default(),
            frugal: true,
            deadline: None,
        }
    }

    /// Calls the unary method at `path` (`/package.Service/Method`).
    pub fn unary<Q: Message, R: Message + Default>(
        &mut self,
        path: &str,
        request: &Q,
        options: &CallOptions<'_>,
    ) -> Result<R, CallError> {
        self.begin(path, options, true)?;
        let mut call = Call::new(self);
        call.send_last(request)?;
        let answer = call.recv()?.ok_or(CallError::Protocol("an answer without a message"))?;
        match call.recv::<R>()? {
            None => Ok(answer),
            Some(_) => Err(CallError::Protocol("a second message in the answer to a unary call")),
        }
    }

    /// Begins a call of the method at `path` (`/package.Service/Method`) that streams in either or
    /// both directions. Nothing is sent before the first message, or before the first is awaited.
    pub fn open(
        &mut self,
        path: &str,
        options: &CallOptions<'_>,
    ) -> Result<Call<'_, S>, CallError> {
        self.begin(path, options, false)?;
        Ok(Call::new(self))
    }

    /// Whether another call can be made on this connection. `false` once the server has announced
    /// that it will close it, or the connection failed.
    pub fn is_usable(&self) -> bool {
        !(self.broken || self.send_failed || self.going_away || self.next_stream > i32::MAX as u32)
    }

    /// Queues the head of a request, and before the first one what begins a connection.
    fn begin(
        &mut self,
        path: &str,
        options: &CallOptions<'_>,
        frugal: bool,
    ) -> Result<(), CallError> {
        if self.broken || self.send_failed {
            return Err(CallError::Closed { at: self.stage(false) });
        }
        if !self.is_usable() {
            return Err(CallError::Refused);
        }
        let head = self.request_head(path, options)?;
        self.gather();
        if self.next_stream == 1 {
            self.out.extend_from_slice(frame::PREFACE);
            let settings = [
                (setting::HEADER_TABLE_SIZE, 0),
                (setting::ENABLE_PUSH, 0),
                (setting::INITIAL_WINDOW_SIZE, stream::WINDOW),
                (setting::MAX_FRAME_SIZE, MAX_PAYLOAD as u32),
            ];
            frame::put_settings(&mut self.out, &settings);
        }
        self.frugal = frugal;
        if !frugal {
            self.inbox.room(LARGE_INBOX);
            self.grant = WINDOW;
            self.replenish_connection();
            self.gather();
        }
        frame::put(&mut self.out, kind::HEADERS, flag::END_HEADERS, self.next_stream, &head);
        self.table_size_changed = false;
        self.deadline = options
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout.saturating_add(GRACE)));
        self.stream.restart(self.next_stream, self.initial_send_window, options.max_message);
        self.next_stream += 2;
        Ok(())
    }

    /// The header block of a request.
    fn request_head(&self, path: &str, options: &CallOptions<'_>) -> Result<Vec<u8>, CallError> {
        let mut block = Vec::with_capacity(192);
        if self.table_size_changed {
            hpack::put_size_update(&mut block);
        }
        put_indexed(&mut block, index::METHOD_POST);
        let scheme = match self.scheme {
            Scheme::Http => index::SCHEME_HTTP,
            Scheme::Https => index::SCHEME_HTTPS,
        };
        put_indexed(&mut block, scheme);
        put_named(&mut block, index::PATH, path.as_bytes());
        put_named(&mut block, index::AUTHORITY, self.authority.as_bytes());
        put_literal(&mut block, b"te", b"trailers");
        put_named(&mut block, index::CONTENT_TYPE, b"application/grpc");
        let agent = concat!("onewriter/", env!("CARGO_PKG_VERSION"));
        put_named(&mut block, index::USER_AGENT, agent.as_bytes());
        if let Some(timeout) = options.timeout {
            put_literal(&mut block, b"grpc-timeout", grpc_timeout(timeout).as_bytes());
        }
        for (key, value) in options.metadata {
            check_metadata(key, value)?;
            put_literal(&mut block, key.as_bytes(), value.as_bytes());
        }
        if block.len() > frame::DEFAULT_MAX_PAYLOAD {
            return Err(CallError::Request("its metadata is larger than 16 KiB"));
        }
        Ok(block)
    }

    /// Gives up the stream: what still comes on it is skipped, and the server, unless it is done
    /// with it too, is told.
    pub(super) fn abandon(&mut self) {
        let stream = &mut self.stream;
        let (open_here, open_there) = (stream.open_here, stream.open_there);
        (stream.open_here, stream.open_there) = (false, false);
        if open_here || open_there {
            let cancel = frame::error::CANCEL.to_be_bytes();
            frame::put(&mut self.control, kind::RST_STREAM, 0, stream.id, &cancel);
        }
        if open_there {
            self.send_what_fits();
        }
        self.deadline = None;
    }
}

/// A `grpc-timeout`: at most eight digits and a unit.
fn grpc_timeout(timeout: std::time::Duration) -> String {
    const LIMIT: u128 = 99_999_999;
    match (timeout.as_micros(), timeout.as_millis(), timeout.as_secs()) {
        (micros @ ..=LIMIT, ..) => format!("{micros}u"),
        (_, millis @ ..=LIMIT, _) => format!("{millis}m"),
        (.., seconds) => format!("{}S", u128::from(seconds).min(LIMIT)),
    }
}

/// Whether gRPC allows this as the caller's own metadata.
fn check_metadata(key: &str, value: &str) -> Result<(), CallError> {
    let key_is_good = !key.is_empty()
        && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && !key.starts_with("grpc-")
        && !key.ends_with("-bin");
    let value_is_good = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match (key_is_good, value_is_good) {
        (true, true) => Ok(()),
        (false, _) => Err(CallError::Request("a metadata key is not of lower-case ASCII")),
        (_, false) => Err(CallError::Request("a metadata value is not of printable ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timeouts_fit_eight_digits() {
        assert_eq!(grpc_timeout(Duration::from_nanos(1_500)), "1u");
        assert_eq!(grpc_timeout(Duration::from_secs(99)), "99000000u");
        assert_eq!(grpc_timeout(Duration::from_secs(100)), "100000m");
        assert_eq!(grpc_timeout(Duration::from_secs(100_000)), "100000S");
        assert_eq!(grpc_timeout(Duration::MAX), "99999999S");
    }

    #[test]
    fn metadata_is_checked() {
        assert!(check_metadata("x-target", "all the things").is_ok());
        for key in ["", "X", ":path", "grpc-timeout", "a b", "x-bin", "é"] {
            assert!(check_metadata(key, "").is_err(), "{key}");
        }
        for value in ["a\nb", "é", "\0"] {
            assert!(check_metadata("x", value).is_err(), "{value:?}");
        }
    }
}
