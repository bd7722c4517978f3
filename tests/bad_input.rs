//! What cannot be done is refused, by name, and changes nothing.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use onewriter_client::wire::CallError;
use onewriter_proto::v1::{Change, MutationResponse};
use rustix::fs::{CWD, FileType, RenameFlags, mknodat, renameat_with};

use crate::support::{Done, LIMIT, Raw, Root, picture, reason_of};

/// A root with something in it, and the ways to make, publish, remove, link and describe a path.
fn refused_by_all(root: &Root, path: &OsStr, reason: &str) {
    root.write("src", "content");
    let plain = |words: &[&str]| -> Vec<OsString> {
        words.iter().map(|w| if *w == "PATH" { path.to_owned() } else { w.into() }).collect()
    };
    // Whoever only looks finds nothing below a file.
    let unseen = if reason == "NOT_A_DIRECTORY" { "NOT_FOUND" } else { reason };
    for words in [
        &["mkdir", "PATH"][..],
        &["publish", "src", "PATH"],
        &["publish", "-p", "PATH"],
        &["install", "-D", "-T", "src", "PATH"],
        &["mv", "-T", "src", "PATH"],
        &["ln", "-sf", "-T", "src", "PATH"],
        &["ln", "-T", "src", "PATH"],
        &["touch", "PATH"],
        &["rm", "-rf", "PATH"],
        &["cp", "-T", "src", "PATH"],
        &["cat", "PATH"],
        &["stat", "PATH"],
    ] {
        let reason = if ["cat", "stat"].contains(&words[0]) { unseen } else { reason };
        root.refuses(plain(words), 1, reason);
        let before = picture(root.path());
        let direct = root.client().direct().json(plain(words));
        direct.failed(1, reason);
        assert_eq!(picture(root.path()), before, "a command that was refused changed the tree");
    }
}

#[test]
fn an_empty_path() {
    let root = Root::new();
    refused_by_all(&root, OsStr::new(""), "PATH_EMPTY");
    root.refuses(["publish", "", "dst"], 2, "USAGE");
}

#[test]
fn a_nul_byte() {
    let root = Root::new();
    root.started();
    let mut raw = Raw::connect(&root);
    assert_eq!(reason_of(raw.mkdir(*b"a\0b")), "PATH_NUL");
    assert_eq!(reason_of(raw.publish(root.write("src", ""), *b"a\0b")), "PATH_NUL");
    assert_eq!(reason_of(raw.remove(*b"a\0b")), "PATH_NUL");
    assert_eq!(reason_of(raw.publish("/tmp/a\0b", *b"a")), "BAD_REQUEST");
    assert!(!root.at("a").exists());
}

#[test]
fn ways_out_of_the_root() {
    let root = Root::new();
    let outside = root.outside("x");
    for path in
        ["..", "../x", "a/../../x", "a/b/../../../x", "/", "/tmp/x", outside.to_str().unwrap()]
    {
        refused_by_all(&root, OsStr::new(path), "OUTSIDE_ROOT");
    }
    assert!(!outside.exists());
    // What is no way out is none, however it is spelled.
    root.run("mkdir a/../b ./c/. //d").exits(1);
    root.run(["mkdir", "a/../b", "./c/.", root.at("d/../e").to_str().unwrap()]).ok();
    assert!(root.at("b").is_dir() && root.at("c").is_dir() && root.at("e").is_dir());
}

#[test]
fn paths_that_a_client_must_not_send() {
    let root = Root::new();
    root.started();
    let mut raw = Raw::connect(&root);
    for (path, reason) in [
        (&b""[..], "PATH_EMPTY"),
        (b"..", "PATH_PARENT"),
        (b"a/../b", "PATH_PARENT"),
        (b"/tmp", "PATH_ABSOLUTE"),
        (b".onewriter", "PATH_RESERVED"),
    ] {
        assert_eq!(reason_of(raw.mkdir(path)), reason);
        assert_eq!(reason_of(raw.remove(path)), reason);
    }
    assert!(root.at(".onewriter").is_dir());
}

#[test]
fn a_path_through_a_file() {
    let root = Root::new();
    root.write("file", "x");
    refused_by_all(&root, OsStr::new("file/below/it"), "NOT_A_DIRECTORY");
    let done = root.refuses("mkdir file", 1, "NOT_A_DIRECTORY");
    assert_eq!(done.json()["error"]["path"], "file");
}

