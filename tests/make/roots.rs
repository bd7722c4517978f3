//! Where a build finds its root, and what is not of it.

use super::{make, root_with};
use crate::support::{ONEWRITER, Root, write_program};

const WHO: &str = "all: ; @echo $${ONEWRITER_TRANSACTION:+wrapped}; echo made > made\n";

#[test]
fn a_root_is_made_where_there_is_none() {
    let root = root_with(WHO);
    let done = make(&root, "");
    assert_eq!(done.text(), "wrapped");
    let told = format!("onewriter make: made a build root: {}\n", root.path().display());
    assert!(done.stderr.starts_with(&told), "{done}");
    let again = make(&root, "");
    assert!(!again.stderr.contains("build root") && again.text() == "wrapped", "{again}");
}

#[test]
fn the_nearest_root_is_that_of_the_directory_where_make_goes() {
    let root = Root::new();
    root.write("sub/Makefile", WHO);
    let done = make(&root, "-C sub");
    assert!(done.text().contains("wrapped") && !root.at("sub/.onewriter").exists(), "{done}");
    let done = root.client().within("sub").run("make --quiet -s");
    assert_eq!(done.ok(), "wrapped");
    let log = root.run("log --path sub --json").json();
    assert_eq!(log["directory"], "sub", "{log}");
}

#[test]
fn a_new_root_is_where_make_goes() {
    let root = Root::uninitialised("root");
    root.write("sub/Makefile", WHO);
    let done = make(&root, "-C sub");
    assert!(done.text().contains("wrapped") && root.at("sub/.onewriter").exists(), "{done}");
    assert!(!root.at(".onewriter").exists());
    root.client().within("sub").run("stop").ok();
}

#[test]
fn a_root_that_is_named_is_that_of_all_recipes() {
    let root = Root::new();
    root.write("sub/Makefile", "all: ; @echo a > a; $(MAKE) b\nb: ; @echo b > b\n");
    root.client().within("sub").run("init --nested").ok();
    let done = make(&root, "--root . --build named -C sub -s");
    assert!(done.succeeded(), "{done}");
    let log = root.run("log --build named --json");
    assert_eq!(log.json()["path"], "sub/b", "{log}");
}

#[test]
fn what_only_asks_make_makes_no_root() {
    let root = root_with(WHO);
    for arguments in ["-v", "--help", "-C nowhere", "-kv"] {
        make(&root, arguments);
        assert!(!root.at(".onewriter").exists(), "{arguments}");
    }
}

#[test]
fn a_make_outside_of_the_root_runs_as_ever() {
    let root = root_with("all: ; @echo top > top; $(MAKE) -C ../beside\ntop: ; @echo top\n");
    std::fs::create_dir(root.outside("beside")).unwrap();
    std::fs::write(root.outside("beside/Makefile"), WHO).unwrap();
    let done = make(&root, "-s");
    assert_eq!(done.text(), "");
    assert_eq!(std::fs::read_to_string(root.outside("beside/made")).unwrap(), "made\n");
}

#[test]
fn installing_below_the_root_is_a_change_of_it() {
    let root = root_with(
        "install: a b\na b: ; @install -D -m 755 src $(DESTDIR)/usr/bin/$@\n.PHONY: a b install\n",
    );
    root.write("src", "1\n");
    let mut words = vec!["-j2".into()];
    words.push(format!("DESTDIR={}", root.at("dest").display()).into());
    let done = make(&root, words);
    assert!(done.succeeded() && root.read("dest/usr/bin/b") == "1\n", "{done}");
    assert_eq!(root.run("log --path dest/usr/bin/a --json").json()["method"], "recipe");
}

#[test]
fn without_a_daemon_it_is_make() {
    let root = root_with(WHO);
    let done = root.client().direct().run("make");
    assert_eq!((done.ok(), root.at(".onewriter").exists()), ("", false));
}

#[test]
fn in_a_transaction_it_belongs_to_that() {
    let root = root_with("all: ; @echo a > a; $(MAKE) b\nb: ; @echo b > b; false\n");
    root.run("init").ok();
    let done = root.run(["run", "--", ONEWRITER, "make", "-s"]);
    assert!(done.code() == Some(2) && !root.at("a").exists() && !root.at("b").exists(), "{done}");
    let done = root.run(["run", "--", ONEWRITER, "make", "-s", "-i"]);
    assert!(done.succeeded() && root.at("a").exists() && root.at("b").exists(), "{done}");
}

#[test]
fn an_onewriter_make_in_a_recipe_is_of_the_same_build() {
    let root = root_with(
        "all: ; +@onewriter make --unwrapped b -s b\nb: ; @echo $${ONEWRITER_TRANSACTION:+wrapped} $$ONEWRITER_BUILD\n",
    );
    let done = root.client().env("ONEWRITER_BUILD", "mine").run("make -j2");
    assert_eq!(done.text(), "mine", "{done}");
    assert!(done.stderr.contains("1 recipe, 1 of them unwrapped\n"), "{done}");
    assert_eq!(done.stderr.matches("1 recipe").count(), 1, "{done}");
}

#[test]
fn another_make_can_be_named() {
    let root = root_with(WHO);
    let own = root.at("own-make");
    write_program(&own, "#!/bin/sh\necho own \"$@\"\n");
    let client = || root.client().env("ONEWRITER_MAKE", &own);
    let said = client().run("make x").text().to_owned();
    assert!(said.starts_with("own -f Makefile -f ") && said.ends_with("/tail.mk x"), "{said}");
    let done = root.client().env("ONEWRITER_MAKE", "no-such-make").run("make");
    done.exits(127);
}

#[test]
fn a_root_may_have_any_name() {
    let root = Root::uninitialised("a b'c$d%e#f");
    root.write("Makefile", "all: x sub\nx: ; @echo $@ > $@; cat $@\nsub: ; @$(MAKE) -s -f other\n");
    root.write("other", "y: ; @echo $@ > $@; cat $@; echo $(MAKEFILE_LIST)\n");
    let done = make(&root, "--no-print-directory");
    assert_eq!(done.text(), "x\ny\nother", "{done}");
    assert!(done.stderr.contains("2 recipes, 2 paths changed"), "{done}");
}

#[test]
fn where_the_kernel_refuses_recipes_run_as_ever() {
    let root =
        root_with("all: a b\na b: ; @echo $@ $${ONEWRITER_TRANSACTION:+wrapped} > $@; cat $@\n");
    root.run("init").ok();
    root.started();
    let refused = [
        "unshare",
        "-Ur",
        "sh",
        "-c",
        "echo 0 > /proc/sys/user/max_mnt_namespaces; exec \"$@\"",
        "sh",
    ];
    let done = root.client().under(refused).run("make");
    assert!(done.succeeded() && done.text() == "a\nb", "{done}");
    assert_eq!(done.stderr.matches("no view of their own").count(), 1, "{done}");
    assert!(done.stderr.contains("2 recipes, 2 of them unwrapped"), "{done}");
}
