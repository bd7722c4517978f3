//! Clients of a daemon that is reached over TCP: they have no build root of their own, and it opens
//! none of their files.

mod memory;
mod store;
mod tls;

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

use crate::support::{Client, Done, Link, Root, until};

/// A root with a daemon, and a place elsewhere for its clients.
pub(crate) struct Afar {
    pub(crate) root: Root,
    pub(crate) link: Link,
}

impl Afar {
    pub(crate) fn new() -> Self {
        let root = Root::new();
        root.started();
        fs::create_dir(root.outside("afar")).expect("a directory");
        let link = Link::to(&root);
        Self { root, link }
    }

    /// A client that stands outside of the root.
    pub(crate) fn client(&self) -> Client<'_> {
        self.root
            .client()
            .within(self.root.outside("afar"))
            .env("ONEWRITER_SERVER", self.link.url())
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &str) -> Done {
        self.client().run(args)
    }

    /// Writes a file for clients to send.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let path = self.root.outside("afar").join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn mode(&self, path: &str) -> u32 {
        let found = fs::metadata(self.root.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        found.permissions().mode() & 0o7777
    }
}

#[test]
fn ordinary_commands_work_from_afar() {
    let afar = Afar::new();
    afar.write("tool", "#!/bin/sh\n", 0o755);
    afar.write("text", "text", 0o644);
    afar.run("mkdir -p d/e").ok();
    afar.run("publish tool d/tool").ok();
    afar.run("cp text tool d").ok();
    afar.run("install -m 600 text d/e/").ok();
    afar.run("mv d/text d/e/moved").ok();
    afar.run("ln -s moved d/e/link").ok();
    afar.run("ln -f d/tool d/e").ok();
    afar.run("touch d/new").ok();
    afar.run("rm d/new").ok();
    assert_eq!(afar.run("cat d/e/link").ok(), "text");
    assert_eq!((afar.mode("d/tool"), afar.mode("d/e/text")), (0o755, 0o600));
    assert_eq!(afar.run("--json stat d/e/moved").json()["stats"][0]["size"], 4);
    for command in ["status", "stats", "log"] {
        assert!(!afar.run(command).ok().is_empty(), "{command}");
    }
    afar.run("report --list").ok();
    afar.run("lock d -- true").ok();
}

/// The process that ends is another machine's: whoever has its number here may live for ever.
#[test]
fn a_daemon_elsewhere_is_told_to_stop_and_not_awaited() {
    let afar = Afar::new();
    let daemon = afar.root.daemon();
    afar.root.sh("mkfifo ../gate").ok();
    let under_way = afar.root.client().start(["run", "--", "sh", "-c", "cat ../gate >f"]);
    let mut gate = fs::OpenOptions::new();
    let mut gate = gate.write(true).open(afar.root.outside("gate")).expect("the pipe's other end");
    afar.run("stop --timeout 10").ok();
    assert!(daemon.lives(), "it finishes what is under way");
    gate.write_all(b"content").expect("the rest");
    drop(gate);
    under_way.done().ok();
    assert_eq!(afar.root.read("f"), "content");
    until("it ends", || !daemon.lives());
}

#[test]
fn trees_are_copied_and_sources_used_up() {
    let afar = Afar::new();
    fs::create_dir_all(afar.root.outside("afar/tree/sub")).expect("directories");
    afar.write("tree/a", "a", 0o640);
    afar.write("tree/sub/b", "b", 0o600);
    afar.run("cp -r tree copy").ok();
    assert_eq!((afar.root.read("copy/sub/b").as_str(), afar.mode("copy/a")), ("b", 0o640));
    afar.run("publish --move tree/a moved").ok();
    assert!(afar.root.at("moved").exists() && !afar.root.outside("afar/tree/a").exists());
    afar.client().run("publish nothing there").exits(1);
}

#[test]
fn what_is_there_already_is_not_sent() {
    let afar = Afar::new();
    let content = vec![b'x'; 1 << 20];
    afar.write("big", &content, 0o644);
    assert_eq!(afar.client().json("publish big big").outcomes(), ["created big"]);
    assert_eq!(afar.client().json("publish big big").outcomes(), ["unchanged big"]);
    // Standard input, too, is known by its digest before it is sent.
    let again = afar.client().input(&content).json("publish big");
    assert_eq!(again.outcomes(), ["unchanged big"]);
    afar.client().input("other").run("publish big").ok();
    assert_eq!(afar.root.read("big"), "other");
}

#[test]
fn nobody_is_started_afar_and_the_cure_is_named() {
    let afar = Afar::new();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", nowhere.local_addr().expect("an address"));
    drop(nowhere);
    let done = afar.client().env("ONEWRITER_SERVER", &address).json("mkdir d");
    done.failed(4, "UNREACHABLE");
    for address in ["https://host", "http://192.0.2.1:7070", "ftp://host:1"] {
        afar.client().env("ONEWRITER_SERVER", address).json("mkdir d").failed(2, "USAGE");
    }
}

#[test]
fn what_would_do_harm_the_second_time_is_done_once_however_often_it_is_sent() {
    let afar = Afar::new();
    afar.write("text", "text", 0o644);
    for (command, lost) in [
        ("publish --new text a", 0),
        ("publish --new text b", 1),
        ("mv a c", 0),
        ("ln b d", 0),
        ("ln -s b e", 0),
        ("mkdir --new f", 0),
        ("rm c d e", 0),
    ] {
        afar.link.lose_answers(2, lost);
        afar.run(command).ok();
    }
    afar.link.lose_answers(0, 0);
    assert!(afar.root.at("b").exists() && !afar.root.at("c").exists());
    // Another request is not the same one.
    afar.client().json("publish --new text b").failed(1, "EXISTS");
    afar.client().json("rm c").failed(1, "NOT_FOUND");
}

#[test]
fn a_command_survives_a_link_that_breaks() {
    let afar = Afar::new();
    afar.link.lose_answers(2, 0);
    afar.run("mkdir -p d/e").ok();
    assert!(afar.root.at("d/e").is_dir());
    afar.write("text", "text", 0o644);
    afar.link.lose_answers(2, 1);
    afar.run("publish text d/text").ok();
    assert_eq!(afar.root.read("d/text"), "text");
}
