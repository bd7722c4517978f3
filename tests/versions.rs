//! A daemon and a client that do not understand each other say so, with the cure.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    thread,
};

use onewriter_proto::v1::{StatusRequest, StatusResponse, StopRequest, StopResponse};

use crate::support::{Done, Process, Raw, Root, accept_from, reason_of};

#[test]
fn a_client_of_another_version_is_refused_by_name() {
    let root = Root::new();
    let daemon = root.started();
    for version in ["0", "2", "999", "x", ""] {
        let mut other = Raw::connect(&root).speaking(version);
        assert_eq!(reason_of(other.mkdir("d")), "VERSION_MISMATCH");
    }
    assert!(!root.at("d").exists());
    // It can still see and end the daemon: that is the cure.
    let mut other = Raw::connect(&root).speaking("999");
    let status: StatusResponse = other.call("Administration/Status", &StatusRequest {}).unwrap();
    assert_eq!(status.pid, daemon.0);
    let _: StopResponse = other.call("Administration/Stop", &StopRequest {}).unwrap();
    assert!(daemon.ends_within(crate::support::LIMIT));
}

/// Runs a client against a server that answers every call with these frames.
fn against(answer: &[u8]) -> Done {
    let root = Root::new();
    let listener = UnixListener::bind(root.at(".onewriter/daemon.sock")).unwrap();
    let running = root.client().start("mkdir --json d");
    let client = running.id();
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(mut connection) = accept_from(&listener, Process(client)) {
                let _ = connection.read(&mut [0; 4096]);
                let _ = connection.write_all(answer);
                let _ = connection.shutdown(std::net::Shutdown::Write);
                let _ = connection.read_to_end(&mut Vec::new());
            }
        });
    });
    let done = running.done();
    assert!(!root.at("d").exists());
    done
}

/// SETTINGS, then HEADERS that end the first stream with a gRPC status.
fn ended(status: &str, details: Option<&str>) -> Vec<u8> {
    let mut block = vec![0x88]; // :status 200
    let mut field = |name: &str, value: &str| {
        assert!(name.len() < 127 && value.len() < 127);
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    };
    field("content-type", "application/grpc");
    field("grpc-status", status);
    if let Some(details) = details {
        field("grpc-status-details-bin", details);
    }
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    frames.extend([0, 0, block.len() as u8, 1, 0x5, 0, 0, 0, 1]);
    frames.extend(block);
    frames
}

#[test]
fn a_daemon_of_another_version_is_named_with_the_cure() {
    // google.rpc.Status { code: 9, details: [ErrorInfo { reason: "VERSION_MISMATCH", domain: "onewriter" }] }
    let details = "CAkaSQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxIdChBWRVJTSU9OX01JU01BVENIEglvbmV3cml0ZXI";
    for answer in [ended("9", Some(details)), ended("12", None)] {
        let done = against(&answer);
        done.failed(4, "VERSION_MISMATCH");
        assert!(done.stderr.contains("onewriter stop"), "the cure is named: {done}");
    }
}

#[test]
fn a_daemon_that_speaks_something_else_is_no_hang() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\0\0\0", &ended("2", None)] {
        against(answer).failed(6, "BROKEN");
    }
}
