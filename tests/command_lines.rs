//! Command lines: help, options common to all commands, and how mistakes are told.

use crate::support::Root;

#[test]
fn every_command_explains_itself() {
    let root = Root::uninitialised("plain");
    let overview = root.run("--help");
    let verbs: Vec<&str> = overview
        .ok()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|verb| !verb.is_empty())
        .collect();
    let wanted = "init mkdir publish cp install mv ln rm touch stat cat log status stats stop completions simple shims";
    for verb in wanted.split(' ') {
        assert!(verbs.contains(&verb), "{verb} is not in the overview: {verbs:?}");
        let help = root.run([verb, "--help"]);
        assert!(help.ok().contains(&format!("Usage: onewriter {verb}")), "{help}");
        root.run(["help", verb]).ok();
        // After a mistake, too.
        let mistake = root.run([verb, "--nonsense"]);
        mistake.exits(2);
        assert!(mistake.stdout.is_empty(), "{mistake}");
        assert!(help.text().lines().all(|line| line.chars().count() <= 100), "{help}");
        assert_eq!(
            help.text().contains("--root"),
            !matches!(verb, "init" | "completions" | "shims")
        );
        assert!(root.run([verb, "--version"]).ok().starts_with(&format!("onewriter {verb} ")));
    }
    let install = root.run("install --help");
    let usage = "Usage: onewriter install [OPTIONS] SRC... DST
       onewriter install [OPTIONS] -d DIR...

Options:
  -d, --directory  ";
    assert!(install.ok().contains(usage), "{install}");
    assert!(overview.text().contains("Exit codes:"));
    assert!(root.run("--version").ok().starts_with("onewriter "));
    root.run([""; 0]).exits(2);
    root.run("nonsense").exits(2);
}

#[test]
fn hints_say_what_helps_the_one_who_asked() {
    let root = Root::new();
    root.write("src", "");
    root.write("tree/file", "");
    for (command, hint) in [
        ("rm tree", "rm -r"),
        ("rm -r .", "the build root stays"),
        ("cat tree", "name a file in it"),
        ("publish src x/y", "-p makes"),
        ("install src x/y", "-D makes"),
        ("mv -T src tree", "name a file in that directory"),
        ("cat missing", "check the name"),
        ("mv missing name", "if a directory for DST is missing"),
        ("ln missing name", "if a directory for DST is missing"),
        ("report", "'onewriter make' or --build begins one"),
    ] {
        let done = root.run(command);
        done.exits(1);
        assert!(done.stderr.split("hint: ").nth(1).is_some_and(|h| h.contains(hint)), "{done}");
    }
    let path = format!("--root={}", root.path().display());
    let outside = root.client().within("/").run(["mkdir", &path, "d"]);
    outside.exits(1);
    assert!(outside.stderr.contains("absolute path"), "{outside}");
    for (settings, hint) in [("--server=unix:/nope", "check the address"), ("--timeout=20", "off")]
    {
        let broken = root.client().env("ONEWRITER_DAEMON", "/nowhere");
        if hint == "off" {
            root.run(["stop"; 1]).ok();
        }
        let done = broken.run(["mkdir", settings, "d"]);
        done.exits(4);
        assert!(done.stderr.contains(hint), "{done}");
        assert_eq!(done.stderr.contains("ONEWRITER=off"), hint == "off", "{done}");
    }
}

#[test]
fn completions_are_scripts() {
    let root = Root::uninitialised("plain");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(root.run(["completions", shell]).ok().contains("onewriter"));
    }
    root.run("completions tcsh").exits(2);
    let script = "onewriter completions bash >c && bash -n c && . ./c";
    root.client().start_program("bash", ["-c", script]).done().ok();
}

#[test]
fn a_server_may_be_named_by_its_address() {
    let root = Root::new();
    root.started();
    let server = "--server=unix:.onewriter/daemon.sock";
    root.run(["mkdir", server, "a/b"]).ok();
    root.write("src", "content");
    root.run(["publish", server, "src", "dst"]).ok();
    root.client().input("streamed").run(["publish", server, "a/s"]).ok();
    assert_eq!((&root.read("dst")[..], &root.read("a/s")[..]), ("content", "streamed"));
    assert_eq!(root.run(["cat", server, "a/s"]).ok(), "streamed");
    let variable = root.client().env("ONEWRITER_SERVER", "unix:.onewriter/daemon.sock");
    variable
        .within("a")
        .env("ONEWRITER_SERVER", format!("unix://{}", root.at(".onewriter/daemon.sock").display()))
        .run("mkdir c")
        .ok();
    assert!(root.at("c").is_dir(), "a path is relative to the server's root");
    root.refuses("mkdir --server=unix:missing.sock d", 4, "UNREACHABLE");
    root.refuses("mkdir --server=ftp://host d", 2, "USAGE");
}

#[test]
fn common_options_may_come_before_the_command() {
    let root = Root::new();
    let path = root.path().to_str().unwrap();
    let elsewhere = || root.client().within("/");
    elsewhere().run(["--root", path, "--timeout=20", "mkdir", root.at("d").to_str().unwrap()]).ok();
    assert!(root.at("d").is_dir());
    let status = elsewhere().run(["--json", &format!("--root={path}"), "status"]).json();
    assert_eq!(status["running"], true);
    elsewhere().run(["--root", path, "stop"]).ok();
    assert_eq!(root.daemons(), []);
    for alone in [["--root", path], ["--json", "--root"], ["--json", "--json"]] {
        let done = elsewhere().run(alone);
        done.exits(2);
        let told = ["a command is missing", "--help"];
        assert!(told.iter().all(|part| done.stderr.contains(part)), "{done}");
    }
    assert_eq!(elsewhere().run(["--json"; 1]).json()["error"]["reason"], "USAGE");
}

#[test]
fn nonsense_is_refused_before_anything_is_done() {
    let root = Root::new();
    for command in [
        "mkdir -m 9 d",
        "mkdir -m u+q d",
        "mkdir --timeout=never d",
        "mkdir --timeout=-1 d",
        "mkdir --server= --timeout 0 d",
    ] {
        root.refuses(command, 2, "USAGE");
    }
    for command in [
        "mkdir",
        "mkdir -q d",
        "mkdir --mode",
        "stop now",
        "publish a b c",
        "publish a -v b -v c",
        "publish",
        "mkdir -p=1 d",
    ] {
        root.run(command).exits(2);
        if command.contains(' ') {
            root.client().json(command).exits(2);
            let error = root.client().json(command).json();
            assert_eq!(error["error"]["reason"], "USAGE", "{command}");
        }
    }
    assert!(!root.run("cp -a x y").stderr.contains("tip:"), "-a is not meant as a path");
    let done = root.client().env("ONEWRITER", "perhaps").json("mkdir d");
    done.failed(2, "USAGE");
    assert_eq!(root.daemons(), []);
}
