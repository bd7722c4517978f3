//! Real makes.

use std::{fs, path::Path};

use crate::support::{Done, LIMIT, Root, programs, stamp};

#[track_caller]
fn make(root: &Root, arguments: &str) -> Done {
    let done =
        root.client().start_program("make", &format!("--no-print-directory {arguments}")).done();
    assert!(done.succeeded(), "{done}");
    done
}

#[test]
fn unchanged_means_untouched() {
    let root = Root::new();
    root.write("src", "same");
    root.run("publish src dst").ok();
    let before = stamp(root.at("dst"));
    root.run("publish src dst").ok();
    root.client().input("same").run("publish dst").ok();
    root.client().direct().input("same").run("publish dst").ok();
    root.run("publish --server=unix:.onewriter/daemon.sock src dst").ok();
    root.client().input("same").run("publish --server=unix:.onewriter/daemon.sock dst").ok();
    root.run("publish -m 644 src dst").ok();
    root.run("install -C -m 644 src dst").ok();
    root.run("cp --unchanged=keep src dst").ok();
    assert_eq!(stamp(root.at("dst")), before);
    root.client().input("more").run("publish dst").ok();
    assert_ne!(stamp(root.at("dst")), before);
}

#[test]
fn make_rebuilds_nothing_for_a_header_that_did_not_change() {
    let root = Root::new();
    root.write("grammar", "v1\n");
    root.write(
        "Makefile",
        "\
all: a.o b.o
a.o b.o: parser.h
	@echo compiled $@; cat parser.h >$@
parser.h: parser.stamp ;
parser.stamp: grammar
	@echo generated; head -1 grammar | onewriter publish parser.h; touch $@
",
    );
    let lines = |done: Done| {
        let mut l: Vec<String> = done.text().lines().map(str::to_owned).collect();
        l.sort();
        l
    };
    assert_eq!(lines(make(&root, "-j2")), ["compiled a.o", "compiled b.o", "generated"]);
    root.write("grammar", "v1\nwith a remark\n");
    newer(&root, "grammar", "parser.stamp");
    assert_eq!(lines(make(&root, "-j2")), ["generated"]);
    root.write("grammar", "v2\n");
    newer(&root, "grammar", "parser.stamp");
    assert_eq!(lines(make(&root, "-j2")), ["compiled a.o", "compiled b.o", "generated"]);
    assert_eq!(root.read("b.o"), "v2\n");
}

/// Makes `path` newer than `other`, whatever the filesystem's clock resolves.
fn newer(root: &Root, path: &str, other: &str) {
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(5);
    for (name, time) in [(other, past), (path, past + std::time::Duration::from_secs(1))] {
        fs::File::options().write(true).open(root.at(name)).unwrap().set_modified(time).unwrap();
    }
    for old in ["parser.h", "a.o", "b.o"] {
        let seconds = if old == "parser.h" { 9 } else { 7 };
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        fs::File::options().write(true).open(root.at(old)).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn a_parallel_make_uses_it_everywhere() {
    let root = Root::new();
    root.write(
        "Makefile",
        "\
files := $(foreach d,a b c d,$(foreach e,1 2 3 4 5,out/$(d)/$(e)/file))
all: $(files) out/index
$(files):
	onewriter mkdir -p $(dir $@)
	echo $@ | onewriter publish $@
	onewriter install -D -m 644 $@ installed/shared
out/index: $(files)
	cat $^ | onewriter publish $@
clean:
	onewriter rm -rf out installed
.PHONY: all clean
",
    );
    for _ in 0..2 {
        make(&root, "-j8");
        assert_eq!(root.read("out/index").lines().count(), 20);
        let installed = root.read("installed/shared");
        assert!(root.read("out/index").lines().any(|line| line == installed.trim_end()));
        make(&root, "-j8 -q");
        make(&root, "clean");
    }
    let direct = root.client().direct().start_program("make", "-j8").done();
    assert!(direct.succeeded(), "{direct}");
    root.daemon();
}

#[test]
fn sub_makes_and_recipes_elsewhere_find_the_root() {
    let root = Root::new();
    root.write("Makefile", "all:\n\t$(MAKE) -C sub/dir\n");
    root.write(
        "sub/dir/Makefile",
        "all:\n\tonewriter mkdir made ../sibling\n\techo x | onewriter publish made/f\n",
    );
    make(&root, "-j4");
    assert!(root.at("sub/sibling").is_dir() && root.read("sub/dir/made/f") == "x\n");
}

#[test]
fn the_bugs_of_the_litmus_corpus_are_seen_without_it_and_not_with_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/litmus/run");
    let output = std::process::Command::new(script)
        .arg("--quick")
        .env("ONEWRITER_BIN", programs())
        .env("TMPDIR", std::env::temp_dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("make -jN") && LIMIT.as_secs() > 0);
}
