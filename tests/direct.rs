//! `ONEWRITER=off`: the same without a daemon.

use std::fs;

use crate::support::{Root, shape};

/// Commands, and what goes to their standard input.
const SCRIPT: &[(&str, &str)] = &[
    ("mkdir a/b/c", ""),
    ("mkdir -m 2750 a/special", ""),
    ("mkdir a/b", ""),
    ("mkdir outside/x", ""),
    ("publish a/piped", "piped"),
    ("publish a/piped", "piped"),
    ("publish a/piped", "other"),
    ("publish -p -m 600 a/piped new/dir/file", ""),
    ("publish --new a/piped new/dir/file", ""),
    ("publish --move a/piped a/moved", ""),
    ("publish src/one dst", ""),
    ("cp src/one src/two a", ""),
    ("cp -rp src copy", ""),
    ("cp -r src copy/again", ""),
    ("install -Dm 700 src/two x/y/z", ""),
    ("install -d i/j", ""),
    ("install -C src/two x/y/z", ""),
    ("mv a/one a/uno", ""),
    ("mv --keep a/uno dst", ""),
    ("mv missing dst", ""),
    ("ln a/two hard", ""),
    ("ln -s a/two soft", ""),
    ("ln -s a/two soft", ""),
    ("ln -sf a/one soft", ""),
    ("ln -sf a/two soft", ""),
    ("touch t1 a/t2", ""),
    ("touch -c missing", ""),
    ("touch -d @1000000000 t1", ""),
    ("rm hard missing", ""),
    ("rm a", ""),
    ("rm -rf a/b missing", ""),
    ("rm -d i/j", ""),
    ("mkdir dst/below", ""),
    ("mkdir ../x", ""),
    ("mkdir .onewriter/x", ""),
    ("publish src link-out/x", ""),
    ("stat soft missing", ""),
    ("cat dst", ""),
    ("cat missing", ""),
];

fn prepared() -> Root {
    let root = Root::new();
    root.write("src/one", "1");
    root.write("src/two", "2");
    root.write("src/sub/three", "3");
    std::os::unix::fs::symlink("one", root.at("src/link")).unwrap();
    std::os::unix::fs::symlink("/tmp", root.at("link-out")).unwrap();
    root
}

#[test]
fn the_same_commands_do_and_say_the_same() {
    let (served, direct) = (prepared(), prepared());
    for (command, input) in SCRIPT {
        let with = served.client().input(input).json(*command);
        let without = direct.client().direct().input(input).json(*command);
        assert_eq!(with.code(), without.code(), "{with}\n{without}");
        if with.succeeded() && !command.starts_with("stat") {
            assert_eq!(with.text(), without.text(), "{with}\n{without}");
        } else if !with.succeeded() {
            assert_eq!(
                with.json()["error"]["reason"],
                without.json()["error"]["reason"],
                "{with}\n{without}"
            );
        }
        assert_eq!(shape(served.path()), shape(direct.path()), "{command}");
    }
    assert_eq!(direct.daemons(), []);
    assert!(!direct.at(".onewriter/daemon.sock").exists());
    assert!(direct.staging().is_empty());
    served.daemon();
}

#[test]
fn no_command_starts_a_daemon() {
    let root = prepared();
    root.write("f", "x");
    for command in ["status", "stats", "stop", "stat f", "cat f", "mkdir d", "publish f g"] {
        root.client().direct().run(command).ok();
    }
    let done = root.client().direct().json(["log"; 1]);
    done.failed(4, "UNREACHABLE");
    assert!(done.stderr.contains("the daemon keeps the journal"), "{done}");
    assert_eq!(root.daemons(), []);
    root.run("mkdir e").ok();
    root.client().direct().run("log").ok();
}

#[test]
fn processes_without_a_daemon_do_not_disturb_each_other() {
    let root = Root::new();
    let clients: Vec<_> = (0..24)
        .map(|n| {
            let client = root.client().direct().input(vec![b'a' + n; 20_000]);
            (
                client.start("publish -p deep/er/file"),
                root.client().direct().start(["mkdir", &format!("deep/er/{n}/x")]),
            )
        })
        .collect();
    for (publisher, maker) in clients {
        publisher.done().ok();
        maker.done().ok();
    }
    let content = fs::read(root.at("deep/er/file")).unwrap();
    assert!(content.len() == 20_000 && content.iter().all(|b| *b == content[0]));
    assert!(root.staging().is_empty());
    assert_eq!(root.daemons(), []);
}

#[test]
fn a_server_cannot_be_named_without_using_it() {
    let root = Root::new();
    let named = root.client().direct().env("ONEWRITER_SERVER", "unix:/tmp/x.sock");
    named.json("mkdir d").failed(2, "USAGE");
}

#[test]
fn where_no_build_root_is_a_makefile_stays_usable() {
    let place = Root::uninitialised("no/root");
    place.write("f", "content");
    place.write("old", "old");
    let run = |args: &str| {
        place.client().direct().run(args).ok();
    };
    run("mkdir -p a/b ../beside");
    run("publish f old");
    run("install -Dm 600 f a/c/d");
    run("ln -sf f a/link");
    run("mv a/c/d ../beside/d");
    run("rm -r a");
    place.client().direct().input("piped").run("publish ../beside/piped").ok();
    assert_eq!(place.read("old"), "content");
    assert_eq!(place.read("../beside/d"), "content");
    assert_eq!(place.read("../beside/piped"), "piped");
    assert!(!place.at("a").exists());
    let names = |dir: &str| {
        let names = fs::read_dir(place.at(dir)).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("."), ["f", "old"], "nothing is left beside what was published");
    assert_eq!(names("../beside"), ["d", "piped"]);
    assert!(!place.outside(".onewriter").exists());
    place.client().json("mkdir x").failed(3, "NO_ROOT");
}
