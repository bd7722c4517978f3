//! The commands that change the tree, in the forms that people use: what they do, and what they
//! refuse.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use crate::support::{Root, picture, stamp, until};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
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
fn what_a_slash_at_the_end_names_is_a_directory() {
    let root = Root::new();
    root.write("file", "x");
    root.write("d/f", "y");
    symlink("d", root.at("way")).unwrap();
    symlink("file", root.at("alias")).unwrap();
    for args in [
        "touch new/",
        "touch file/",
        "touch alias/",
        "mv file/ g",
        "mv way/ g",
        "rm file/",
        "rm -r way/",
        "rm -rf alias//",
        "ln file/ g",
        "cp file/ g",
        "cp alias/ g",
        "install file/ g",
        "publish file/ g",
    ] {
        root.refuses(args, 1, "NOT_A_DIRECTORY");
        let done = root.client().direct().json(args);
        done.failed(1, "NOT_A_DIRECTORY");
    }
    root.run("touch d/ way/").ok();
    root.run("mkdir new/").ok();
    root.run("cp -r way/ copy").ok();
    root.run("mv d/ moved").ok();
    assert_eq!((root.read("copy/f"), root.read("moved/f")), ("y".into(), "y".into()));
    root.run("rm -r copy/ moved/").ok();
    assert!(!root.at("copy").exists() && !root.at("moved").exists());
}

#[test]
fn cp_of_what_is_in_a_directory_puts_it_into_the_other() {
    let root = Root::new();
    root.write("d/f", "x");
    root.write("d/sub/g", "x");
    root.write("e/sub/h", "x");
    root.run("cp -r d/. e").ok();
    root.run("cp -r d/./ e/").ok();
    assert!(root.at("e/f").exists() && root.at("e/sub/g").exists() && !root.at("e/d").exists());
    root.refuses("mv d/. e", 2, "USAGE");
    root.refuses("mv d/. new", 1, "BAD_REQUEST");
    root.refuses("mv d/sub/../ new", 1, "BAD_REQUEST");
}

#[test]
fn cp_gives_only_new_directories_a_mode() {
    let root = Root::new();
    root.sh("mkdir -m 700 there; mkdir -m 755 src; echo > src/f; chmod 555 src").ok();
    root.run("cp -r -T src there").ok();
    root.run("cp -r src new").ok();
    assert_eq!(root.sh("stat -c %a there new").ok(), "700\n555");
    root.run("cp -rpT src there").ok();
    assert_eq!(root.sh("stat -c %a there").ok(), "555");
    assert!(root.at("there/f").exists() && root.at("new/f").exists());
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
    root.write("src/sub/x", "");
    for path in [".", "./", "..", "sub/..", "sub/../", "sub/.", "sub/./"] {
        let before = picture(root.path());
        let done = root.client().within("src").json(["rm", "-rf", path]);
        done.failed(1, "BAD_REQUEST");
        root.client().direct().within("src").json(["rm", "-rf", path]).failed(1, "BAD_REQUEST");
        assert_eq!(picture(root.path()), before, "{path}");
    }
    root.client().within("src").run("rm -r sub .").exits(1);
    assert!(!root.at("src/sub").exists() && root.at("src").exists());
    until("the space is freed", || root.staging().is_empty());
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
