//! Every command in the forms that people use: what it does, what it prints, how it exits.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use crate::support::{Root, stamp};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

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
    let wanted =
        "init mkdir publish cp install mv ln rm touch stat cat log status stats stop completions";
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
        assert_eq!(help.text().contains("--root"), !matches!(verb, "init" | "completions"));
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
fn init_makes_a_root_once() {
    let root = Root::uninitialised("new");
    let first = root.client().json("init .").json();
    assert_eq!((&first["created"], first["root"].as_str()), (&true.into(), root.path().to_str()));
    let again = root.client().json(["init"; 1]).json();
    assert_eq!(again["created"], false);
    assert_eq!(root.read(".onewriter/.gitignore"), "*\n");
    root.run("init missing").exits(1);
    assert_eq!(root.daemons(), []);
}

#[test]
fn a_root_inside_another_must_be_meant() {
    let root = Root::new();
    fs::create_dir_all(root.at("sub/dir")).unwrap();
    let done = root.client().json("init sub/dir");
    done.failed(1, "EXISTS");
    assert!(done.stderr.contains(root.path().to_str().unwrap()), "it names the other: {done}");
    root.client().within("sub").run(["init"; 1]).exits(1);
    assert!(!root.at("sub/.onewriter").exists() && !root.at("sub/dir/.onewriter").exists());
    root.run("init --nested sub/dir").ok();
    assert_eq!(root.client().json("init sub/dir").json()["created"], false);
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
fn a_daemon_that_does_not_answer_is_named() {
    let root = Root::new();
    let daemon = root.started();
    daemon.stop();
    let done = root.client().json("mkdir --timeout=0.3 d");
    daemon.signal(rustix::process::Signal::CONT);
    done.failed(5, "TIMED_OUT");
    assert!(done.stderr.contains(&format!("pid {}", daemon.0)), "{done}");
    assert!(done.stderr.contains("daemon.log"), "{done}");
}

#[test]
fn mkdir_makes_directories() {
    let root = Root::new();
    let done = root.client().json("mkdir a/b c");
    assert_eq!(done.outcomes(), ["created a", "created a/b", "created c"]);
    assert_eq!(root.client().json("mkdir -p a/b").outcomes(), ["existed a/b"]);
    assert_eq!(root.run("mkdir -pv a/b d").ok(), "existed 'a/b'\ncreated 'd'");
    assert_eq!(root.run("mkdir -p e").ok(), "");
    root.refuses("mkdir --new a/b", 1, "EXISTS");
    root.refuses("mkdir --no-parents x/y", 1, "NOT_FOUND");
    root.run("mkdir -m755 m1 --").ok();
    root.run("mkdir --mode=2750 m2").ok();
    root.run("mkdir -m u=rwx,go= m3").ok();
    root.run("mkdir -- -odd").ok();
    assert_eq!(
        [mode(root.at("m1")), mode(root.at("m2")), mode(root.at("m3"))],
        [0o755, 0o2750, 0o700]
    );
    assert!(root.at("-odd").is_dir());
    root.client().within("a/b").run("mkdir ../x deeper").ok();
    assert!(root.at("a/x").is_dir() && root.at("a/b/deeper").is_dir());
}

#[test]
fn all_directories_are_attempted_whatever_becomes_of_the_first() {
    let root = Root::new();
    root.write("file", "");
    let done = root.client().json("mkdir a file/x b");
    done.failed(1, "NOT_A_DIRECTORY");
    assert_eq!(done.json()["error"]["path"], "file/x");
    assert!(root.at("a").is_dir() && root.at("b").is_dir());
}

#[test]
fn publish_takes_a_file_or_standard_input() {
    let root = Root::new();
    root.write("src", "one");
    assert_eq!(root.client().json("publish src dst").outcomes(), ["created dst"]);
    assert_eq!(root.client().json("publish src dst").outcomes(), ["unchanged dst"]);
    assert_eq!(root.read("src"), "one");
    let from_pipe = |text: &str| root.client().input(text).json("publish dst").outcomes();
    assert_eq!(from_pipe("two"), ["replaced dst"]);
    assert_eq!(from_pipe("two"), ["unchanged dst"]);
    assert_eq!(root.read("dst"), "two");
    assert_eq!(root.client().input("").json("publish empty").outcomes(), ["created empty"]);
    root.refuses("publish src x/y", 1, "NOT_FOUND");
    assert_eq!(root.run("publish -pv src x/y").ok(), "created 'x'\ncreated 'x/y'");
    root.refuses("publish --new src dst", 1, "EXISTS");
    root.run("publish -m 640 src dst").ok();
    assert_eq!((mode(root.at("dst")), &root.read("dst")[..]), (0o640, "one"));
    let moved = root.client().json("publish --move src dst2").outcomes();
    assert!(moved.contains(&"created dst2".into()), "{moved:?}");
    assert!(!root.at("src").exists());
    root.refuses("publish --move src", 2, "USAGE");
    let null = root.sh("exec onewriter publish --json nothing </dev/null");
    null.failed(2, "USAGE");
    assert!(null.stderr.contains("/dev/null") && !root.at("nothing").exists(), "{null}");
    assert!(root.staging().is_empty());
}

#[test]
fn publish_does_what_it_is_told_with_unchanged_content() {
    let root = Root::new();
    root.write("src", "same");
    root.write("dst", "same");
    let first = stamp(root.at("dst"));
    root.run("publish --unchanged=keep src dst").ok();
    assert_eq!(stamp(root.at("dst")), first);
    root.run("publish --unchanged touch src dst").ok();
    let touched = stamp(root.at("dst"));
    assert!(touched.0 == first.0 && touched.1 > first.1, "{first:?} {touched:?}");
    root.run("publish --unchanged=replace src dst").ok();
    assert_ne!(stamp(root.at("dst")).0, first.0);
    root.refuses("publish --unchanged=perhaps src dst", 2, "USAGE");
}

#[test]
fn cp_copies_files_and_trees() {
    let root = Root::new();
    root.write("src/a", "a");
    root.write("src/sub/b", "b");
    std::os::unix::fs::symlink("a", root.at("src/link")).unwrap();
    fs::set_permissions(root.at("src/a"), fs::Permissions::from_mode(0o754)).unwrap();
    fs::create_dir(root.at("dir")).unwrap();
    root.run("cp src/a copy").ok();
    root.run("cp src/a src/sub/b dir").ok();
    root.run("cp -t dir src/link").ok();
    assert_eq!((&root.read("copy")[..], mode(root.at("copy")) & 0o700), ("a", 0o700));
    assert_eq!(
        (&root.read("dir/a")[..], &root.read("dir/b")[..], &root.read("dir/link")[..]),
        ("a", "b", "a")
    );
    root.refuses("cp src all", 1, "SOURCE");
    root.run("cp -r src all").ok();
    root.run("cp -R src all").ok();
    assert_eq!((&root.read("all/sub/b")[..], &root.read("all/src/sub/b")[..]), ("b", "b"));
    assert_eq!(fs::read_link(root.at("all/link")).unwrap(), Path::new("a"));
    root.run("cp -rT src all2").ok();
    root.run("cp -rT src all2").ok();
    assert!(!root.at("all2/src").exists());
    root.run("cp -p src/a kept").ok();
    assert_eq!(stamp(root.at("kept")).1, stamp(root.at("src/a")).1);
    assert_eq!(mode(root.at("kept")), 0o754);
    root.run("cp -rpT src kept-too").ok();
    assert_eq!(stamp(root.at("kept-too/sub")).1, stamp(root.at("src/sub")).1);
    // As make expects of cp, an unchanged copy is newer than its source.
    let before = stamp(root.at("copy"));
    root.run("cp src/a copy").ok();
    assert!(stamp(root.at("copy")).0 == before.0 && stamp(root.at("copy")).1 > before.1);
    // A link is written through.
    root.run("cp src/sub/b all/link").ok();
    assert_eq!(root.read("all/a"), "b");
    root.refuses("cp src/a src/sub/b copy", 2, "USAGE");
    root.refuses("cp src/a", 2, "USAGE");
}

#[test]
fn a_directory_is_not_copied_into_itself() {
    let root = Root::new();
    for n in 0..600 {
        root.write(&format!("src/{n:03}"), "");
    }
    root.refuses("cp -r src src/zz", 1, "SOURCE");
    fs::create_dir(root.at("src/into")).unwrap();
    root.refuses("cp -r src src/into", 1, "SOURCE");
    root.refuses("cp -rT src src", 1, "SOURCE");
}

#[test]
fn install_copies_with_a_mode_and_makes_directories() {
    let root = Root::new();
    root.write("src", "x");
    root.write("src2", "y");
    root.run("install src bin").ok();
    assert_eq!(mode(root.at("bin")), 0o755);
    root.run("install -Dm644 src usr/share/x").ok();
    assert_eq!((mode(root.at("usr/share/x")), mode(root.at("usr/share"))), (0o644, 0o755));
    root.run("install -d -m 700 etc etc/deep").ok();
    assert_eq!([mode(root.at("etc")), mode(root.at("etc/deep"))], [0o700, 0o700]);
    root.run("install -m=600 -t usr src src2").ok();
    assert_eq!((mode(root.at("usr/src")), &root.read("usr/src2")[..]), (0o600, "y"));
    root.run("install -D -t new/dir src src2").ok();
    assert_eq!(root.read("new/dir/src2"), "y");
    let before = stamp(root.at("bin"));
    root.run("install -C src bin").ok();
    assert_eq!(stamp(root.at("bin")), before);
    root.run("install -c src bin").ok();
    assert_ne!(stamp(root.at("bin")), before);
    root.run("install -p src kept").ok();
    assert_eq!(stamp(root.at("kept")).1, stamp(root.at("src")).1);
    root.refuses("install -m nonsense src bin", 2, "USAGE");
}

#[test]
fn mv_renames_and_moves_in() {
    let root = Root::new();
    root.write("a", "a");
    root.write("b", "b");
    root.write("dir/x", "x");
    root.run("mv a c").ok();
    assert!(!root.at("a").exists() && root.read("c") == "a");
    root.run("mv b c").ok();
    assert_eq!(root.read("c"), "b");
    root.run("mv c dir").ok();
    root.run("mv dir moved").ok();
    assert_eq!((&root.read("moved/c")[..], &root.read("moved/x")[..]), ("b", "x"));
    root.refuses("mv missing c", 1, "NOT_FOUND");
    root.refuses("mv --new moved/c moved/x", 1, "EXISTS");
    root.refuses("mv -T moved/c moved", 1, "NOT_EMPTY");
    fs::write(root.outside("new"), "from outside").unwrap();
    root.run(["mv", root.outside("new").to_str().unwrap(), "in"]).ok();
    assert!(root.read("in") == "from outside" && !root.outside("new").exists());
    // The idiom of a generator.
    root.write("gen.new", "from outside");
    let before = stamp(root.at("in"));
    fs::set_permissions(root.at("gen.new"), fs::metadata(root.at("in")).unwrap().permissions())
        .unwrap();
    root.run("mv --keep gen.new in").ok();
    assert!(stamp(root.at("in")) == before && !root.at("gen.new").exists());
}

#[test]
fn ln_makes_links() {
    let root = Root::new();
    root.write("file", "x");
    root.run("ln file hard").ok();
    assert_eq!(stamp(root.at("hard")), stamp(root.at("file")));
    root.run("ln -s anything/at/all soft").ok();
    assert_eq!(fs::read_link(root.at("soft")).unwrap(), Path::new("anything/at/all"));
    root.refuses("ln -s other soft", 1, "EXISTS");
    root.run("ln -sf other soft").ok();
    assert_eq!(fs::read_link(root.at("soft")).unwrap(), Path::new("other"));
    let before = stamp(root.at("soft"));
    assert_eq!(root.client().json("ln -sf other soft").outcomes(), ["unchanged soft"]);
    assert_eq!(stamp(root.at("soft")), before);
    fs::create_dir(root.at("dir")).unwrap();
    root.run("ln -s ../file dir").ok();
    assert_eq!(fs::read_link(root.at("dir/file")).unwrap(), Path::new("../file"));
    root.run("ln -sfn dir current").ok();
    root.run("ln -sfn elsewhere current").ok();
    assert_eq!(fs::read_link(root.at("current")).unwrap(), Path::new("elsewhere"));
    root.refuses("ln missing name", 1, "NOT_FOUND");
}

#[test]
fn rm_removes() {
    let root = Root::new();
    root.write("file", "");
    root.write("tree/deep/file", "");
    fs::create_dir(root.at("empty")).unwrap();
    assert_eq!(root.client().json("rm file").outcomes(), ["removed file"]);
    root.refuses("rm file", 1, "NOT_FOUND");
    assert_eq!(root.client().json("rm -f file").outcomes(), ["absent file"]);
    root.refuses("rm tree", 1, "IS_A_DIRECTORY");
    root.refuses("rm -d tree", 1, "NOT_EMPTY");
    root.run("rm -d empty").ok();
    assert_eq!(root.run("rm -rfv tree missing").ok(), "removed 'tree'\nabsent 'missing'");
    assert!(!root.at("tree").exists() && !root.at("empty").exists());
    root.run("rm -f").ok();
    root.run("rm -rf").ok();
    root.refuses(["rm"; 1], 2, "USAGE");
    root.refuses("rm -rf .", 1, "BAD_REQUEST");
    crate::support::until("the space is freed", || root.staging().is_empty());
}

#[test]
fn touch_sets_times() {
    let root = Root::new();
    root.run("touch new").ok();
    assert_eq!(root.read("new"), "");
    root.run("touch -c missing").ok();
    assert!(!root.at("missing").exists());
    root.run("touch -d @1700000000.5 new").ok();
    assert_eq!(stamp(root.at("new")).1, 1_700_000_000_500_000_000);
    root.run("touch -r new other").ok();
    assert_eq!(stamp(root.at("other")).1, 1_700_000_000_500_000_000);
    root.run("touch -a other").ok();
    assert_eq!(stamp(root.at("other")).1, 1_700_000_000_500_000_000);
    assert!(fs::metadata(root.at("other")).unwrap().atime() > 1_700_000_001);
    root.run("touch -m other").ok();
    assert!(stamp(root.at("other")).1 > 1_700_000_001_000_000_000);
    root.refuses("touch -d yesterday new", 2, "USAGE");
    root.refuses("touch no/where", 1, "NOT_FOUND");
}

#[test]
fn stat_describes() {
    let root = Root::new();
    root.write("file", "12345");
    std::os::unix::fs::symlink("file", root.at("link")).unwrap();
    let stats = root.client().json("stat file . link").json();
    let kinds: Vec<_> =
        stats["stats"].as_array().unwrap().iter().map(|s| s["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["regular", "directory", "symlink"]);
    assert_eq!(
        (&stats["stats"][0]["size"], &stats["stats"][2]["target"]),
        (&5.into(), &"file".into())
    );
    assert_eq!(root.client().json("stat -L link").json()["stats"][0]["kind"], "regular");
    assert_eq!(stats["stats"][0]["inode"], stamp(root.at("file")).0);
    assert!(root.run("stat file").ok().starts_with("'file' regular mode "));
    root.refuses("stat file missing", 1, "NOT_FOUND");
    let missing = root.run("stat file missing");
    assert_eq!(missing.text().lines().count(), 2, "{missing}");
}

#[test]
fn cat_prints_files() {
    let root = Root::new();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    root.write("large", &large);
    root.write("small", "text");
    let done = root.run("cat large small");
    assert!(done.succeeded(), "{}", done.stderr);
    assert!(done.stdout[..large.len()] == large && &done.stdout[large.len()..] == b"text");
    root.refuses("cat missing", 1, "NOT_FOUND");
    root.refuses("cat .", 1, "IS_A_DIRECTORY");
    // Who has read enough ends it, without a complaint.
    root.sh("onewriter cat large | head -c 10 >/dev/null").ok();
}

#[test]
fn log_tells_what_was_changed_for_whom() {
    let root = Root::new();
    root.run("mkdir a").ok();
    root.run("mkdir a").ok();
    root.client().env("ONEWRITER_TARGET", "all").env("ONEWRITER_BUILD", "b1").run("mkdir b").ok();
    root.client().within("a").run("mkdir c --target t2").ok();
    root.run("rm missing").exits(1);
    let log = |arguments: &str| -> Vec<serde_json::Value> {
        let done = root.run(&format!("log --json {arguments}"));
        done.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let field = |records: &[serde_json::Value], name: &str| -> Vec<String> {
        records.iter().map(|r| r[name].as_str().unwrap_or_default().to_owned()).collect()
    };
    let all = log("-n 0");
    assert_eq!(field(&all, "path"), ["a", "a", "b", "a/c", "missing"]);
    assert_eq!(field(&all, "outcome")[..4], ["created", "existed", "created", "created"]);
    assert_eq!(field(&all, "directory"), ["", "", "", "a", ""]);
    assert_eq!(all[4]["error"].as_str().map(str::is_empty), Some(false), "{}", all[4]);
    assert_eq!(field(&log("--target all"), "path"), ["b"]);
    assert_eq!(field(&log("--build b1"), "path"), ["b"]);
    assert_eq!(field(&log("--path a --changes"), "path"), ["a", "a/c"]);
    assert_eq!(field(&log("-n1"), "path"), ["missing"]);
    assert_eq!(root.run("log").ok().lines().count(), 5);
    root.refuses("log -n many", 2, "USAGE");
}

#[test]
fn status_and_stats_start_no_daemon() {
    let root = Root::new();
    for verb in ["status", "stats"] {
        assert_eq!(root.client().json([verb]).json()["running"], false);
        root.run(verb).ok();
    }
    assert_eq!(root.daemons(), []);
    let daemon = root.started();
    root.run("mkdir d").ok();
    let status = root.client().json(["status"; 1]).json();
    assert_eq!((&status["running"], &status["pid"]), (&true.into(), &daemon.0.into()));
    assert_eq!(status["root"].as_str(), root.path().to_str());
    let stats = root.client().json(["stats"; 1]).json();
    assert_eq!(stats["mutations"]["mkdir"]["created"], 1, "{stats}");
    assert!(root.run("status").ok().starts_with("onewriterd "));
    assert!(root.run("stats").ok().contains("mkdir created"));
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
    elsewhere().run(["--root", path]).exits(2);
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
