//! Every kind of call, against a server that has nothing to do with this code.

use prost::Message;

use super::server::Server;
use super::{Piece, patient, status};
use crate::wire::{CallError, CallOptions, Code, Connection, ErrorInfo, Socket, Stage};

#[test]
fn unary_calls_one_after_another() {
    let server = Server::start();
    let mut connection = server.connect();
    for number in 0..100 {
        let piece = Piece::of_size(number, 100 * number as usize);
        let answer: Piece = connection.unary("/test/Echo", &piece, &patient()).unwrap();
        assert_eq!(answer, piece);
    }
    assert!(connection.is_usable());
}

#[test]
fn large_unary_messages() {
    let server = Server::start();
    let mut connection = server.connect();
    let piece = Piece::of_size(3, 20 << 20);
    let answer: Piece = connection.unary("/test/Echo", &piece, &patient()).unwrap();
    assert!(answer == piece);
    let answer: Piece =
        connection.unary("/test/Big", &Piece::number(20 << 20), &patient()).unwrap();
    assert!(answer == Piece::of_size(0, 20 << 20));
}

#[test]
fn an_answer_larger_than_wanted_fails_only_its_call() {
    let server = Server::start();
    let mut connection = server.connect();
    let options = CallOptions { max_message: 1000, ..patient() };
    let answer = connection.unary::<_, Piece>("/test/Big", &Piece::number(20 << 20), &options);
    assert!(matches!(answer, Err(CallError::Protocol(_))), "{answer:?}");
    let piece = Piece::number(5);
    let answer: Piece = connection.unary("/test/Echo", &piece, &options).unwrap();
    assert_eq!(answer, piece);
}

#[test]
fn metadata_timeout_and_user_agent_arrive() {
    let server = Server::start();
    let metadata = [("x-target", "all: the things")];
    let options = CallOptions { metadata: &metadata, ..patient() };
    let answer: Piece =
        server.connect().unary("/test/Metadata", &Piece::default(), &options).unwrap();
    let seen = String::from_utf8(answer.content).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(seen, format!("all: the things; onewriter/{version}; 60000000u"));
}

