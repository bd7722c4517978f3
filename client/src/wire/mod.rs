//! gRPC over HTTP/2 for a program that lives for one call.
//!
//! The client is started thousands of times in a build, and makes one small call each time. So
//! this is a gRPC client without a runtime, threads or a table of streams: it blocks, has one call
//! at a time, and keeps to a few system calls and pages of memory. A unary call on a new
//! connection is one `send` (preface, settings, headers and message together) and as many `recv`
//! as the server's answer comes in, and nothing else is sent that the answer does not depend on.
//! Long streams go the same way, with whole flow control, and large messages are neither copied on
//! their way out nor buffered twice on their way in.
//!
//! * [`Connection`] makes calls: [`Connection::unary`], or [`Connection::open`] for a [`Call`] that
//!   streams.
//! * A [`Transport`] is the byte stream underneath: a [`Socket`] or what is laid over one, as [`Tls`];
//!   a [`Line`] is either.
//! * Every call is bounded by [`CallOptions::timeout`], whatever the server does or fails to do.
//! * What comes from the server is checked: it can make a call fail, but not make the client
//!   panic, nor hold more memory than [`CallOptions::max_message`] and the windows allow.

mod buffer;
mod call;
mod connection;
mod excerpt;
mod flow;
mod frame;
mod hpack;
mod hpack_table;
mod incoming;
mod line;
mod outgoing;
mod response;
mod status;
mod stream;
mod tcp;
mod tls;
mod transport;

#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

pub use call::Call;
pub use connection::{Connection, Scheme};
pub use excerpt::Excerpt;
pub use line::{Line, Vigil, Watched};
pub use status::{Code, ErrorInfo, Status};
pub use tls::Tls;
pub use transport::{Readiness, Socket, Transport};

/// What a call may cost and carry.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions<'a> {
    /// How long the whole call may take. The server is told; and should it not keep to it (it may
    /// be stopped), the call fails with [`CallError::TimedOut`] [`GRACE`] later.
    pub timeout: Option<Duration>,
    /// Metadata to send along: keys of lower-case letters, digits, `-`, `_` and `.`, values of
    /// printable ASCII.
    pub metadata: &'a [(&'a str, &'a str)],
    /// The largest message to take from the server, in bytes.
    pub max_message: usize,
}

impl Default for CallOptions<'_> {
    fn default() -> Self {
        Self { timeout: None, metadata: &[], max_message: 64 << 20 }
    }
}

/// How much later than the server the client gives up: its answer that time is up says more than
/// the client's own, so it gets the chance to arrive.
pub const GRACE: Duration = Duration::from_millis(250);

/// How far a server that closed the connection had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has not read the whole call, and so has not processed it: the call may be made again.
    Unread,
    /// It has read the call, and nothing has come from it: what it has done, nobody can say.
    Unanswered,
    /// Something has come from it on this connection.
    Answered,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server refused or failed.
    #[error("{0}")]
    Status(Status),

    /// The server said that it has not processed the call at all: it is about to stop, or has too
    /// much to do. On a new connection the call may be made again.
    #[error("the server did not take the call")]
    Refused,

    /// The server closed the connection before the call ended.
    #[error("the server closed the connection before the call ended")]
    Closed {
        /// How far it had come with the call.
        at: Stage,
    },

    /// The call took too long by the client's own clock.
    #[error("the server did not answer in time")]
    TimedOut,

    /// The server does not speak gRPC over HTTP/2 as it should.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),

    /// A message from the server is not what the call expects.
    #[error("a message of the server cannot be decoded")]
    Decode(#[from] prost::DecodeError),

    /// The call cannot be made like this.
    #[error("the call cannot be made: {0}")]
    Request(&'static str),

    /// The operating system failed.
    #[error("cannot {doing} the server")]
    Io {
        /// "write to" or "read from".
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
}
