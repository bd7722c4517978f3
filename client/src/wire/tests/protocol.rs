//! What goes over the wire, frame by frame.

use std::time::Duration;

use super::Piece;
use super::script::{
    GOOD, OK, Script, block, connection, conversation, frame, frames_sent, headers, kinds_sent,
    message, settings,
};
use crate::wire::frame::{flag, kind, setting};
use crate::wire::{CallError, CallOptions, Code, Connection, Stage};

fn echo(connection: &mut Connection<Script>) -> Result<Piece, CallError> {
    connection.unary("/test/Echo", &Piece::number(1), &CallOptions::default())
}

/// A whole answer on `stream`.
fn answer(stream: u32, piece: &Piece) -> Vec<u8> {
    [
        headers(0, stream, GOOD),
        frame(kind::DATA, 0, stream, &message(piece)),
        headers(flag::END_STREAM, stream, OK),
    ]
    .concat()
}

/// The code that a unary call fails with if the server sends `bytes`.
fn code(bytes: &[u8]) -> Code {
    match echo(&mut connection(bytes, 1000)) {
        Err(CallError::Status(status)) => status.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_unary_call_is_one_send_and_nothing_else() {
    let ack = frame(kind::SETTINGS, flag::ACK, 0, &[]);
    let script =
        [settings(&[(setting::MAX_FRAME_SIZE, 1 << 20)]), ack, answer(1, &Piece::number(2))];
    let mut connection = connection(&script.concat(), 1000);
    assert_eq!(echo(&mut connection).unwrap(), Piece::number(2));
    assert_eq!(connection.transport.sends.len(), 1);
    let frames = frames_sent(&connection);
    let kinds: Vec<_> = frames.iter().map(|(head, _)| (head.kind, head.flags)).collect();
    assert_eq!(
        kinds,
        [(kind::SETTINGS, 0), (kind::HEADERS, flag::END_HEADERS), (kind::DATA, flag::END_STREAM)]
    );
    assert_eq!(frames[2].1, message(&Piece::number(1)));
    drop(connection);
}

#[test]
fn the_acknowledgement_goes_out_with_the_next_call() {
    let mut connection = conversation(&[
        &[settings(&[]), answer(1, &Piece::number(2))],
        &[answer(3, &Piece::number(3))],
    ]);
    assert_eq!(echo(&mut connection).unwrap(), Piece::number(2));
    assert_eq!(echo(&mut connection).unwrap(), Piece::number(3));
    assert_eq!(connection.transport.sends.len(), 2);
    let frames = frames_sent(&connection);
    assert_eq!((frames[3].0.kind, frames[3].0.flags), (kind::SETTINGS, flag::ACK));
    assert_eq!(frames[4].0.stream, 3);
}

#[test]
fn every_cut_of_an_answer_reads_the_same() {
    let padded = [&[3], &message(&Piece::of_size(5, 3000))[..], &[0; 3]].concat();
    let trailers = block(OK);
    let script = [
        settings(&[]),
        frame(kind::WINDOW_UPDATE, 0, 0, &1000u32.to_be_bytes()),
        frame(0x2a, 0xff, 77, b"of a type that nobody knows"),
        headers(0, 1, &[(":status", "103")]),
        headers(0, 1, GOOD),
        frame(kind::DATA, 0, 1, &[]),
        frame(kind::DATA, flag::PADDED, 1, &padded[..]),
        frame(kind::HEADERS, flag::END_STREAM, 1, &trailers[..3]),
        frame(kind::CONTINUATION, 0, 1, &[]),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, &trailers[3..]),
    ]
    .concat();
    for step in [1, 2, 3, 7, 8, 9, 10, 100, 1000, 5000] {
        let mut connection = connection(&script, step);
        assert_eq!(echo(&mut connection).unwrap(), Piece::of_size(5, 3000), "{step}");
    }
}

#[test]
fn a_message_in_many_frames_and_many_messages_in_a_frame() {
    let pieces: Vec<_> = (0..50).map(|number| Piece::of_size(number, 40)).collect();
    let all: Vec<u8> = pieces.iter().flat_map(message).collect();
    for step in [1, 3, 46, 1000] {
        let mut script = [settings(&[]), headers(0, 1, GOOD)].concat();
        for part in all.chunks(step) {
            script.extend(frame(kind::DATA, 0, 1, part));
        }
        script.extend(headers(flag::END_STREAM, 1, OK));
        let mut connection = connection(&script, 100);
        let mut call = connection.open("/test/Pour", &CallOptions::default()).unwrap();
        call.send_last(&Piece::number(50)).unwrap();
        for piece in &pieces {
            assert_eq!(call.recv::<Piece>().unwrap().as_ref(), Some(piece));
        }
        assert_eq!(call.recv::<Piece>().unwrap(), None);
    }
}

#[test]
fn a_timeout_may_be_for_ever() {
    let mut connection = connection(&[settings(&[]), answer(1, &Piece::number(2))].concat(), 1000);
    let options = CallOptions { timeout: Some(Duration::MAX), ..CallOptions::default() };
    let answer: Piece = connection.unary("/test/Echo", &Piece::number(1), &options).unwrap();
    assert_eq!(answer, Piece::number(2));
}

#[test]
fn a_ping_is_answered_while_an_answer_is_awaited() {
    let ping = frame(kind::PING, 0, 0, b"12345678");
    let pong = frame(kind::PING, flag::ACK, 0, b"87654321");
    let script = [settings(&[]), ping, pong, answer(1, &Piece::number(2))].concat();
    let mut connection = connection(&script, 9 + 9 + 8);
    echo(&mut connection).unwrap();
    let frames = frames_sent(&connection);
    assert_eq!(frames[3].0.kind, kind::SETTINGS);
    assert_eq!((frames[4].0.kind, frames[4].0.flags), (kind::PING, flag::ACK));
    assert_eq!(frames[4].1, b"12345678");
    assert_eq!(frames.len(), 5);
}

#[test]
fn a_dropped_call_is_cancelled() {
    let mut connection = connection(&[], 1);
    let mut call = connection.open("/test/Chat", &CallOptions::default()).unwrap();
    call.send(&Piece::number(1)).unwrap();
    drop(call);
    let frames = frames_sent(&connection);
    let (head, payload) = frames.last().unwrap();
    assert_eq!((head.kind, head.stream), (kind::RST_STREAM, 1));
    assert_eq!(payload[..], 8u32.to_be_bytes());
}

#[test]
fn a_streaming_call_is_corked_until_it_has_something_to_say() {
    let script = [settings(&[]), answer(1, &Piece::number(2))].concat();
    let mut connection = connection(&script, 1000);
    let mut call = connection.open("/test/Count", &CallOptions::default()).unwrap();
    call.send_last(&Piece::number(1)).unwrap();
    call.recv::<Piece>().unwrap().unwrap();
    drop(call);
    assert_eq!(connection.transport.sends.len(), 1);
    assert_eq!(
        kinds_sent(&connection),
        [kind::SETTINGS, kind::WINDOW_UPDATE, kind::HEADERS, kind::DATA]
    );
}

#[test]
fn a_smaller_header_table_is_acknowledged_in_the_next_request() {
    let shrink = settings(&[(setting::HEADER_TABLE_SIZE, 0)]);
    let mut connection =
        conversation(&[&[shrink, answer(1, &Piece::number(2))], &[answer(3, &Piece::number(3))]]);
    echo(&mut connection).unwrap();
    echo(&mut connection).unwrap();
    let requests: Vec<_> = frames_sent(&connection)
        .into_iter()
        .filter(|(head, _)| head.kind == kind::HEADERS)
        .map(|(_, block)| block[0])
        .collect();
    assert_eq!(requests, [0x83, 0x20]);
}

#[test]
fn a_status_alone() {
    let refusal = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "5"),
        ("grpc-message", "no%20such%20root"),
    ];
    let script = [settings(&[]), headers(flag::END_STREAM, 1, &refusal)].concat();
    match echo(&mut connection(&script, 1000)) {
        Err(CallError::Status(status)) => {
            assert_eq!(status, super::status(Code::NotFound, "no such root"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn http_statuses_without_a_grpc_one() {
    for (status, wanted) in [
        ("400", Code::Internal),
        ("401", Code::Unauthenticated),
        ("403", Code::PermissionDenied),
        ("404", Code::Unimplemented),
        ("429", Code::Unavailable),
        ("500", Code::Unknown),
        ("503", Code::Unavailable),
        ("204", Code::Unknown),
    ] {
        let fields = [(":status", status), ("content-type", "text/html")];
        let text = frame(kind::DATA, flag::END_STREAM, 1, b"<p>no</p>");
        assert_eq!(code(&[headers(0, 1, &fields), text].concat()), wanted);
        assert_eq!(code(&headers(flag::END_STREAM, 1, &fields)), wanted);
    }
}

#[test]
fn answers_that_are_not_quite_grpc() {
    let html = headers(0, 1, &[(":status", "200"), ("content-type", "text/html")]);
    assert_eq!(code(&html), Code::Unknown);
    let no_status =
        [headers(0, 1, GOOD), frame(kind::DATA, flag::END_STREAM, 1, &message(&Piece::number(1)))];
    // The message is there, but that all went well has not been said.
    assert_eq!(code(&no_status.concat()), Code::Unknown);
    let mut connection = connection(&[headers(0, 1, GOOD), headers(1, 1, OK)].concat(), 1000);
    assert!(matches!(echo(&mut connection), Err(CallError::Protocol(_))));
}

#[test]
fn resets() {
    let reset = |reason: u32| frame(kind::RST_STREAM, 0, 1, &reason.to_be_bytes());
    assert_eq!(code(&reset(0)), Code::Internal);
    assert_eq!(code(&reset(2)), Code::Internal);
    assert_eq!(code(&reset(8)), Code::Cancelled);
    assert_eq!(code(&reset(11)), Code::ResourceExhausted);
    assert_eq!(code(&reset(12)), Code::PermissionDenied);
    // Refused before anything was done, and afterwards.
    assert!(matches!(echo(&mut connection(&reset(7), 1000)), Err(CallError::Refused)));
    assert_eq!(code(&[headers(0, 1, GOOD), reset(7)].concat()), Code::Unavailable);
}

#[test]
fn a_server_that_goes_away() {
    let go_away =
        |last: u32| frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), 0u32.to_be_bytes()].concat());
    // It finishes what it has taken,
    let script = [settings(&[]), go_away(1), answer(1, &Piece::number(2))].concat();
    let mut taken = connection(&script, 1000);
    assert_eq!(echo(&mut taken).unwrap(), Piece::number(2));
    assert!(!taken.is_usable());
    assert!(matches!(echo(&mut taken), Err(CallError::Refused)));
    // and says what it has not.
    let mut refused = connection(&[settings(&[]), go_away(0)].concat(), 1000);
    assert!(matches!(echo(&mut refused), Err(CallError::Refused)));
}

#[test]
fn whether_anything_came_is_told() {
    let answer = echo(&mut connection(&[], 1));
    assert!(matches!(answer, Err(CallError::Closed { at: Stage::Unanswered })), "{answer:?}");
    let answer = echo(&mut connection(&[0], 1));
    assert!(matches!(answer, Err(CallError::Closed { at: Stage::Answered })), "{answer:?}");
}

#[test]
fn messages_come_before_the_failure_that_follows_them() {
    let failed = [("grpc-status", "10")];
    let script = [
        settings(&[]),
        headers(0, 1, GOOD),
        frame(kind::DATA, 0, 1, &message(&Piece::number(1))),
        headers(flag::END_STREAM, 1, &failed),
    ];
    let mut connection = connection(&script.concat(), 1000);
    let mut call = connection.open("/test/Pour", &CallOptions::default()).unwrap();
    call.send_last(&Piece::number(50)).unwrap();
    assert_eq!(call.recv::<Piece>().unwrap(), Some(Piece::number(1)));
    assert!(
        matches!(call.recv::<Piece>(), Err(CallError::Status(status)) if status.code == Code::Aborted)
    );
}
