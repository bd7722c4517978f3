//! Messages that end with what is in a file, over sockets and over what has to see all bytes.

use std::fs::File;
use std::io::Write as _;

use prost::Message as _;

use super::script::{GOOD, OK, conversation, frame, frames_sent, headers, message, settings};
use super::server::Server;
use super::{Piece, patient};
use crate::process::heed_sigpipe;
use crate::wire::frame::{kind, setting};
use crate::wire::{CallError, Connection, Excerpt, Socket, Transport};

/// A piece's content, behind something else in a file; how a message of it begins; and where in the
/// file it goes on.
fn filed(piece: &Piece) -> (File, Vec<u8>, u64) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before").unwrap();
    file.write_all(&piece.content).unwrap();
    file.write_all(b"behind").unwrap();
    let mut beginning = piece.encode_to_vec();
    beginning.truncate(beginning.len() - piece.content.len());
    (file, beginning, 6)
}

fn count<S: Transport>(connection: &mut Connection<S>, pieces: &[Piece]) -> Piece {
    let mut call = connection.open("/test/Count", &patient()).unwrap();
    for piece in pieces {
        let (file, beginning, at) = filed(piece);
        let excerpt = Excerpt { file: &file, at, length: piece.content.len() };
        call.send_excerpt(&beginning, excerpt).unwrap();
    }
    call.finish().unwrap();
    call.recv().unwrap().unwrap()
}

#[test]
fn a_socket_takes_them_from_the_file() {
    let sizes = [1, 0, 100, 128 << 10, (3 << 20) + 1, 2 << 20];
    let pieces: Vec<_> = (0..).zip(sizes).map(|(n, size)| Piece::of_size(n, size)).collect();
    let size: usize = sizes.iter().sum();
    let expected =
        Piece { number: pieces.len() as u64, content: (size as u64).to_be_bytes().to_vec() };
    let small = Server::start_with(|server| {
        server.initial_stream_window_size(70_000).initial_connection_window_size(100_000)
    });
    for server in [Server::start(), small] {
        let mut connection = server.connect();
        for _ in 0..2 {
            assert_eq!(count(&mut connection, &pieces), expected);
            assert!(connection.is_usable());
        }
    }
}

#[test]
fn windows_are_kept_to() {
    let piece = Piece::of_size(1, 100_000);
    let update = |stream, more: u32| frame(kind::WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
    let mut connection = conversation(&[
        &[settings(&[(setting::MAX_FRAME_SIZE, 40_000)])],
        &[update(0, 1_000_000), update(1, 5)],
        &[update(1, 1_000_000), headers(0, 1, GOOD)],
        &[frame(kind::DATA, 0, 1, &message(&Piece::number(9))), headers(1, 1, OK)],
    ]);
    assert_eq!(count(&mut connection, std::slice::from_ref(&piece)), Piece::number(9));
    let frames = frames_sent(&connection);
    let data = || frames.iter().filter(|(head, _)| head.kind == kind::DATA);
    assert!(data().flat_map(|(_, payload)| payload.clone()).eq(message(&piece)));
    let lengths: Vec<_> = data().map(|(head, _)| head.length).collect();
    let rest = message(&piece).len() - 65_540;
    assert_eq!(lengths, [16_384, 16_384, 16_384, 16_383, 5, rest, 0]);
}

#[test]
fn a_file_that_became_shorter_is_no_message() {
    let piece = Piece::of_size(0, 500_000);
    let server = Server::start();
    let mut scripted = conversation(&[&[settings(&[])]]);
    let mut connected = server.connect();
    let excerpts = |file| Excerpt { file, at: 6, length: 500_000 };
    let (file, beginning, _) = filed(&piece);
    file.set_len(300_000).unwrap();
    let mut call = connected.open("/test/Count", &patient()).unwrap();
    let failed = call.send_excerpt(&beginning, excerpts(&file));
    assert!(matches!(failed, Err(CallError::Request(_))), "{failed:?}");
    drop(call);
    assert!(!connected.is_usable());
    file.set_len(20).unwrap();
    let mut call = scripted.open("/test/Count", &patient()).unwrap();
    let failed = call.send_excerpt(&beginning, excerpts(&file));
    assert!(matches!(failed, Err(CallError::Request(_))), "{failed:?}");
    drop(call);
    assert!(!scripted.is_usable());
}

/// By a signal, the whole program would end that only wanted to say so.
#[test]
fn a_peer_that_is_gone_is_an_error() {
    heed_sigpipe();
    let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(there);
    let mut socket = Socket::from(std::os::fd::OwnedFd::from(here));
    let (file, _, mut at) = filed(&Piece::of_size(0, 1000));
    let failed = socket.send_file(&file, &mut at, 1000).unwrap_err();
    assert_eq!((failed.kind(), at), (std::io::ErrorKind::BrokenPipe, 6));
}
