//! The client as `mkdir`, `cp` and others, side by side with the real ones.

use std::{fs, os::unix::fs::symlink};

use super::{Bench, lines, lines::Dice};
use crate::support::{ONEWRITER, Root, copy_program, programs, write_program};

const TOOLS: [&str; 9] =
    ["mkdir", "install", "cp", "mv", "ln", "rm", "rmdir", "touch", "mkinstalldirs"];

/// The directories of the real tools.
const REAL: &str = "/usr/local/bin:/usr/bin:/bin";

/// PATH with the shims of `root` before the real tools.
fn path(root: &Root) -> String {
    root.run("shims bin").ok();
    format!("{}:{REAL}", root.at("bin").display())
}

#[test]
fn a_directory_is_filled_with_links() {
    let root = Root::new();
    for dir in [root.at("deep/bin"), root.outside("bin")] {
        for _ in 0..2 {
            root.run(["shims", dir.to_str().unwrap()]).ok();
            for tool in TOOLS {
                let ours = fs::canonicalize(ONEWRITER).unwrap();
                assert_eq!(fs::read_link(dir.join(tool)).unwrap(), ours);
            }
        }
    }
    let plain = Root::uninitialised("plain");
    plain.run("shims bin").ok();
    assert!(plain.at("bin/mkdir").is_symlink() && plain.daemons().is_empty());
}

#[test]
fn what_is_no_shim_stays() {
    let root = Root::new();
    for dir in [root.at("bin"), root.outside("bin")] {
        let shims = ["shims".to_owned(), dir.display().to_string()];
        for tool in ["rm", "mkdir"] {
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(tool), "mine").unwrap();
            root.refuses(shims.clone(), 1, "EXISTS");
            assert_eq!(fs::read_to_string(dir.join(tool)).unwrap(), "mine");
            fs::remove_file(dir.join(tool)).unwrap();
            symlink("/bin/busybox", dir.join(tool)).unwrap();
            assert!(root.run(shims.clone()).stderr.contains(&format!("{tool}': is not one of")));
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
            fs::remove_file(dir.join(tool)).unwrap();
        }
        // What an earlier installation left is renewed.
        symlink("/no/more/onewriter", dir.join("cp")).unwrap();
        root.run(shims).ok();
        assert_eq!(fs::read_link(dir.join("cp")).unwrap(), fs::canonicalize(ONEWRITER).unwrap());
    }
}

#[test]
fn shims_do_what_the_tools_do() {
    let mut bench = Bench::new();
    let path = path(&bench.root);
    let outside = bench.root.outside("target");
    fs::create_dir(&outside).unwrap();
    let outside = outside.display();
    let lines = [
        "mkdir -p --version",
        "mkdir --help",
        "mkdir",
        "mkdir d new; mkdir --nonsense new2",
        "install -c -d new/deep; install -c -m 644 f new/deep; install -v f g d",
        "install --version; install f; cp f",
        "cp -v f new; cp f g nowhere; cp -r d tree/s; cp d new2; cp -u f g",
        "mv missing x; mv -v f new; mv -n g new; mv d tree; mv -i exe d2",
        "ln -s f link; ln -s f link; ln -sfn d link; ln f hard; ln -sr d/e rel; ln -v g h",
        "rm missing; rm d; rm -rf d missing; rm -v f; rm -- -n; rm -d e",
        "rmdir e d missing; rmdir -p new/a; rmdir f",
        "touch new d/new missing/x; touch -d @1400000000 new; touch -r f new2; touch -t 201501010000 t",
        "cp f \"x y\"; cp it\\'s new; mkdir \"a'b\" \"a'b\"",
        "mkdir -m 700 a b; mkdir -p -m 711 c/d; mkdir -m nonsense e",
    ];
    bench.plant();
    for line in lines {
        bench.compare_with(
            &["/usr/bin/env", &format!("PATH={path}"), "/bin/sh", "-c", line],
            line,
            "027",
            &["/bin/sh", "-c"],
        );
    }
    // Outside of the root, one after the other.
    for way in ["mkdir -p", "cp ro", "touch", "rm -rf", "mkdir", "rmdir", "install -D ro", "rm -f"]
    {
        let line = format!("{way} {outside}/new");
        let sh = ["/usr/bin/env", &format!("PATH={path}"), "/bin/sh", "-c", &line];
        let ours = super::run("022", &bench.side("ours"), &sh);
        assert_eq!((ours.code, &ours.stderr[..]), (Some(0), ""), "{line}");
    }
    assert_eq!(fs::read_dir(bench.root.outside("target")).unwrap().count(), 0);
}

