//! What peers that do nothing useful cost a daemon, in memory of its own.

use std::{fs, io::Write as _, net::TcpStream};

use onewriter_proto::v1::ReadFileRequest;
use prost::Message as _;

use crate::support::{ONEWRITERD, Root, until};

/// More than that, in bytes, they may not have.
const MOST: u64 = 128 << 20;

/// How many there are of each kind.
const PEERS: usize = 200;

/// How many are sent content at once: what the daemon allows, where nobody says anything.
const SERVED: usize = 64;

/// The content that some ask for, in bytes: more than a socket takes.
const LARGE: u64 = 16 << 20;

/// The beginning of HTTP/2, with no settings (RFC 9113, 3.4).
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).expect("a frame").to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// Asks for `large`, with all the room in the world for it (RFC 9113, 6.5.2 and 6.9; RFC 7541).
fn question() -> Vec<u8> {
    const MOST: [u8; 4] = (i32::MAX as u32).to_be_bytes();
    let settings = frame(4, 0, 0, &[&[0, 4][..], &MOST].concat());
    let update = frame(8, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes());
    let path = "/onewriter.v1.Reading/ReadFile";
    let kind = "application/grpc";
    let headers = [
        // `:method POST`, `:scheme http`, and two that are spelled.
        &[0x83, 0x86, 0x04, path.len() as u8][..],
        path.as_bytes(),
        &[0x0f, 0x10, kind.len() as u8],
        kind.as_bytes(),
    ];
    let headers = frame(1, 4, 1, &headers.concat());
    let read = ReadFileRequest { path: "large".into(), ..Default::default() }.encode_to_vec();
    let message = [&[0, 0, 0, 0, read.len() as u8][..], &read].concat();
    [BEGINNING, &settings, &update, &headers, &frame(0, 1, 1, &message)].concat()
}

#[test]
fn peers_that_stand_idle_or_never_read_cost_little_memory() {
    let root = Root::new();
    let settings = "listen = [\"127.0.0.1:0\"]\ninsecure-loopback = true\nallow = [\"*\"]\n";
    root.write(".onewriter/daemon.toml", settings);
    let file = fs::File::create(root.at("large")).expect("a file");
    file.set_len(LARGE).expect("a size");
    let daemon = vec!["--root".into(), root.path().into()];
    let _daemon = root.client().start_program(ONEWRITERD, daemon);
    let told = root.at(".onewriter/listening");
    until("it listens", || fs::read_to_string(&told).is_ok_and(|told| told.contains("://")));
    let told = fs::read_to_string(told).expect("where it listens");
    let (_, address) = told.trim().split_once("://").expect("a URL");

    let before = resident(&root);
    let mut peers = Vec::new();
    for words in [Vec::new(), BEGINNING.to_vec(), question()] {
        for _ in 0..PEERS {
            let mut peer = TcpStream::connect(address).expect("it listens");
            peer.write_all(&words).expect("it hears");
            peers.push(peer);
        }
    }
    let begun = |peer: &TcpStream| {
        peer.set_nonblocking(true).expect("a socket");
        // More than what HTTP/2 says to greet.
        matches!(peer.peek(&mut [0; 4096]), Ok(4096))
    };
    let sent = || peers[2 * PEERS..].iter().filter(|peer| begun(peer)).count();
    until("answers begin", || sent() >= SERVED);
    root.run("mkdir meanwhile").ok();
    let connections = || root.run("--json status").json()["connections"].as_u64();
    assert_eq!(connections(), Some(3 * PEERS as u64 + 1));
    assert_eq!(sent(), SERVED);
    let grown = resident(&root).saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes");
    drop(peers);
    until("they are gone", || connections() == Some(1));
}

/// What the daemon has in memory, in bytes.
fn resident(root: &Root) -> u64 {
    root.run("--json stats").json()["resident_bytes"].as_u64().expect("a number")
}