#[test]
fn names_of_255_and_256_bytes() {
    let root = Root::new();
    let (long, too_long) = ("n".repeat(255), "n".repeat(256));
    root.run(["mkdir", &long]).ok();
    root.client().input("x").run(["publish", &format!("{long}/{long}")]).ok();
    assert_eq!(root.read(&format!("{long}/{long}")), "x");
    refused_by_all(&root, OsStr::new(&too_long), "NAME_TOO_LONG");
    refused_by_all(&root, OsStr::new(&format!("{too_long}/x")), "NAME_TOO_LONG");
}

#[test]
fn paths_beyond_path_max() {
    let root = Root::new();
    let long = vec!["d".repeat(200); 21].join("/");
    refused_by_all(&root, OsStr::new(&long), "PATH_TOO_LONG");
    // What the root's own path takes away does not count.
    let deep = vec!["d".repeat(200); 20].join("/");
    root.run(["mkdir", &deep]).ok();
    root.client().json(["stat", &deep]).ok();
    root.run(["rm", "-r", &"d".repeat(200)]).ok();
}

#[test]
fn names_that_are_no_text_work() {
    let root = Root::new();
    let name = OsStr::from_bytes(b"caf\xe9\n\x1b[2J");
    root.run([OsStr::new("mkdir"), name]).ok();
    assert!(root.path().join(name).is_dir());
    let file = OsString::from_iter([name, OsStr::new("/f")]);
    root.client().input("x").run([OsStr::new("publish"), &file]).ok();
    assert_eq!(root.run([OsStr::new("cat"), &file]).ok(), "x");
    let stat = root.client().json([OsStr::new("stat"), name]).json();
    assert_eq!(stat["stats"][0]["path_base64"], "Y2Fm6QobWzJK");
    let done = root.client().json([OsStr::new("rm"), name]);
    done.failed(1, "IS_A_DIRECTORY");
    assert!(!done.stderr.contains('\x1b'), "no terminal obeys a name: {done}");
    root.client().within(name).run("mkdir sub").ok();
    assert!(root.path().join(name).join("sub").is_dir());
}

#[test]
fn the_daemons_own_directory() {
    let root = Root::new();
    for path in [".onewriter", ".onewriter/x", "./.onewriter//staging", "sub/.onewriter/y"] {
        refused_by_all(&root, OsStr::new(path), "PATH_RESERVED");
    }
    symlink(".onewriter", root.at("alias")).unwrap();
    refused_by_all(&root, OsStr::new("alias/x"), "PATH_RESERVED");
    root.refuses("cat .onewriter/lock", 1, "PATH_RESERVED");
    root.refuses("publish .onewriter/lock stolen", 1, "PATH_RESERVED");
}

#[test]
fn symlink_loops() {
    let root = Root::new();
    symlink("b", root.at("a")).unwrap();
    symlink("a", root.at("b")).unwrap();
    symlink("self/self", root.at("self")).unwrap();
    refused_by_all(&root, OsStr::new("a/x"), "SYMLINK_LOOP");
    refused_by_all(&root, OsStr::new("self/x"), "SYMLINK_LOOP");
    root.refuses("mkdir a", 1, "SYMLINK_LOOP");
}

#[test]
fn symlinks_out_of_the_root() {
    let root = Root::new();
    let outside = root.outside("victim");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, root.at("absolute")).unwrap();
    symlink("../victim", root.at("relative")).unwrap();
    for path in ["absolute/x", "relative/x", "absolute/x/y"] {
        refused_by_all(&root, OsStr::new(path), "OUTSIDE_ROOT");
    }
    root.refuses("mkdir absolute", 1, "OUTSIDE_ROOT");
    root.refuses("mkdir relative", 1, "OUTSIDE_ROOT");
    fs::write(outside.join("secret"), "s").unwrap();
    root.refuses("cat absolute/secret", 1, "OUTSIDE_ROOT");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // The links themselves are the tree's.
    root.run("rm absolute relative").ok();
    assert!(outside.join("secret").exists());
}

#[test]
fn symlinks_inside_the_root_are_ways_like_others() {
    let root = Root::new();
    fs::create_dir(root.at("real")).unwrap();
    symlink("real", root.at("alias")).unwrap();
    symlink(root.at("real"), root.at("absolute")).unwrap();
    assert_eq!(root.client().json("mkdir alias").outcomes(), ["existed real"]);
    assert_eq!(
        root.client().json("mkdir alias/a absolute/b").outcomes(),
        ["created real/a", "created real/b"]
    );
    root.client().input("x").run("publish alias/f").ok();
    assert_eq!(root.read("real/f"), "x");
}

