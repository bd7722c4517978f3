//! `--otlp`: what a client's environment says of its trace arrives at the collector.

use std::{
    io::Read as _,
    net::{TcpListener, TcpStream},
};

use crate::support::{LIMIT, Root};

const TRACE: [u8; 16] = *b"a trace's own id";
const CALLER: [u8; 8] = *b"a caller";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads until all of these have come. It never answers: nobody waits for it.
fn receive(mut socket: TcpStream, wanted: &[&[u8]]) {
    socket.set_read_timeout(Some(LIMIT)).expect("a socket");
    let (mut come, mut piece) = (Vec::new(), [0; 4096]);
    let is_in = |come: &[u8], part: &[u8]| come.windows(part.len()).any(|found| found == part);
    while !wanted.iter().all(|part| is_in(&come, part)) {
        match socket.read(&mut piece).expect("it comes in time") {
            0 => panic!("it ended: {}", String::from_utf8_lossy(&come)),
            n => come.extend_from_slice(&piece[..n]),
        }
    }
}

#[test]
fn a_command_belongs_to_the_trace_of_whoever_started_it() {
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("an address");
    let root = Root::new();
    let traced = |parent: &str| {
        let client = root.client().env("ONEWRITER_OTLP", format!("http://{address}"));
        client.env("TRACEPARENT", parent)
    };
    // What means nothing is not sent, and no reason to fail.
    traced("00-nonsense\n").run("mkdir there").ok();
    let parent = format!("00-{}-{}-01", hex(&TRACE), hex(&CALLER));
    traced(&parent).env("ONEWRITER_TARGET", "the-target").run("mkdir d").ok();
    let (socket, _) = collector.accept().expect("the daemon connects");
    receive(socket, &[&TRACE, &CALLER, b"the-target", b"onewriter.lock_wait_seconds"]);
    root.run("mkdir e").ok();
}

#[test]
fn a_collector_is_not_told_in_clear_text_over_the_network() {
    let root = Root::new();
    let done = root.client().env("ONEWRITER_OTLP", "http://192.0.2.1:4317").run("mkdir d");
    done.exits(4);
    assert!(done.stderr.contains("without TLS"), "{done}");
}
