//! What is left to the shell: wherever it, or a tool, could do something else than is foreseen.

use super::{NOT_SIMPLE, tree};
use crate::support::{Client, Root, picture, write_program};

/// A root with the small tree in it.
fn planted() -> Root {
    let root = Root::new();
    tree::plant(&root.at("case"));
    root
}

#[track_caller]
fn refuses(root: &Root, client: Client<'_>, words: &[&str]) {
    let before = picture(root.path());
    let words: Vec<_> = ["simple"].iter().chain(words).map(Into::into).collect();
    let done = client.within("case").run(words);
    assert_eq!(done.code(), Some(NOT_SIMPLE), "{done}");
    assert!(done.stderr.contains("needs a shell"), "{done}");
    assert_eq!(picture(root.path()), before, "{done}");
}

#[test]
fn lines_that_may_mean_something_else() {
    let root = planted();
    let outside = format!("touch {}", root.outside("x").display());
    let long = format!("touch {}", "x".repeat(300));
    for line in [
        // The shell's own business.
        "touch $x",
        "touch *",
        "touch a | true",
        "touch a &",
        "(touch a)",
        "touch a || touch b",
        "x=1 touch a",
        "if true; then touch a; fi",
        "touch a 2>b",
        "mkdir a > b",
        "exec touch a",
        "make",
        "./touch a",
        "touch a # b",
        "echo a\\\\nb",
        "echo 'a\\nb'",
        "echo -e a",
        "printf %d 1",
        // Options that are not known here.
        "mkdir --par a",
        "mkdir -v a",
        "cp -u f a",
        "cp --reflink f a",
        "mv -n f a",
        "ln -r f a",
        "rm -i f",
        "touch -d now a",
        "touch -t 201501010000 a",
        "install -s f a",
        "install -o root f a",
        "install -b f a",
        "rmdir -p e",
        "chmod --reference=f g",
        "cp -l f a",
        "mkdir --version",
        // Command lines that the tools refuse.
        "mkdir",
        "cp f",
        "mv f",
        "rm",
        "touch",
        "chmod 755",
        "chmod 8 f",
        "mkdir -m nonsense a",
        "cp f g nowhere",
        "cp f g -t d -T",
        // Places that are not the tree's, or not to be touched.
        "touch out",
        "touch out/x",
        "mkdir ../../../x",
        "rm -rf .",
        "rm -rf ..",
        "rmdir d/..",
        "touch ../.onewriter/x",
        "rm -rf ../.onewriter",
        "cp -r .. ../../copy",
        "cd .. && rm -rf case/../case/.",
        "cd /",
        "cd ~",
        "cd -",
        "cd d && cd ../..",
        "cp /etc/passwd a",
        "mv f /dev/null",
        "cd ''",
        // Things about which tools have rules of their own.
        "cp f f",
        "cp f ./f",
        "mv f f",
        "ln -sf f f",
        "cp h1 h2",
        "mv h1 h2",
        "cp g h1",
        "echo a > h1",
        "cp f dang",
        "touch dang",
        "mv d d/e",
        "cp -r d d/e",
        "mv d e/../d/x",
        "mkdir sgid/x",
        "touch sgid/x",
        "chmod 4755 f",
        "mkdir -m 1777 a",
        "install -m 2755 f a",
        "echo a >> f",
        "cp -a tree x",
        "touch f/",
        "mv f new/",
        "cp f new/",
        "mkdir f/x",
        "cp d/f f d e && cp f/x f",
        "touch it''s/",
        "touch 'a\nb'",
        "rm \"a\\b\"",
        &outside,
        &long,
    ] {
        refuses(&root, root.client().env("LC_ALL", "C"), &["--", line]);
    }
}

#[test]
fn surroundings_that_change_what_a_line_means() {
    let root = planted();
    for (name, value) in [
        ("BASH_FUNC_mkdir%%", "() { :; }"),
        ("CDPATH", "/"),
        ("POSIXLY_CORRECT", "1"),
        ("SHELLOPTS", "noglob"),
        ("BASH_ENV", "/nowhere"),
        ("ENV", "/nowhere"),
        ("ONEWRITER", "off"),
        ("PATH", ""),
        ("PATH", "/nowhere"),
    ] {
        refuses(&root, root.client().env(name, value), &["mkdir new"]);
    }
    for words in [["--shell=/bin/zsh"], ["--shell=python3"], ["--flags=-xc"], ["--flags=-c -e"]] {
        refuses(&root, root.client(), &[words[0], "mkdir new"]);
    }
    // A tool of the user's own.
    write_program(root.at("own/mkdir"), "#!/bin/sh\n");
    let path = format!("{}:/usr/bin:/bin", root.at("own").display());
    refuses(&root, root.client().env("PATH", path), &["mkdir new"]);
    refuses(&root, root.client(), &["/usr/local/bin/mkdir new"]);
    // Messages of another language; what has none is done.
    let foreign = || root.client().env("LC_ALL", "de_DE.UTF-8");
    refuses(&root, foreign(), &["mkdir d"]);
    foreign().within("case").run(["simple", "mkdir new"]).ok();
    assert!(root.at("case/new").is_dir());
    // No root, and a root of somebody else's making.
    let plain = Root::uninitialised("plain");
    tree::plant(&plain.at("case"));
    refuses(&plain, plain.client(), &["mkdir new"]);
}

#[test]
fn what_is_simple() {
    let root = planted();
    for (line, printed) in [
        ("", ""),
        (":", ""),
        ("echo a 'b  c'", "a b  c"),
        ("mkdir -p a/b && cp f a/b && touch a/stamp", ""),
        ("cd d && install -c -m 644 f ../a/b/g; echo done", "done"),
        ("/bin/mkdir -p a/b; /usr/bin/install -c f a", ""),
        ("echo a > x && echo b >> x && cp x y && mv y z && rm -f x", ""),
        ("ln -sf f link && ln f hard && rm -rf a && rmdir e", ""),
        ("cp -r tree copy && chmod -R go-w copy && cp -p f kept", ""),
    ] {
        let done = root.client().within("case").run(["simple", "--", line]);
        assert_eq!(done.ok(), printed, "{line}");
    }
    assert_eq!(root.read("case/z"), "a\nb\n");
    // Three commands, one request.
    root.client().within("case").run(["simple", "mkdir -p q/r && cp f q/r/f && touch q/s"]).ok();
    let log = root.run("log --json").text().to_owned();
    let last: Vec<_> = log.lines().rev().take(4).collect();
    assert!(last.iter().all(|line| line.contains("\"batch\"")), "{log}");
}
