//! Peers that are broken or mean harm: a call may fail, and nothing else.

use proptest::prelude::*;

use super::script::{GOOD, Script, connection, frame, headers, message, settings};
use super::{Piece, script};
use crate::wire::frame::{self, HEAD, Head, flag, kind};
use crate::wire::{CallError, CallOptions, Connection};

/// Makes a unary call with a message of `size`, another one and a chat; says how the first went.
fn exercise(mut connection: Connection<Script>, size: usize) -> Result<Piece, CallError> {
    let options = CallOptions { max_message: 100_000, ..CallOptions::default() };
    let result = connection.unary("/test/Echo", &Piece::of_size(1, size), &options);
    let _ = connection.unary::<_, Piece>("/test/Echo", &Piece::number(1), &options);
    if let Ok(mut call) = connection.open("/test/Chat", &options) {
        let _ = call.send(&Piece::of_size(1, 10_000));
        while let Ok(Some(_)) = call.recv::<Piece>() {}
        let _ = call.finish();
    }
    result
}

fn is_refused(bytes: &[u8]) -> bool {
    let answer = exercise(connection(bytes, 4096), 100);
    matches!(answer, Err(CallError::Protocol(_)))
}

#[test]
fn frames_that_are_not_allowed() {
    let good = settings(&[]);
    for bad in [
        // Not HTTP/2 at all: read as a frame, its length is out of bounds.
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        // Larger than the client allows, DATA or not.
        Head { length: (1 << 20) + 1, kind: kind::DATA, flags: 0, stream: 1 }.to_bytes().to_vec(),
        Head { length: (64 << 10) + 1, kind: kind::HEADERS, flags: 4, stream: 1 }
            .to_bytes()
            .to_vec(),
        // Of the wrong size.
        frame(kind::PING, 0, 0, b"1234567"),
        frame(kind::RST_STREAM, 0, 1, b"123"),
        frame(kind::WINDOW_UPDATE, 0, 0, b"12345"),
        frame(kind::GOAWAY, 0, 0, b"123"),
        frame(kind::SETTINGS, 0, 0, b"12345"),
        frame(kind::SETTINGS, flag::ACK, 0, b"123456"),
        // On the wrong stream.
        frame(kind::PING, 0, 1, b"12345678"),
        frame(kind::DATA, 0, 0, b""),
        frame(kind::DATA, 0, 2, b""),
        frame(kind::DATA, 0, 5, b""),
        headers(0, 3, GOOD),
        // At the wrong time.
        frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2]),
        frame(kind::DATA, 0, 1, b""),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""),
        [frame(kind::HEADERS, 0, 1, b""), frame(kind::PING, 0, 0, b"12345678")].concat(),
        [headers(0, 1, GOOD), headers(0, 1, GOOD)].concat(),
        // More padding than payload.
        [headers(0, 1, GOOD), frame(kind::DATA, flag::PADDED, 1, b"")].concat(),
        [headers(0, 1, GOOD), frame(kind::DATA, flag::PADDED, 1, &[1])].concat(),
        frame(kind::HEADERS, flag::PADDED | flag::END_HEADERS, 1, &[1]),
        // Headers that make no sense.
        frame(kind::HEADERS, flag::END_HEADERS, 1, &[0xbe]),
        headers(0, 1, &[("content-type", "application/grpc")]),
        headers(0, 1, &[(":status", "2000")]),
        headers(0, 1, &[(":status", "-1")]),
    ] {
        assert!(is_refused(&[good.clone(), bad.clone()].concat()), "{bad:?}");
    }
}

#[test]
fn messages_that_are_not_allowed() {
    for bad in [&[1, 0, 0, 0, 0][..], &[0, 0xff, 0xff, 0xff, 0xff], &[0, 0, 1, 0x86, 0xa1]] {
        let data = frame(kind::DATA, 0, 1, bad);
        assert!(is_refused(&[headers(0, 1, GOOD), data].concat()), "{bad:?}");
    }
    let half = &message(&Piece::of_size(1, 100))[..50];
    let script =
        [headers(0, 1, GOOD), frame(kind::DATA, 0, 1, half), headers(1, 1, script::OK)].concat();
    assert!(is_refused(&script));
    let not_a_piece = frame(kind::DATA, 0, 1, &[0, 0, 0, 0, 1, 0xff]);
    let answer = exercise(connection(&[headers(0, 1, GOOD), not_a_piece].concat(), 1000), 100);
    assert!(matches!(answer, Err(CallError::Decode(_))), "{answer:?}");
}

