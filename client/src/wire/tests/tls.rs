//! Calls over TLS, and all the ways in which there is none.
#![allow(clippy::disallowed_methods, reason = "sets up files to read")]

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::front::{Authority, Front};
use super::server::Server;
use super::{Piece, patient};
use crate::failure::Failure;
use crate::remote::{Credentials, NoConnection, Remote};
use crate::wire::{CallError, Connection, Line};

/// Long enough for any certificate.
const VALID: i32 = 2099;

fn credentials(authority: &Authority, own: Option<(&Authority, &str)>) -> Credentials {
    let file = |path: PathBuf| Some(OsString::from(path));
    Credentials {
        ca: file(authority.path("ca.pem")),
        cert: own.and_then(|(from, name)| file(from.path(&format!("{name}.pem")))),
        key: own.and_then(|(from, name)| file(from.path(&format!("{name}.key")))),
        token: None,
    }
}

fn remote(host: &str, front: &Front, credentials: &Credentials) -> Remote {
    let address = format!("https://{host}:{}", front.address.port());
    Remote::parse(address.as_ref(), credentials).unwrap().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn echo(connection: &mut Connection<Line>) -> Result<Piece, CallError> {
    connection.unary("/test/Echo", &Piece::of_size(1, 1000), &patient())
}

/// What is said of a server that cannot be connected to, or does not take the first call.
fn refusal(remote: &Remote) -> String {
    let failure = match remote.dial(soon(), false) {
        Err(NoConnection::Refused(failure) | NoConnection::Absent(failure)) => failure,
        Ok(mut connection) => match echo(&mut connection) {
            Err(CallError::Io { source, .. }) => remote.explain(&source).expect("it is of TLS"),
            // What the server had to say may have been lost with the connection.
            Err(CallError::Closed { .. }) => match remote.dial(soon(), true) {
                Err(NoConnection::Refused(failure)) => failure,
                other => panic!("{:?}", other.is_ok()),
            },
            other => panic!("{other:?}"),
        },
    };
    assert!(matches!(failure, Failure::Barred { .. }) && failure.exit_code() == 4, "{failure:?}");
    failure.hint("mkdir").expect("a cure").to_owned()
}

#[test]
fn calls_small_and_large_go_both_ways() {
    let (server, authority) = (Server::start(), Authority::new());
    authority.sign("localhost", VALID);
    let front = Front::start(authority.server("localhost", None), server.path());
    let remote = remote("localhost", &front, &credentials(&authority, None));
    let mut connection = remote.dial(soon(), false).ok().expect("a connection");
    for size in [0, 1, 100_000, 20 << 20] {
        let piece = Piece::of_size(size as u64, size);
        let answer: Piece = connection.unary("/test/Echo", &piece, &patient()).unwrap();
        assert!(answer == piece, "{size}");
    }
    let mut call = connection.open("/test/Chat", &patient()).unwrap();
    for number in 1..200 {
        let piece = Piece::of_size(number, 70_000);
        call.send(&piece).unwrap();
        assert!(call.recv::<Piece>().unwrap().unwrap() == piece);
    }
    drop(call);
    assert!(connection.is_usable());
}

#[test]
fn a_client_shows_its_certificate() {
    let (server, authority) = (Server::start(), Authority::new());
    authority.sign("localhost", VALID);
    authority.sign("worker", VALID);
    let front = Front::start(authority.server("localhost", Some(&authority)), server.path());
    let own = credentials(&authority, Some((&authority, "worker")));
    for carefully in [false, true] {
        let dialled = remote("localhost", &front, &own).dial(soon(), carefully);
        echo(&mut dialled.ok().expect("a connection")).unwrap();
    }
    let none = credentials(&authority, None);
    assert!(refusal(&remote("localhost", &front, &none)).contains("--tls-cert"));
    let stranger = Authority::new();
    stranger.sign("worker", VALID);
    let foreign = credentials(&authority, Some((&stranger, "worker")));
    assert!(refusal(&remote("localhost", &front, &foreign)).contains("--tls-client-ca"));
    authority.sign("worker", 2020);
    assert!(refusal(&remote("localhost", &front, &own)).contains("clocks"));
}

#[test]
fn a_server_that_cannot_be_trusted_is_told_by_its_fault() {
    let (server, authority) = (Server::start(), Authority::new());
    authority.sign("localhost", VALID);
    let front = Front::start(authority.server("localhost", None), server.path());
    let own = credentials(&authority, None);
    let stranger = credentials(&Authority::new(), None);
    assert!(refusal(&remote("localhost", &front, &stranger)).contains("--tls-ca"));
    assert!(refusal(&remote("127.0.0.1", &front, &own)).contains("certificate is for"));
    authority.sign("localhost", 2020);
    let expired = Front::start(authority.server("localhost", None), server.path());
    assert!(refusal(&remote("localhost", &expired, &own)).contains("clocks"));
}

#[test]
fn what_is_no_tls_server_is_told_apart() {
    let authority = Authority::new();
    let own = credentials(&authority, None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let remote = Remote::parse(address.as_ref(), &own).unwrap().unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").unwrap();
        // One that says nothing, and then one that is not there.
        let _silent = listener.accept().unwrap();
    });
    assert!(refusal(&remote).contains("plaintext"));
    let begun = Instant::now();
    let silent = remote.dial(begun + Duration::from_millis(50), false);
    assert!(matches!(silent, Err(NoConnection::Absent(_))));
    assert!(begun.elapsed() < Duration::from_secs(10));
    answering.join().unwrap();
    assert!(refusal(&remote).contains("--listen"));
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let authority = Authority::new();
    authority.sign("localhost", VALID);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", nobody.local_addr().unwrap());
    let dial = |credentials: Credentials| {
        let remote = Remote::parse(address.as_ref(), &credentials).unwrap().unwrap();
        match remote.dial(soon(), false) {
            Err(NoConnection::Refused(failure)) => failure,
            _ => panic!("it was not refused"),
        }
    };
    let good = credentials(&authority, Some((&authority, "localhost")));
    let missing = dial(Credentials { ca: Some("/no/such.pem".into()), ..good.clone() });
    assert!(missing.hint("mkdir").unwrap().contains("--tls-ca"), "{missing:?}");
    let key = good.key.clone();
    let not_one = dial(Credentials { ca: key, ..good.clone() });
    assert!(not_one.hint("mkdir").unwrap().contains("--tls-ca"), "{not_one:?}");
    let swapped = dial(Credentials { cert: good.key.clone(), key: good.cert.clone(), ..good });
    assert!(swapped.hint("mkdir").unwrap().contains("--tls-cert"), "{swapped:?}");
    let alone = credentials(&authority, Some((&authority, "localhost")));
    assert!(matches!(dial(Credentials { key: None, ..alone }), Failure::Usage(_)));
}

#[test]
fn a_token_is_one_word_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let credentials = Credentials { token: Some(path.clone().into()), ..Credentials::default() };
    let remote = Remote::parse("https://localhost:1".as_ref(), &credentials).unwrap().unwrap();
    assert_eq!(remote.authorization().unwrap_err().exit_code(), 4);
    for (content, sent) in
        [("abc\n", Some("Bearer abc")), ("", None), (" \n", None), ("a b", None), ("é", None)]
    {
        std::fs::write(&path, content).unwrap();
        assert_eq!(remote.authorization().ok().flatten().as_deref(), sent, "{content:?}");
    }
}
