//! Sockets whose other end does nothing.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};

use super::Piece;
use super::script::settings;
use crate::wire::frame::{MAX_WINDOW, kind, setting};
use crate::wire::{CallError, CallOptions, Connection, GRACE, Socket, Stage};

const SHORT: Duration = Duration::from_millis(30);

fn short() -> CallOptions<'static> {
    CallOptions { timeout: Some(SHORT), ..CallOptions::default() }
}

/// Runs a call that cannot succeed, and checks that it ends when its time is up.
fn times_out(call: impl FnOnce() -> Result<Piece, CallError>) {
    let begin = Instant::now();
    let answer = call();
    assert!(matches!(answer, Err(CallError::TimedOut)), "{answer:?}");
    let took = begin.elapsed();
    assert!(took >= SHORT + GRACE, "{took:?}");
    // Not a second more than it may take, on however slow a machine.
    assert!(took < SHORT + GRACE + Duration::from_secs(10), "{took:?}");
}

#[test]
fn nobody_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let kind = || Socket::connect_unix(&path, Some(SHORT)).unwrap_err().kind();
    assert_eq!(kind(), io::ErrorKind::NotFound);
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_queue_that_stays_full() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let _first = Socket::connect_unix(&path, Some(SHORT)).unwrap();
    let second = Socket::connect_unix(&path, Some(SHORT)).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_server_that_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let socket = Socket::connect_unix(&path, Some(SHORT)).unwrap();
    let mut connection = Connection::new(socket);
    times_out(|| connection.unary("/test/Echo", &Piece::number(1), &short()));
}

#[test]
fn a_server_that_trickles() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    // One byte after another, for as long as anybody listens: each restarts the socket's timeout.
    let trickle = std::thread::spawn(move || {
        let ping = super::script::frame(kind::PING, 1, 0, &[0; 8]);
        while ping.iter().all(|byte| {
            std::thread::park_timeout(Duration::from_millis(1));
            theirs.write_all(&[*byte]).is_ok()
        }) {}
    });
    let mut connection = Connection::new(Socket::from(OwnedFd::from(ours)));
    times_out(|| connection.unary("/test/Echo", &Piece::number(1), &short()));
    drop(connection);
    trickle.join().unwrap();
}

#[test]
fn a_server_that_talks_without_end() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let talk = std::thread::spawn(move || {
        let pings = super::script::frame(kind::PING, 1, 0, &[0; 8]).repeat(1000);
        while theirs.write_all(&pings).is_ok() {}
    });
    let mut connection = Connection::new(Socket::from(OwnedFd::from(ours)));
    times_out(|| connection.unary("/test/Echo", &Piece::number(1), &short()));
    drop(connection);
    talk.join().unwrap();
}

#[test]
fn a_server_that_takes_no_more() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let window = (setting::INITIAL_WINDOW_SIZE, MAX_WINDOW as u32);
    theirs.write_all(&settings(&[window])).unwrap();
    let update = (MAX_WINDOW as u32 - 65_535).to_be_bytes();
    theirs.write_all(&super::script::frame(kind::WINDOW_UPDATE, 0, 0, &update)).unwrap();
    let mut connection = Connection::new(Socket::from(OwnedFd::from(ours)));
    times_out(|| connection.unary("/test/Echo", &Piece::of_size(1, 16 << 20), &short()));
}

#[test]
fn a_timeout_does_not_outlive_its_call() {
    let server = super::server::Server::start();
    let mut connection = server.connect();
    let options = CallOptions { timeout: Some(Duration::from_millis(1)), ..CallOptions::default() };
    let _ = connection.unary::<_, Piece>("/test/Silence", &Piece::number(1), &options);
    // A call without a timeout, which takes longer than what the socket was set to before.
    let mut call = connection.open("/test/Silence", &CallOptions::default()).unwrap();
    call.finish().unwrap();
    let silences = &server.silences;
    let entered = silences.recv_timeout(Duration::from_secs(60));
    assert!(entered.is_ok());
    drop(call);
    let answer: Piece =
        connection.unary("/test/Echo", &Piece::number(7), &CallOptions::default()).unwrap();
    assert_eq!(answer, Piece::number(7));
}

#[test]
fn a_server_that_is_gone() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    let mut connection = Connection::new(Socket::from(OwnedFd::from(ours)));
    // Not by SIGPIPE, either: that would end the test.
    let answer =
        connection.unary::<_, Piece>("/test/Echo", &Piece::number(1), &CallOptions::default());
    assert!(matches!(answer, Err(CallError::Closed { at: Stage::Unread })), "{answer:?}");
}

/// How a call fails whose server closes the connection when the call has been sent.
fn closed_by(client: UnixStream, close: impl FnOnce()) -> Stage {
    let mut connection = Connection::new(Socket::from(OwnedFd::from(client)));
    let mut call = connection.open("/test/Echo", &CallOptions::default()).unwrap();
    call.send_last(&Piece::number(1)).unwrap();
    close();
    match call.recv::<Piece>() {
        Err(CallError::Closed { at }) => at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_has_read_the_call_may_have_done_it() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let close = move || drop(theirs.read(&mut [0; 4096]).map(|_| theirs));
    assert_eq!(closed_by(ours, close), Stage::Unanswered);
}

#[test]
fn a_server_that_has_left_it_unread_has_not() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let close = move || drop(theirs.read(&mut [0; 10]).map(|_| theirs));
    assert_eq!(closed_by(ours, close), Stage::Unread);
    // Nor one that never accepted the connection.
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
    let ours = UnixStream::connect(directory.path().join("socket")).unwrap();
    assert_eq!(closed_by(ours, || drop(listener)), Stage::Unread);
}

#[test]
fn the_last_words_of_a_server_are_heard() {
    use super::script::headers;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&settings(&[])).unwrap();
    let refusal = [(":status", "200"), ("grpc-status", "14"), ("grpc-message", "stopping")];
    theirs.write_all(&headers(1, 1, &refusal)).unwrap();
    drop(theirs);
    let mut connection = Connection::new(Socket::from(OwnedFd::from(ours)));
    let answer =
        connection.unary::<_, Piece>("/test/Echo", &Piece::number(1), &CallOptions::default());
    assert!(matches!(answer, Err(CallError::Status(_))), "{answer:?}");
}