#[test]
fn a_failure_carries_its_reason() {
    let info = ErrorInfo {
        reason: "ROOT_MOVED".into(),
        domain: "onewriter".into(),
        metadata: [("path".to_owned(), "a/b".to_owned())].into(),
    };
    // google.rpc.Status { details (3): [Any { type_url (1), value (2) }] }, by hand.
    let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, bytes.len() as u8], bytes].concat();
    let any =
        [field(1, b"type.googleapis.com/google.rpc.ErrorInfo"), field(2, &info.encode_to_vec())]
            .concat();
    let request = Piece { number: 0, content: field(3, &any) };

    let server = Server::start();
    let mut connection = server.connect();
    for _ in 0..3 {
        match connection.unary::<_, Piece>("/test/Fail", &request, &patient()) {
            Err(CallError::Status(status)) => {
                assert_eq!(status.code, Code::FailedPrecondition);
                assert_eq!(status.message, "100% né\n");
                assert_eq!(status.info.as_ref(), Some(&info));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_method_that_does_not_exist() {
    let server = Server::start();
    let answer = server.connect().unary::<_, Piece>("/test/None", &Piece::default(), &patient());
    match answer {
        Err(CallError::Status(found)) => {
            assert_eq!(found, status(Code::Unimplemented, "/test/None"));
        }
        other => panic!("{other:?}"),
    }
}

fn upload(server: &Server, pieces: u64, size: usize) {
    upload_over(&mut server.connect(), pieces, size);
}

fn upload_over(connection: &mut Connection<Socket>, pieces: u64, size: usize) {
    for _ in 0..2 {
        let mut call = connection.open("/test/Count", &patient()).unwrap();
        for number in 0..pieces {
            call.send(&Piece::of_size(number, size)).unwrap();
        }
        call.finish().unwrap();
        let answer: Piece = call.recv().unwrap().unwrap();
        assert_eq!(answer.number, pieces);
        assert_eq!(answer.content, (pieces * size as u64).to_be_bytes());
        assert_eq!(call.recv::<Piece>().unwrap(), None);
    }
}

fn download(server: &Server, pieces: u64) {
    download_over(&mut server.connect(), pieces);
}

fn download_over(connection: &mut Connection<Socket>, pieces: u64) {
    for _ in 0..2 {
        let mut call = connection.open("/test/Pour", &patient()).unwrap();
        call.send_last(&Piece::number(pieces)).unwrap();
        for number in 0..pieces {
            let piece: Piece = call.recv().unwrap().unwrap();
            assert!(piece == Piece::of_size(number, 256 << 10), "piece {number}");
        }
        assert_eq!(call.recv::<Piece>().unwrap(), None);
    }
}

#[test]
fn streams_of_64_mib_either_way() {
    let server = Server::start();
    upload(&server, 256, 256 << 10);
    download(&server, 256);
}

#[test]
fn streams_with_the_windows_and_frames_of_the_standard() {
    let server = Server::start_with(|server| server);
    upload(&server, 40, 256 << 10);
    download(&server, 40);
}

#[test]
fn streams_with_tiny_windows() {
    let server = Server::start_with(|server| {
        server.initial_stream_window_size(100).initial_connection_window_size(70_000)
    });
    // The download comes first, so that the settings are known before much is sent. Where 64 KiB were
    // under way when they came, the server's window fell below zero, and once in some hundred
    // runs it never granted another byte.
    let mut connection = server.connect();
    download_over(&mut connection, 4);
    upload_over(&mut connection, 10, 20_000);
}

#[test]
fn a_stream_of_nothing() {
    let server = Server::start();
    upload(&server, 0, 0);
    download(&server, 0);
}

#[test]
fn a_chat_and_its_early_end() {
    let server = Server::start();
    let mut connection = server.connect();
    let mut call = connection.open("/test/Chat", &patient()).unwrap();
    for number in 1..=50 {
        let piece = Piece::of_size(number, 10_000);
        call.send(&piece).unwrap();
        assert_eq!(call.recv::<Piece>().unwrap(), Some(piece));
    }
    call.send(&Piece::number(0)).unwrap();
    match call.recv::<Piece>() {
        Err(CallError::Status(found)) => assert_eq!(found, status(Code::Aborted, "zero")),
        other => panic!("{other:?}"),
    }
    assert!(call.has_ended());
    // The same answer to whatever is tried on the call after that.
    assert!(matches!(call.send(&Piece::number(1)), Err(CallError::Status(_))));
    assert!(matches!(call.recv::<Piece>(), Err(CallError::Status(_))));
    drop(call);

    let answer: Piece = connection.unary("/test/Echo", &Piece::number(7), &patient()).unwrap();
    assert_eq!(answer, Piece::number(7));
}

#[test]
fn a_refusal_stops_the_sending() {
    let server = Server::start();
    let mut connection = server.connect();
    let mut call = connection.open("/test/TooMuch", &patient()).unwrap();
    let piece = Piece::of_size(0, 256 << 10);
    let refusal = loop {
        if let Err(err) = call.send(&piece) {
            break err;
        }
    };
    match refusal {
        CallError::Status(found) => assert_eq!(found, status(Code::ResourceExhausted, "too much")),
        other => panic!("{other:?}"),
    }
    drop(call);
    upload(&server, 3, 3);
}

#[test]
fn an_early_answer_stops_the_sending_too() {
    let server = Server::start();
    let mut connection = server.connect();
    let mut call = connection.open("/test/Enough", &patient()).unwrap();
    while !call.has_ended() {
        call.send(&Piece::of_size(9, 256 << 10)).unwrap();
    }
    call.send(&Piece::number(1)).unwrap();
    call.finish().unwrap();
    assert_eq!(call.recv::<Piece>().unwrap(), Some(Piece::of_size(9, 256 << 10)));
    assert_eq!(call.recv::<Piece>().unwrap(), None);
    drop(call);
    let answer: Piece = connection.unary("/test/Echo", &Piece::number(7), &patient()).unwrap();
    assert_eq!(answer, Piece::number(7));
}

#[test]
fn an_abandoned_call_leaves_the_connection_in_order() {
    let server = Server::start();
    let mut connection = server.connect();
    for sent in 0..20 {
        let mut call = connection.open("/test/Pour", &patient()).unwrap();
        call.send_last(&Piece::number(1_000)).unwrap();
        for _ in 0..sent {
            call.recv::<Piece>().unwrap().unwrap();
        }
        drop(call);
        let answer: Piece = connection.unary("/test/Echo", &Piece::number(7), &patient()).unwrap();
        assert_eq!(answer, Piece::number(7));
    }
}

#[test]
fn the_server_dies_in_the_middle_of_a_call() {
    let mut server = Server::start();
    let mut connection = server.connect();
    let silences = std::mem::replace(&mut server.silences, std::sync::mpsc::channel().1);
    let killer = std::thread::spawn(move || {
        silences.recv().unwrap();
        drop(server);
    });
    let answer = connection.unary::<_, Piece>("/test/Silence", &Piece::default(), &patient());
    assert!(matches!(answer, Err(CallError::Closed { at: Stage::Answered })), "{answer:?}");
    assert!(!connection.is_usable());
    killer.join().unwrap();
    let answer = connection.unary::<_, Piece>("/test/Echo", &Piece::default(), &patient());
    assert!(matches!(answer, Err(CallError::Closed { at: Stage::Answered })), "{answer:?}");
}

#[test]
fn the_server_keeps_to_the_timeout() {
    let server = Server::start();
    let mut connection = server.connect();
    let timeout = Some(std::time::Duration::from_millis(20));
    let options = CallOptions { timeout, ..CallOptions::default() };
    let answer = connection.unary::<_, Piece>("/test/Silence", &Piece::default(), &options);
    // Which of the two it is depends on whether the server has answered with a stream already.
    assert!(matches!(answer, Err(CallError::Status(_) | CallError::TimedOut)), "{answer:?}");
    let answer: Piece = connection.unary("/test/Echo", &Piece::number(7), &patient()).unwrap();
    assert_eq!(answer, Piece::number(7));
}
