//! Flow control against a peer that changes its mind.

use super::Piece;
use super::script::{
    GOOD, OK, connection, conversation, frame, frames_sent, headers, message, settings,
};
use crate::wire::frame::{Head, MAX_WINDOW, flag, kind, setting};
use crate::wire::{CallError, CallOptions};

/// What a client has sent as DATA: the length of each frame, and all of it.
fn data_sent(frames: &[(Head, Vec<u8>)]) -> (Vec<usize>, Vec<u8>) {
    let data: Vec<_> = frames.iter().filter(|(head, _)| head.kind == kind::DATA).collect();
    let lengths = data.iter().map(|(head, _)| head.length).collect();
    (lengths, data.iter().flat_map(|(_, payload)| payload.clone()).collect())
}

fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

#[test]
fn windows_and_frame_sizes_are_kept_to() {
    let piece = Piece::of_size(1, 150_000);
    let whole = message(&piece);
    let script = [
        // The 65,535 bytes of the beginning have been sent: a window of 10,000 is overdrawn now.
        settings(&[(setting::INITIAL_WINDOW_SIZE, 10_000)]),
        update(1, 55_535),
        update(0, 1_000_000),
        update(1, 5),
        // Larger frames, and the window of the beginning again.
        settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535), (setting::MAX_FRAME_SIZE, 40_000)]),
        update(1, 1_000_000),
        headers(0, 1, GOOD),
        frame(kind::DATA, 0, 1, &message(&Piece::number(9))),
        headers(flag::END_STREAM, 1, OK),
    ];
    let frame_by_frame = conversation(&script.each_ref().map(std::slice::from_ref));
    for mut connection in [frame_by_frame, connection(&script.concat(), 1)] {
        let answer: Piece =
            connection.unary("/test/Echo", &piece, &CallOptions::default()).unwrap();
        assert_eq!(answer, Piece::number(9));
        let frames = frames_sent(&connection);
        let (lengths, data) = data_sent(&frames);
        assert!(data == whole);
        assert_eq!(lengths[..4], [16_384, 16_384, 16_384, 16_383]);
        assert_eq!(lengths[4..], [5, 40_000, 15_535, whole.len() - 65_540 - 55_535]);
        // Each SETTINGS is acknowledged before the data that makes use of it.
        let acks_before = |length| {
            let at = frames.iter().position(|(head, _)| head.length == length).unwrap();
            let is_ack = |head: &Head| head.kind == kind::SETTINGS && head.has(flag::ACK);
            frames[..at].iter().filter(|(head, _)| is_ack(head)).count()
        };
        assert_eq!((acks_before(16_384), acks_before(5), acks_before(40_000)), (0, 1, 2));
        assert_eq!(frames.last().unwrap().0.kind, kind::DATA);
        assert!(frames.last().unwrap().0.has(flag::END_STREAM));
    }
}

#[test]
fn what_is_consumed_is_granted_again() {
    let piece = Piece::of_size(1, 1_000_000);
    let mut script = [settings(&[]), headers(0, 1, GOOD)].concat();
    for _ in 0..40 {
        let bytes = message(&piece);
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        script.extend([frame(kind::DATA, 0, 1, half), frame(kind::DATA, 0, 1, rest)].concat());
    }
    script.extend(headers(flag::END_STREAM, 1, OK));

    let mut connection = connection(&script, 100_000);
    let mut call = connection.open("/test/Pour", &CallOptions::default()).unwrap();
    call.send_last(&Piece::number(40)).unwrap();
    while let Some(received) = call.recv::<Piece>().unwrap() {
        assert!(received == piece);
    }
    drop(call);
    let granted = |stream| -> u64 {
        let frames = frames_sent(&connection);
        frames
            .iter()
            .filter(|(head, _)| head.kind == kind::WINDOW_UPDATE && head.stream == stream)
            .map(|(_, payload)| u64::from(u32::from_be_bytes(payload[..].try_into().unwrap())))
            .sum()
    };
    let sent = 40 * message(&piece).len() as u64;
    assert!((sent..=sent + (4 << 20)).contains(&(granted(1) + (4 << 20))), "{}", granted(1));
    assert!((sent..=sent + (8 << 20)).contains(&(granted(0) + 65_535)), "{}", granted(0));
}

#[test]
fn a_server_that_sends_more_than_it_was_granted() {
    // The client sends and does not consume, so it grants nothing more.
    let mut script = [settings(&[]), headers(0, 1, GOOD)].concat();
    for _ in 0..5 {
        script.extend(frame(kind::DATA, 0, 1, &vec![0; 1 << 20]));
    }
    let mut connection = connection(&script, 1 << 20);
    let mut call = connection.open("/test/Chat", &CallOptions::default()).unwrap();
    let result = call.send(&Piece::of_size(1, 100_000));
    assert!(matches!(result, Err(CallError::Protocol(_))), "{result:?}");
}

#[test]
fn windows_that_are_not_allowed() {
    for bad in [
        update(0, 0),
        update(1, 0),
        update(0, MAX_WINDOW as u32),
        update(1, MAX_WINDOW as u32),
        settings(&[(setting::INITIAL_WINDOW_SIZE, MAX_WINDOW as u32 + 1)]),
        settings(&[(setting::MAX_FRAME_SIZE, 16_383)]),
        settings(&[(setting::MAX_FRAME_SIZE, 1 << 24)]),
    ] {
        let mut connection = connection(&bad, 1000);
        let answer = connection.unary::<_, Piece>("/x", &Piece::default(), &CallOptions::default());
        assert!(matches!(answer, Err(CallError::Protocol(_))), "{answer:?}");
        assert!(!connection.is_usable());
    }
}
