//! Calls against a real gRPC server, and against peers that only pretend to be one.

mod against_tonic;
mod excerpts;
mod flow;
mod front;
mod hostile;
mod protocol;
mod script;
mod server;
mod sockets;
mod tls;

use std::time::Duration;

use super::{CallOptions, Code, Status};

/// The message of all the tests.
#[derive(Clone, PartialEq, prost::Message)]
struct Piece {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

impl Piece {
    fn number(number: u64) -> Self {
        Self { number, content: Vec::new() }
    }

    /// A piece whose content can be told from that of others.
    fn of_size(number: u64, size: usize) -> Self {
        let pattern: Vec<u8> = (0..251).map(|at| at ^ number as u8).collect();
        let mut content = pattern.repeat(size.div_ceil(pattern.len()));
        content.truncate(size);
        Self { number, content }
    }
}

/// Options of a call that should never take so long, in a test that should rather fail than hang.
fn patient() -> CallOptions<'static> {
    CallOptions { timeout: Some(Duration::from_secs(60)), ..CallOptions::default() }
}

fn status(code: Code, message: &str) -> Status {
    Status { code, message: message.into(), info: None }
}