#[test]
fn endless_headers() {
    let begin = frame(kind::HEADERS, 0, 1, b"");
    for part in [&[0; 0][..], &[b'x'; 1000]] {
        let more = frame(kind::CONTINUATION, 0, 1, part).repeat(10_000);
        assert!(is_refused(&[begin.clone(), more].concat()), "{}", part.len());
    }
}

/// A peer that asks and asks, but never reads.
struct Deaf {
    said: Vec<u8>,
    at: usize,
}

impl crate::wire::Transport for Deaf {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.at {
            0 => Ok(bytes.len()),
            _ => Err(std::io::ErrorKind::WouldBlock.into()),
        }
    }

    fn recv(&mut self, buffer: &mut [u8], _: Option<std::time::Instant>) -> std::io::Result<usize> {
        for byte in &mut *buffer {
            *byte = self.said[self.at % self.said.len()];
            self.at += 1;
        }
        Ok(buffer.len())
    }

    fn wait(&mut self, _: Option<std::time::Instant>) -> std::io::Result<crate::wire::Readiness> {
        Ok(crate::wire::Readiness { readable: true, writable: false })
    }
}

#[test]
fn a_flood_of_questions_from_a_peer_that_does_not_listen() {
    for said in [frame(kind::PING, 0, 0, b"12345678"), settings(&[])] {
        let mut connection = Connection::new(Deaf { said, at: 0 });
        let mut call = connection.open("/test/Chat", &CallOptions::default()).unwrap();
        call.send(&Piece::number(1)).unwrap();
        assert!(matches!(call.recv::<Piece>(), Err(CallError::Protocol(_))));
        drop(call);
        assert!(connection.control.capacity() + connection.out.capacity() < 1 << 20);
    }
}

/// Frames that look right from outside, mostly on the stream that is in use.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(script::block(GOOD)),
        Just(script::block(script::OK)),
        Just(message(&Piece::of_size(3, 300))),
        any::<u32>().prop_map(|number| (number >> (number % 32)).to_be_bytes().to_vec()),
        (0..7u16, any::<u32>()).prop_map(|(name, value)| {
            let value = value >> (value % 32);
            [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
        }),
    ];
    let flags = prop_oneof![Just(0), Just(1), Just(4), Just(5), any::<u8>()];
    let stream =
        prop_oneof![4 => Just(1u32), 3 => Just(0), 2 => Just(3), 1 => Just(5), 1 => any::<u32>()];
    let frame = (0..11u8, flags, stream, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    proptest::collection::vec(frame, 0..30).prop_map(|frames| frames.concat())
}

/// A good conversation, of which some bytes are then changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let mut good = settings(&[(frame::setting::MAX_FRAME_SIZE, 1 << 20)]);
    good.extend(frame(kind::WINDOW_UPDATE, 0, 0, &1_000_000u32.to_be_bytes()));
    for stream in [1, 3, 5] {
        good.extend(frame(kind::WINDOW_UPDATE, 0, stream, &1_000_000u32.to_be_bytes()));
        good.extend(headers(0, stream, GOOD));
        good.extend(frame(kind::DATA, 0, stream, &message(&Piece::of_size(2, 50))));
        good.extend(headers(flag::END_STREAM, stream, script::OK));
    }
    let length = good.len();
    proptest::collection::vec((0..length, any::<u8>()), 0..6).prop_map(move |changes| {
        let mut bytes = good.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes(bytes: Vec<u8>, size in 0..90_000usize, step in 1..64usize) {
        let _ = exercise(connection(&bytes, step), size);
    }

    #[test]
    fn arbitrary_frames(bytes in frames(), size in 0..90_000usize, cut in 0..HEAD, step in 1..512usize) {
        let _ = exercise(connection(&bytes[..bytes.len().saturating_sub(cut)], step), size);
    }

    #[test]
    fn a_damaged_conversation(bytes in damaged(), size in 0..90_000usize, step in 1..512usize) {
        let _ = exercise(connection(&bytes, step), size);
    }
}
