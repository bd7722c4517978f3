//! Options of `onewriter make`, `.onewriter.toml`, and the environment.

use std::os::unix::fs::MetadataExt as _;

use super::{make, root_with};
use crate::support::stamp;

/// Says for each target whether it is made in a transaction.
const WHO: &str =
    "all: a sub/b test-c\na sub/b test-c: ; @echo $@ $${ONEWRITER_TRANSACTION:+wrapped}\n";

#[test]
fn targets_may_run_unwrapped() {
    let all = "a wrapped\nsub/b wrapped\ntest-c wrapped";
    for (options, said) in [
        ("", all),
        ("--unwrapped a", "a\nsub/b wrapped\ntest-c wrapped"),
        ("--unwrapped b", "a wrapped\nsub/b\ntest-c wrapped"),
        ("--unwrapped test-% --unwrapped sub/*", "a wrapped\nsub/b\ntest-c"),
        ("--unwrapped %", "a\nsub/b\ntest-c"),
        ("-s --unwrapped a", ""),
    ] {
        let done = make(&root_with(WHO), options);
        if said.is_empty() {
            assert!(done.code() == Some(2) && done.stderr.contains("--unwrapped"), "{done}");
        } else {
            assert_eq!(done.text(), said, "{done}");
            let unwrapped = said.lines().filter(|line| !line.contains(' ')).count();
            let told = done.stderr.contains(&format!("3 recipes, {unwrapped} of them unwrapped"));
            assert_eq!(told, unwrapped > 0, "{done}");
        }
    }
}

#[test]
fn an_unwrapped_recipe_fails_as_itself() {
    let root = root_with("a: ; @echo half > $@; exit 3\n");
    let done = make(&root, "--unwrapped a");
    assert!(done.code() == Some(2) && done.stderr.contains("Error 3"), "{done}");
    assert!(done.stderr.contains("1 recipe, 1 of them unwrapped, 1 failed"), "{done}");
    assert_eq!(root.read("a"), "half\n");
}

#[test]
fn a_file_at_the_root_holds_settings() {
    let root = root_with(WHO);
    root.write(".onewriter.toml", "unwrapped = ['a', 'test-%']\n");
    assert_eq!(make(&root, "").text(), "a\nsub/b wrapped\ntest-c");
    assert_eq!(make(&root, "--unwrapped b").text(), "a\nsub/b\ntest-c");
    root.write(".onewriter.toml", "unwraped = ['a']\n");
    let done = make(&root, "");
    done.exits(2);
    assert!(done.stderr.contains("unwraped") && done.stdout.is_empty(), "{done}");
}

#[test]
fn the_environment_holds_settings() {
    let root = root_with(WHO);
    let client = root.client().env("ONEWRITER_UNWRAPPED", "a test-c");
    assert_eq!(client.run("make").text(), "a\nsub/b wrapped\ntest-c");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let root = root_with(WHO);
    for options in
        ["--unchanged maybe", "--unchanged replace", "--on-conflict maybe", "--timeout x"]
    {
        let done = make(&root, options);
        done.exits(2);
        assert!(done.stdout.is_empty(), "{done}");
    }
    assert_eq!(make(&root, "--quiet").stderr, "");
    assert!(make(&root, "-- --quiet").stderr.contains("3 recipes"));
}

#[test]
fn conflicts_may_be_final() {
    let root = root_with(
        "all: a b\na b: ; @echo $@ >> $$BESIDE/met; until test $$(sort -u $$BESIDE/met | wc -l) = 2; do sleep 0.01; done; echo $@ >> both\n",
    );
    root.write("both", "");
    let done = make(&root, "--on-conflict fail -j2 -k");
    assert!(done.code() == Some(2) && done.stderr.contains("1 failed"), "{done}");
    assert!(done.stderr.contains("hint: order") && !done.stderr.contains("--retries"), "{done}");
    assert_eq!(root.read("both").lines().count(), 1);
}

/// A generator that writes the same headers again, and what is made of them.
const GENERATED: &str = "\
all: out
out: gen/a.h ; @cat $< > $@; echo out >> $$BESIDE/made
gen/a.h: gen.stamp ;
gen.stamp: grammar ; @mkdir -p gen; echo header > gen/a.h; touch $@; echo gen >> $$BESIDE/made
";

