//! A team's server, as the README sets it up: certificates, tokens, a policy, and clients over TLS.

use std::{fs, path::PathBuf};

use crate::support::{Client, ONEWRITERD, Root, Running, until};

/// The daemon's settings that the README shows.
const SHOWN: &str = include_str!("../../README.md");

/// A root whose daemon others reach over TLS.
pub(super) struct Team {
    pub(super) root: Root,
    pub(super) url: String,
    _daemon: Running,
}

impl Team {
    pub(super) fn new() -> Self {
        let root = Root::new();
        let daemon = |args: Vec<_>| root.client().start_program(ONEWRITERD, args);
        let directory = root.outside("tls");
        let certificates = ["certs", directory.to_str().expect("a name"), "--host"]
            .into_iter()
            .chain("localhost --client builder-7 --client stranger --token nightly".split(' '));
        let printed = daemon(certificates.map(Into::into).collect()).done();
        let (_, settings) = SHOWN.split_once("```toml\nlisten = ").expect("the README's settings");
        let (_, settings) = settings.split_once('\n').expect("an address");
        let (settings, _) = settings.split_once("```").expect("their end");
        let text = format!("listen = [\"127.0.0.1:0\"]\n{}\n{settings}", printed.ok());
        root.write(".onewriter/daemon.toml", text);
        let running = daemon(vec!["--root".into(), root.path().into()]);
        let told = root.at(".onewriter/listening");
        until("it listens", || fs::read_to_string(&told).is_ok_and(|told| told.contains("://")));
        let told = fs::read_to_string(told).expect("where it listens");
        let port = told.trim().rsplit(':').next().expect("a port").to_owned();
        Self { root, url: format!("https://localhost:{port}"), _daemon: running }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.outside("tls").join(name)
    }

    /// Whoever knows the server's authority.
    fn client(&self) -> Client<'_> {
        self.root
            .client()
            .within(self.root.outside(""))
            .env("ONEWRITER_SERVER", &self.url)
            .env("ONEWRITER_TLS_CA", self.file("ca.pem"))
    }

    fn certified(&self, name: &str) -> Client<'_> {
        self.client()
            .env("ONEWRITER_TLS_CERT", self.file(&format!("{name}.pem")))
            .env("ONEWRITER_TLS_KEY", self.file(&format!("{name}.key")))
    }
}

#[test]
fn who_is_known_does_what_the_policy_allows() {
    let team = Team::new();
    let named = || team.certified("builder-7");
    let holding = || team.client().env("ONEWRITER_TOKEN_FILE", team.file("nightly.token"));
    named().run("mkdir -p stage/a").ok();
    holding().input("content").run("publish stage/a/f").ok();
    assert_eq!(named().run("cat stage/a/f").ok(), "content");
    let refused = named().json("mkdir src");
    refused.failed(1, "FORBIDDEN");
    assert!(!team.root.at("src").exists());
    assert!(refused.text().contains("cert:builder-7"), "it says who asked: {refused}");
    named().json("stop").failed(1, "FORBIDDEN");
    // Certified, but nobody whom a rule names.
    team.certified("stranger").json("stat stage").failed(1, "FORBIDDEN");
}

#[test]
fn a_client_is_added_to_an_authority_that_there_is() {
    let team = Team::new();
    let directory = team.root.outside("tls");
    let directory = directory.to_str().expect("a name");
    let more = ["certs", directory, "--client", "late"];
    team.root.client().start_program(ONEWRITERD, more).done().ok();
    // The server knows who it is, and no rule names it.
    team.certified("late").json("stat stage").failed(1, "FORBIDDEN");
}

#[test]
fn who_is_not_known_is_told_so() {
    let team = Team::new();
    team.client().json("stat .").failed(1, "UNAUTHENTICATED");
    let token = team.root.outside("forged.token");
    fs::write(&token, "0".repeat(64)).expect("a token");
    let forged = team.client().env("ONEWRITER_TOKEN_FILE", &token);
    forged.json("stat .").failed(1, "UNAUTHENTICATED");
    // Nor does a client trust a server that its authority has not signed.
    let other = Team::new();
    let fooled = team.certified("builder-7").env("ONEWRITER_TLS_CA", other.file("ca.pem"));
    fooled.json("stat .").failed(4, "UNREACHABLE");
}
