//! A peer whose every byte is written down beforehand.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use crate::wire::frame::{self, HEAD, Head, PREFACE, kind};
use crate::wire::{Connection, Readiness, Transport};

/// What the peer sends, read by read, and what has been sent to it. After its last byte it closes
/// the connection.
#[derive(Default)]
pub(super) struct Script {
    reads: VecDeque<Vec<u8>>,
    pub(super) sends: Vec<Vec<u8>>,
}

impl Transport for Script {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sends.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn recv(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        let Some(mut bytes) = self.reads.pop_front() else { return Ok(0) };
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        if count < bytes.len() {
            self.reads.push_front(bytes.split_off(count));
        }
        Ok(count)
    }

    fn wait(&mut self, _: Option<Instant>) -> io::Result<Readiness> {
        Ok(Readiness { readable: true, writable: true })
    }
}

/// A connection to a peer that sends `bytes`, at most `step` at a time.
pub(super) fn connection(bytes: &[u8], step: usize) -> Connection<Script> {
    let reads = bytes.chunks(step).map(<[u8]>::to_vec).collect();
    Connection::new(Script { reads, sends: Vec::new() })
}

/// A connection to a peer that sends each of `parts` only when it is waited for.
pub(super) fn conversation(parts: &[&[Vec<u8>]]) -> Connection<Script> {
    let reads = parts.iter().map(|part| part.concat()).collect();
    Connection::new(Script { reads, sends: Vec::new() })
}

/// The frames that were sent, after the preface.
pub(super) fn frames_sent(connection: &Connection<Script>) -> Vec<(Head, Vec<u8>)> {
    let sent = connection.transport.sends.concat();
    let mut rest = sent.strip_prefix(PREFACE).expect("the preface comes first");
    let mut frames = Vec::new();
    while let Some(head) = Head::parse(rest) {
        frames.push((head, rest[HEAD..HEAD + head.length].to_vec()));
        rest = &rest[HEAD + head.length..];
    }
    assert!(rest.is_empty(), "{rest:?}");
    frames
}

/// The kinds of the frames that were sent.
pub(super) fn kinds_sent(connection: &Connection<Script>) -> Vec<u8> {
    frames_sent(connection).iter().map(|(head, _)| head.kind).collect()
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put(&mut out, kind, flags, stream, payload);
    out
}

/// A server's first frame.
pub(super) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_settings(&mut out, settings);
    out
}

/// A HEADERS frame of `fields`, which are all spelt out.
pub(super) fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(kind::HEADERS, flags | frame::flag::END_HEADERS, stream, &block(fields))
}

pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        crate::wire::hpack::put_literal(&mut block, name.as_bytes(), value.as_bytes());
    }
    block
}

/// What gRPC puts before a message, and the message.
pub(super) fn message(message: &impl prost::Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0], &(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

/// The headers that begin a good answer.
pub(super) const GOOD: &[(&str, &str)] =
    &[(":status", "200"), ("content-type", "application/grpc")];

/// The headers that end a good answer.
pub(super) const OK: &[(&str, &str)] = &[("grpc-status", "0")];