#[test]
fn unchanged_files_are_touched_or_kept() {
    for (options, made, is_kept) in [
        ("", "gen\nout\ngen\nout\n", false),
        ("--unchanged touch", "gen\nout\ngen\nout\n", false),
        ("--unchanged keep", "gen\nout\ngen\n", true),
        ("--unchanged keep *.h", "gen\nout\ngen\n", true),
        ("--unchanged keep gen/%", "gen\nout\ngen\n", true),
        ("--unchanged keep *.c", "gen\nout\ngen\nout\n", false),
    ] {
        let root = root_with(GENERATED);
        root.write("grammar", "");
        make(&root, options);
        let before = stamp(root.at("gen/a.h"));
        // Later than everything that was made, on whichever clock the filesystem has.
        crate::support::until("time goes on", || {
            root.write("grammar", "");
            stamp(root.at("grammar")).1 > stamp(root.at("out")).1
        });
        let done = make(&root, options);
        assert!(done.succeeded(), "{done}");
        let found = std::fs::read_to_string(root.outside("made")).unwrap();
        assert_eq!(found, made, "{options}: {done}");
        assert_eq!(stamp(root.at("gen/a.h")) == before, is_kept, "{options}");
        assert_eq!(stamp(root.at("gen/a.h")).0, before.0, "its content is left alone");
    }
}

#[test]
fn plain_commands_keep_what_a_transaction_would_keep() {
    for (line, is_direct, is_kept) in [
        ("cp same f", true, true),
        ("cp other f", true, false),
        ("cp -r same f", true, true),
        ("echo x > f", true, true),
        ("echo y > f", true, false),
        ("printf 'x\\n' > f", true, true),
        ("install -m 644 same f", true, true),
        ("mv same f", true, true),
        ("mv other f", true, false),
        ("rm -f f && cp same f", false, true),
        ("mv f g; cp same f", false, true),
        ("ln -f same f", false, true),
        ("cp other h && rm f", true, false),
        ("cp same other", true, true),
    ] {
        for line in [line.to_owned(), format!("{{ {line}; }}")] {
            let root = root_with(&format!("all: ; @{line}\n"));
            for (name, content) in [("same", "x\n"), ("f", "x\n"), ("other", "y\n")] {
                root.write(name, content);
            }
            let before = root.at("f").symlink_metadata().unwrap();
            let done = make(&root, "--unchanged keep");
            assert!(done.succeeded(), "{line}: {done}");
            let after = root.at("f").symlink_metadata().ok();
            let kept = |meta: &std::fs::Metadata| (meta.ino(), meta.mtime(), meta.mtime_nsec());
            assert_eq!(after.as_ref().map(kept) == Some(kept(&before)), is_kept, "{line}");
            let direct = root.run("report").ok().contains("1 direct");
            assert_eq!(direct, is_direct && !line.starts_with('{'), "{line}");
        }
    }
}

#[test]
fn a_make_that_cannot_be_started_has_ended() {
    let root = root_with(WHO);
    let done = root.client().env("ONEWRITER_MAKE", "/nosuch").run("make");
    done.exits(127);
    let report = root.run("report").ok().to_owned();
    assert!(!report.contains("not ended"), "{report}");
}

#[test]
fn a_setting_of_the_environment_that_makes_no_sense_is_refused_before_anything_is_made() {
    let root = root_with("all: ; @echo made; touch a\n");
    let done = root.client().env("ONEWRITER_ON_CONFLICT", "foo").run("make");
    done.exits(2);
    assert!(done.stdout.is_empty() && done.stderr.contains("ONEWRITER_ON_CONFLICT"), "{done}");
    assert_eq!(root.daemons(), []);
}

#[test]
fn a_misspelt_option_is_named_and_not_given_to_make() {
    let root = root_with(WHO);
    for options in ["--unchaged keep", "-j2 --unchanged keep"] {
        let done = make(&root, options);
        done.exits(2);
        assert!(done.stderr.contains("is it --unchanged,"), "{done}");
        assert!(done.stderr.lines().count() <= 2 && !root.at(".onewriter").exists(), "{done}");
    }
}