#[test]
fn random_lines_do_with_shims_what_they_do_without() {
    let mut bench = Bench::new();
    let path = path(&bench.root);
    for seed in 9_000..9_020 {
        let mut dice = Dice::new(seed);
        bench.plant();
        for _ in 0..4 {
            let line = lines::line(&mut dice);
            // How far a directory is copied into itself depends on the order of its entries.
            if line.contains("cp -") && line.contains(['r', 'R', 'a']) {
                continue;
            }
            let env = format!("PATH={path}");
            bench.compare_with(
                &["/usr/bin/env", &env, "/bin/sh", "-c", &line],
                &line,
                "022",
                &["/bin/sh", "-c"],
            );
        }
    }
}

#[test]
fn what_a_shim_does_is_in_the_journal() {
    let root = Root::new();
    let path = path(&root);
    let journal = |root: &Root| root.run("log").ok().to_owned();
    root.client()
        .env("PATH", &path)
        .sh("mkdir new && touch x && cp x copy && mkinstalldirs -m 700 a/b c")
        .ok();
    let log = journal(&root);
    for path in ["new", "copy", "a/b", "'c'"] {
        assert!(log.contains(path.trim_matches('\'')), "{path} is not in\n{log}");
    }
    assert!(root.at("a/b").is_dir() && root.at("c").is_dir());
    // Without a daemon, the real tool.
    root.client().env("PATH", &path).direct().sh("mkdir by-itself").ok();
    assert!(root.at("by-itself").is_dir() && !journal(&root).contains("by-itself"));
    // A daemon that ended is started again.
    root.run(["stop"; 1]).ok();
    root.client().env("PATH", &path).sh("mkdir later").ok();
    assert!(journal(&root).contains("later") && root.daemons().len() == 1);
    // One that cannot be started is told, and the tool does without.
    root.run(["stop"; 1]).ok();
    let lonely = root.client().env("PATH", &path).env("ONEWRITER_DAEMON", "/nowhere");
    let done = lonely.sh("mkdir lonely");
    assert!(done.succeeded() && done.stderr.contains("/nowhere") && root.at("lonely").is_dir());
}

#[test]
fn without_a_root_a_shim_is_the_tool() {
    let plain = Root::uninitialised("plain");
    let path = path(&plain);
    let script = "mkdir d && touch d/f && cp d/f g && mkinstalldirs x/y && rm -r bin && rmdir x/y";
    plain.client().env("PATH", &path).sh(script).ok();
    assert!(plain.at("d/f").is_file() && plain.at("g").is_file() && plain.at("x").is_dir());
    assert!(plain.daemons().is_empty() && !plain.at(".onewriter").exists());
}

#[test]
fn shims_never_look_for_each_other() {
    let root = Root::new();
    root.run("shims one").ok();
    root.run("shims two").ok();
    // Another installation: another file, under the same and under another name.
    for (directory, name) in [("other", "onewriter"), ("renamed", "ow")] {
        let client = root.at(directory).join(name);
        copy_program(ONEWRITER, &client);
        for tool in TOOLS {
            symlink(&client, root.at(directory).join(tool)).unwrap();
        }
    }
    let ours =
        ["one", "renamed", "two", "other", "renamed"].map(|d| root.at(d).display().to_string());
    let path = format!("{}:{REAL}:{}", ours.join(":"), ours.join(":"));
    let client =
        || root.client().env("PATH", &path).env("ONEWRITER_DAEMON", programs().join("onewriterd"));
    assert!(client().sh("mkdir --version").ok().contains("GNU coreutils"));
    client().sh("mkdir -v d >/dev/null && cp one/mkdir -v d/f >/dev/null").ok();
    assert!(root.at("d/f").exists());
    // Where there are no real ones, what needs them fails, once.
    let only = ours.join(":");
    let done =
        root.client().env("PATH", &only).start_program(root.at("one/mkdir"), ["--version"]).done();
    assert_eq!(done.code(), Some(127), "{done}");
    let done =
        root.client().env("PATH", &only).start_program(root.at("one/mkdir"), ["-p", "x/y"]).done();
    assert!(done.succeeded() && root.at("x/y").is_dir(), "{done}");
    // A tool of the user's own behind the links is the one that is meant.
    write_program(root.at("own/mkdir"), "#!/bin/sh\necho own \"$@\"\n");
    let path = format!("{}:{}:{REAL}", root.at("one").display(), root.at("own").display());
    assert_eq!(root.client().env("PATH", path).sh("mkdir z").ok(), "own z");
    assert!(!root.at("z").exists());
}