#[test]
fn symlinks_that_are_swapped_in_meanwhile() {
    let root = Root::new();
    let outside = root.outside("victim");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(root.at("dir")).unwrap();
    symlink(&outside, root.at("aside")).unwrap();
    root.started();
    let source = root.write("src", "content");
    fs::write(outside.join("secret"), "s").unwrap();
    let over = AtomicBool::new(false);
    let (done, met) = (AtomicU64::new(0), AtomicU64::new(0));
    // Each is either done, in the tree, or says what was in its way.
    let count = |answer: Result<MutationResponse, CallError>| match answer {
        Ok(MutationResponse { changes }) => {
            let is_inside = |change: &Change| {
                let path = &change.path[..];
                path.starts_with(b"dir/") || path.starts_with(b"aside/")
            };
            assert!(changes.iter().all(is_inside) && !changes.is_empty(), "{changes:?}");
            done.fetch_add(1, Ordering::Relaxed);
        }
        refused => {
            let reason = reason_of(refused);
            assert!(["OUTSIDE_ROOT", "SYMLINK_RACE"].contains(&&*reason), "{reason}");
            met.fetch_add(1, Ordering::Relaxed);
        }
    };
    let enough = || [&done, &met].iter().all(|n| n.load(Ordering::Relaxed) > 100);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let (here, aside) = (root.at("dir"), root.at("aside"));
                renameat_with(CWD, here, CWD, aside, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let attackers: Vec<_> = (0..3)
            .map(|n| {
                let (root, source, count, enough) = (&root, &source, &count, &enough);
                scope.spawn(move || {
                    let mut raw = Raw::connect(root);
                    let begun = Instant::now();
                    for round in 0.. {
                        if round >= 200 && (enough() || begun.elapsed() > LIMIT) {
                            break;
                        }
                        let path = format!("dir/{n}-{round}");
                        count(raw.mkdir(format!("{path}/deep")));
                        count(raw.publish(source, format!("{path}/file")));
                        count(raw.remove(path));
                    }
                })
            })
            .collect();
        let ended: Vec<_> = attackers.into_iter().map(|attacker| attacker.join()).collect();
        over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    assert!(enough(), "{done:?} were done, {met:?} met the link");
    let left = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["secret"], "something was done outside");
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"s");
}

#[test]
fn sources_that_cannot_be_published() {
    let root = Root::new();
    fs::create_dir(root.at("dir")).unwrap();
    mknodat(CWD, root.at("fifo"), FileType::Fifo, 0o644.into(), 0).unwrap();
    symlink("nowhere", root.at("dangling")).unwrap();
    root.write("dst", "old");
    for source in ["missing", "dir", "fifo", "dangling", "/dev/zero", "missing/x"] {
        for command in ["publish", "cp -T", "install -T", "publish --move"] {
            root.refuses(&format!("{command} {source} dst"), 1, "SOURCE");
            let direct = root.client().direct().json(&format!("{command} {source} dst"));
            direct.failed(1, "SOURCE");
        }
    }
    assert_eq!(root.read("dst"), "old");
    fs::write(root.outside("x"), "").unwrap();
    fs::create_dir(root.outside("d")).unwrap();
    root.refuses(["publish", root.outside("d").to_str().unwrap(), "dst"], 1, "SOURCE");
}

#[test]
fn things_that_are_neither_file_nor_directory_are_in_the_way_by_name() {
    let root = Root::new();
    mknodat(CWD, root.at("fifo"), FileType::Fifo, 0o644.into(), 0).unwrap();
    let says = |done: Done| assert!(done.stderr.contains("fifo"), "{done}");
    says(root.refuses("mkdir fifo", 1, "NOT_A_DIRECTORY"));
    says(root.refuses("mkdir fifo/x", 1, "NOT_A_DIRECTORY"));
}

#[test]
fn more_paths_than_one_request_holds() {
    let root = Root::new();
    let names: Vec<OsString> = (0..10_050).map(|n| format!("d{n}").into()).collect();
    let command =
        |verb: &[&str]| [verb.iter().map(OsString::from).collect(), names.clone()].concat();
    root.run(command(&["mkdir"])).ok();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), names.len() + 1);
    root.run(command(&["rm", "-r"])).ok();
    root.run(command(&["touch"])).ok();
    fs::create_dir(root.at("into")).unwrap();
    root.run(command(&["mv", "-t", "into"])).ok();
    assert_eq!(fs::read_dir(root.at("into")).unwrap().count(), names.len());
    // On the wire each of them is as long as the directory in which the command stands.
    let deep = [&*"x".repeat(250); 15].join("/");
    root.run(["mkdir", "-p", &deep]).ok();
    let stands_there = || root.client().within(root.at(&deep));
    let few = &names[..1500];
    let command = |verb: &str| [[verb.into()].as_slice(), few].concat();
    stands_there().run(command("mkdir")).ok();
    assert_eq!(stands_there().run(command("stat")).ok().lines().count(), few.len());
}
