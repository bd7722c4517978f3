//! `deploy/example.mk`, as a team includes it.

use std::path::Path;

use crate::support::Root;

const MAKEFILE: &str = "\
include EXAMPLE
all: out/a out/b installed/c
out/a out/b:
\t$(MKDIR_P) $(@D)
\techo $@ | $(PUBLISH) $@
installed/c: out/a
\t$(MKDIR_P) $(@D)
\t$(INSTALL_DATA) out/a $@
";

fn made(root: &Root, more: &str) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/example.mk");
    root.write("Makefile", MAKEFILE.replace("EXAMPLE", example.to_str().unwrap()));
    let done = root.client().sh(&format!("make -s -j4 {more}"));
    assert!(done.succeeded(), "{done}");
    for (file, content) in [("out/a", "out/a\n"), ("out/b", "out/b\n"), ("installed/c", "out/a\n")]
    {
        assert_eq!(root.read(file), content);
    }
    done.text().to_owned()
}

#[test]
fn included_it_has_the_daemon_write() {
    let root = Root::uninitialised("root");
    made(&root, "");
    assert!(root.at(".onewriter").is_dir());
    let log = root.run("log").text().to_owned();
    assert!(log.contains("out/a") && log.contains("installed/c"), "{log}");
}

#[test]
fn switched_off_or_not_installed_it_starts_nothing() {
    for more in ["ONEWRITER=off", "ONEWRITER_PROGRAM="] {
        let root = Root::uninitialised("root");
        made(&root, more);
        assert!(!root.at(".onewriter").exists(), "{more}");
        assert!(root.daemons().is_empty());
    }
}
