//! A daemon whose content a team's server keeps, over TLS.

use onewriter_client::wire::CallError;
use onewriter_proto::{
    reapi::{self, BatchUpdateBlobsRequest, BatchUpdateBlobsResponse},
    v1::{self, MutationResponse, PublishDigestRequest, digest::Function},
};

use super::tls::Team;
use crate::support::{ONEWRITERD, Raw, Root, reason_of};

/// The SHA-256 of `abc`, as its standard has it.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A root whose store is the team's, with these settings besides.
fn worker(team: &Team, settings: &str) -> Root {
    let root = Root::new();
    let cas = team.url.replace("https://", "grpcs://");
    root.write(".onewriter/daemon.toml", format!("cas = \"{cas}\"\n{settings}"));
    root
}

fn trusting(team: &Team) -> String {
    format!("cas-tls-ca = \"{}\"\n", team.file("ca.pem").display())
}

fn upload(root: &Root) -> Result<(), CallError> {
    let digest = Some(reapi::Digest { hash: ABC.into(), size_bytes: 3 });
    let content = reapi::batch_update_blobs_request::Request {
        digest,
        data: b"abc".to_vec().into(),
        compressor: 0,
    };
    let request = BatchUpdateBlobsRequest { requests: vec![content], ..Default::default() };
    let method = "build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs";
    let answer: BatchUpdateBlobsResponse = Raw::connect(root).ask(method, &request)?;
    assert_eq!(answer.responses[0].status.as_ref().expect("a status").code, 0);
    Ok(())
}

fn publish(root: &Root) -> Result<v1::Outcome, CallError> {
    let byte = |at| u8::from_str_radix(&ABC[at..at + 2], 16).expect("digits");
    let hash = (0..64).step_by(2).map(byte).collect();
    let digest = v1::Digest { function: Function::Sha256.into(), hash, size: 3 };
    let to = Some(v1::Publication { path: b"f".to_vec(), ..Default::default() });
    let publish = Some(v1::PublishDigest { to, digest: Some(digest) });
    let request = PublishDigestRequest { context: None, publish };
    let done: MutationResponse = Raw::connect(root).call("Mutations/PublishDigest", &request)?;
    Ok(done.changes[0].outcome())
}

#[test]
fn content_goes_to_the_teams_store_and_comes_from_there() {
    let team = Team::new();
    let file = |name: &str| team.file(name).display().to_string();
    let certificate = format!(
        "cas-tls-cert = \"{}\"\ncas-tls-key = \"{}\"\n",
        file("builder-7.pem"),
        file("builder-7.key")
    );
    let token = format!("cas-token-file = \"{}\"\n", file("nightly.token"));
    for shown in [certificate, token] {
        let root = worker(&team, &(trusting(&team) + &shown));
        root.started();
        upload(&root).expect("the store takes it");
        assert!(team.root.at(".onewriter/cas/sha256").exists());
        assert_eq!(publish(&root).expect("the store has it"), v1::Outcome::Created);
        assert_eq!(root.read("f"), "abc");
        assert!(!root.at(".onewriter/cas").exists(), "the daemon keeps nothing itself");
    }
}

#[test]
fn a_store_that_is_not_trusted_or_does_not_trust_is_named() {
    let (team, other) = (Team::new(), Team::new());
    for (settings, reason) in [
        (trusting(&other), "STORE_UNAVAILABLE"),
        // The team's server wants to know who asks.
        (trusting(&team), "STORE_REFUSED"),
    ] {
        let root = worker(&team, &settings);
        root.started();
        assert_eq!(reason_of(publish(&root)), reason);
        assert_eq!(reason_of(upload(&root)), reason);
        root.run("mkdir d").ok();
        let log = root.read(".onewriter/daemon.log");
        assert_eq!(log.matches("external store fail").count(), 1, "{log}");
        assert!(log.contains("grpcs://localhost:"), "{log}");
    }
}

#[test]
fn a_daemon_that_cannot_know_its_store_does_not_start() {
    let root = Root::new();
    for (settings, named) in [
        ("cas = \"grpc://192.0.2.1:1\"", "which is for this machine only"),
        ("cas = \"grpcs://localhost:1\"\ncas-tls-ca = \"missing.pem\"", "missing.pem"),
        ("cas = \"grpc://localhost:1\"\ncas-token-file = \"missing\"", "missing"),
    ] {
        root.write(".onewriter/daemon.toml", settings);
        let done = root.client().start_program(ONEWRITERD, "--root .").done();
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(done.stderr.contains(named), "{done}");
    }
}
