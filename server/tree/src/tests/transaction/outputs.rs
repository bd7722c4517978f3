//! What was declared.

use super::*;

fn declared(outputs: &[&str], strict: bool) -> CommitTerms {
    CommitTerms { outputs: outputs.iter().map(|path| rel(path)).collect(), strict, ..terms() }
}

/// A tree and a command that changes several things of it.
fn several(root: &Root) -> Tx {
    root.mkdir("gone");
    root.write("gone/f", "x");
    root.write("removed", "x");
    root.write("same", "same");
    let tx = root.begin();
    tx.write("out/a/f", "x");
    tx.write("out/b", "x");
    tx.write("log", "x");
    tx.write("same", "same");
    chmod(&tx.path("same"), root.mode("same"));
    tx.whiteout("removed");
    tx.whiteout("gone");
    tx
}

fn report(outputs: &[&str]) -> (Vec<String>, Vec<String>) {
    let root = Root::new();
    let tx = several(&root);
    let report = root.commit(tx, declared(outputs, false), Others::default()).unwrap().report;
    let names = |paths: &[RelPath]| paths.iter().map(ToString::to_string).collect();
    (names(&report.undeclared), names(&report.missing))
}

#[test]
fn without_outputs_everything_may_change() {
    assert_eq!(report(&[]), (vec![], vec![]));
}

#[test]
fn what_is_neither_an_output_nor_below_one_is_undeclared() {
    let all = ["out", "log", "removed", "gone"];
    let (undeclared, missing) = report(&all);
    assert_eq!((undeclared, missing), (vec![], vec!["removed".to_owned(), "gone".to_owned()]));
    assert_eq!(report(&["out/a/f"]).0, ["gone", "log", "removed", "out/b"].map(String::from));
    let (undeclared, _) = report(&["out/a"]);
    assert!(!undeclared.contains(&"out".to_owned()), "it is on the way: {undeclared:?}");
    assert!(report(&["log"]).0.contains(&"out".to_owned()), "it is not on the way");
}

#[test]
fn outputs_that_will_not_exist_are_missing() {
    let outputs = ["out/a/f", "same", "removed", "gone/f", "out/a/g", "nobody", "log/x"];
    assert_eq!(
        report(&outputs).1,
        ["removed", "gone/f", "out/a/g", "nobody", "log/x"].map(String::from)
    );
}

#[test]
fn strictly_nothing_is_committed() {
    for (outputs, first) in [
        (&["out", "log", "gone", "removed"][..], "gone"),
        (&["out", "log", "gone"][..], "removed"),
        (&["out", "removed", "gone"][..], "log"),
    ] {
        let root = Root::new();
        let tx = several(&root);
        let before = root.snapshot();
        let refused = root.commit(tx, declared(outputs, true), Others::default()).unwrap_err();
        assert_eq!(refused.reason, Reason::Undeclared);
        assert_eq!(refused.path, first.as_bytes());
        assert_same(&before, &root.snapshot(), "strict");
    }
}

#[test]
fn strictly_what_fits_is_committed() {
    let root = Root::new();
    let tx = root.begin();
    tx.write("out/f", "x");
    root.commit(tx, declared(&["out/f"], true), Others::default()).unwrap();
    assert_eq!(root.read("out/f"), "x");
}
