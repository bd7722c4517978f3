//! Lists of mutations, and files that belong together: all of it or nothing.

use std::{fs, os::unix::fs::symlink};

use super::nothing_is_left;
use crate::support::{Root, Running, picture, stamp};

#[test]
fn a_list_is_applied_together_in_all_its_spellings() {
    let root = Root::new();
    root.write("old/a b", "x");
    let list = "# what is to be\nmkdir -m 700 out/bin\nmv 'old/a b' out/c\n\
                [\"ln\", \"-s\", \"c\", \"out/link\"]\n\
                {\"rm\": [\"old\"], \"recursive\": true}\n{\"touch\": [\"out/-t\"]}\n";
    let done = root.client().input(list).json("batch");
    let mut outcomes = done.outcomes();
    outcomes.sort();
    assert_eq!(
        outcomes,
        [
            "created out",
            "created out/-t",
            "created out/bin",
            "created out/c",
            "created out/link",
            "removed old"
        ]
    );
    assert_eq!(root.read("out/link"), "x");
    root.write("list", "cp out/c out/d\n");
    root.run("batch list").ok();
    assert_eq!(root.read("out/d"), "x");
    assert!(root.run("log").ok().contains("batch"));
    let modes = root.sh(
        "umask 027; printf 'mkdir m\\ntouch m/f\\nmkdir m/d\\n' | onewriter batch; stat -c %a m m/f m/d",
    );
    assert_eq!(modes.ok(), "750\n640\n750", "the umask is the caller's for every line");
    nothing_is_left(&root);
}

#[test]
fn where_one_fails_nothing_has_happened_and_its_line_is_named() {
    let root = Root::new();
    root.write("f", "x");
    let before = picture(root.path());
    for (list, code, reason, told) in [
        ("mkdir d\nrm missing\n", 1, "NOT_FOUND", "line 2: rm: "),
        ("mkdir d\n\ntouch d/x\nmkdir f/x\n", 1, "NOT_A_DIRECTORY", "line 4: mkdir: "),
        ("mkdir d\nfrobnicate x\n", 2, "USAGE", "line 2 of the list: 'frobnicate' is none of"),
        ("rm *.o\n", 2, "USAGE", "line 1 of the list: no shell reads this"),
        ("mkdir d\n{\"rm\": \"d\"}\n", 2, "USAGE", "line 2 of the list"),
        ("mkdir\n", 2, "USAGE", "line 1 of the list"),
        ("publish x\n", 2, "USAGE", "publish needs a SRC"),
    ] {
        let done = root.client().input(list).run("batch");
        assert_eq!(done.code(), Some(code), "{list}: {done}");
        assert!(done.stderr.contains(told), "{list}: {done}");
        if code == 2 {
            root.client().input(list).json("batch").failed(code, reason);
        }
        assert_eq!(picture(root.path()), before, "{list}");
    }
    root.run("batch no-such-list").exits(1);
    nothing_is_left(&root);
}

#[test]
fn a_list_changes_nothing_outside_of_the_root() {
    let root = Root::new();
    let beside = root.outside("beside");
    fs::create_dir_all(beside.join("d")).unwrap();
    fs::write(beside.join("f"), "theirs").unwrap();
    symlink(&beside, root.at("way")).unwrap();
    root.write("sub/f", "ours");
    let before = (picture(root.path()), picture(&beside));
    let out = beside.display().to_string();
    for line in [
        format!("mkdir {out}/new"),
        "mkdir ../beside/new".into(),
        "mkdir sub/../../beside/new".into(),
        "mkdir way/new".into(),
        "touch way/../new".into(),
        format!("publish sub/f {out}/g"),
        format!("cp sub/f {out}"),
        "cp -r sub way/d".into(),
        format!("install sub/f {out}/g"),
        format!("ln -s x {out}/l"),
        format!("rm -rf {out}/d"),
        "rm way/f".into(),
        format!("mv sub {out}/sub"),
        format!("mv {out}/f here"),
        format!("publish --move {out}/f here"),
        "publish --move way/f here".into(),
        "mv way/f here".into(),
    ] {
        let list = format!("mkdir sub/new\n{line}\n");
        let done = root.client().input(list).run("batch");
        done.exits(1);
        assert!(
            done.stderr.contains("line 2: ") && done.stderr.contains("the build root"),
            "{done}"
        );
        assert_eq!((picture(root.path()), picture(&beside)), before, "{line}");
    }
    // As of any other command.
    let refused = root.run(["mkdir", &format!("{out}/new")]);
    let told = refused.stderr.trim_start_matches("onewriter mkdir: ");
    let listed = root.client().input(format!("mkdir {out}/new")).run("batch");
    assert!(listed.stderr.contains(told), "{listed}");
    // What is only read may lie anywhere, and so may who gives the list.
    root.client().input(format!("cp {out}/f sub/copy\n")).run("batch").ok();
    assert_eq!(root.read("sub/copy"), "theirs");
    let named = ["batch".to_owned(), "--root".into(), root.path().display().to_string()];
    let from_beside = || root.client().within(&beside);
    from_beside().input(format!("rm {}/sub/copy\n", root.path().display())).run(named.clone()).ok();
    from_beside().input("mkdir here\n").run(named).exits(1);
    assert!(!beside.join("here").exists() && !root.at("sub/copy").exists());
    nothing_is_left(&root);
}

#[test]
fn a_list_from_a_pipe_is_applied_again_after_a_conflict() {
    let root = Root::new();
    root.write("src", "batch\n");
    let start = |n: usize| {
        root.write(&format!("src.{n}"), format!("{n}\n"));
        let list = format!("cp src.{n} same\nmkdir d.{n}\n");
        root.client().input(list).start("batch")
    };
    let running: Vec<_> = (0..8).map(start).collect();
    for done in running.into_iter().map(Running::done) {
        assert!(done.succeeded(), "{done}");
    }
    assert!((0..8).all(|n| root.at(&format!("d.{n}")).is_dir()));
    assert!(root.read("same").trim().parse::<usize>().unwrap() < 8);
}

#[test]
fn files_that_belong_together_are_published_together() {
    let root = Root::new();
    root.write("p.c", "1");
    root.write("p.h", "1");
    let done = root.client().json("publish -p p.c p.h --to gen/new");
    assert_eq!(
        done.outcomes(),
        ["created gen", "created gen/new", "created gen/new/p.c", "created gen/new/p.h"]
    );
    let kept = stamp(root.at("gen/new/p.h"));
    root.write("p.c", "2");
    let done = root.client().json("publish p.c p.h --to gen/new");
    assert_eq!(done.outcomes(), ["replaced gen/new/p.c", "unchanged gen/new/p.h"]);
    assert_eq!(stamp(root.at("gen/new/p.h")), kept, "unchanged is untouched");
    root.write("p.c", "3");
    for (args, code, reason) in [
        ("publish p.c missing --to gen/new", 1, "IO"),
        ("publish p.c p.h --to nowhere", 1, "NOT_FOUND"),
        ("publish p.c p.h --to p.c", 1, "NOT_A_DIRECTORY"),
        ("publish p.c ./p.c --to gen/new", 2, "USAGE"),
        ("publish --new p.c p.h --to gen/new", 1, "EXISTS"),
        ("publish p.c p.h gen/new", 2, "USAGE"),
        ("publish p.c gen/p.c --retries 1", 2, "USAGE"),
    ] {
        root.refuses(args, code, reason);
    }
    // A fifo would be waited for with the transaction open.
    root.sh("mkfifo waits").ok();
    root.refuses("publish p.c waits --to gen/new", 1, "SOURCE");
    assert_eq!(root.read("gen/new/p.c"), "2");
    root.run("publish --move p.c p.h --to gen/new").ok();
    assert!(!root.at("p.c").exists() && root.read("gen/new/p.c") == "3");
    nothing_is_left(&root);
}

#[test]
fn what_is_moved_onto_itself_stays() {
    let root = Root::new();
    for file in ["a", "b", "s/c", "s/d"] {
        root.write(file, file);
    }
    let socket = format!("unix:{}", root.at(".onewriter/daemon.sock").display());
    let from_socket = || root.client().env("ONEWRITER_SERVER", &socket);
    for args in [
        "publish --move a b --to .",
        "publish --move s/../a b --unchanged replace --to .",
        "publish --move a a",
        "publish --move s/c a --to s",
    ] {
        root.write("a", "a");
        root.run(args).ok();
        root.write("a", "a");
        from_socket().run(args).ok();
        assert!(!args.ends_with("s") || !root.at("a").exists(), "{args}");
    }
    assert_eq!(
        (root.read("b"), root.read("s/c"), root.read("s/a")),
        ("b".into(), "s/c".into(), "a".into())
    );
    // Onto another with the same content, it goes.
    root.write("a", "a");
    root.run("publish --move a --to s").ok();
    assert!(!root.at("a").exists());
}

#[test]
fn twenty_updates_of_one_archive_lose_nothing() {
    let root = Root::new();
    let add = |n: usize| {
        root.write(&format!("m{n}"), format!("member {n}"));
        root.client().start(format!("run -- ar rc lib.a m{n}").as_str())
    };
    let running: Vec<_> = (0..20).map(add).collect();
    for done in running.into_iter().map(Running::done) {
        assert!(done.succeeded(), "{done}");
    }
    let members = root.sh("ar t lib.a | sort -V | tr '\\n' ' '");
    let expected: Vec<_> = (0..20).map(|n| format!("m{n}")).collect();
    assert_eq!(members.text(), expected.join(" "));
}

#[test]
fn readers_see_each_file_whole_while_commands_rewrite_it() {
    const SIZE: usize = 200_000;
    let root = Root::new();
    root.write("f", "0".repeat(SIZE));
    let writer = |n: usize| {
        let write =
            format!("for i in 1 2 3 4 5; do head -c {SIZE} /dev/zero | tr '\\0' {n} > f; done");
        let words = ["run", "--retries", "50", "--", "sh", "-c", &write];
        root.client().start(words)
    };
    let running: Vec<_> = (1..7).map(writer).collect();
    let mut seen = std::collections::BTreeSet::new();
    let all_done = || root.run("status").ok().lines().count() == 1;
    loop {
        let content = root.read("f");
        let first = content.as_bytes()[0];
        assert_eq!(content.len(), SIZE, "a part of it");
        assert!(content.bytes().all(|byte| byte == first), "two of them");
        seen.insert(first);
        if seen.len() > 1 && all_done() {
            break;
        }
    }
    for done in running.into_iter().map(Running::done) {
        assert!(done.succeeded(), "{done}");
    }
}
