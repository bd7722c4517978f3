//! What runs once.

use super::*;

fn runs(root: &Root) -> usize {
    fs::read_to_string(root.outside("runs")).unwrap_or_default().lines().count()
}

/// A command that counts its runs, prints, and exits like this.
fn counted(root: &Root, code: i32) -> String {
    format!("echo run >> {}; echo printed; exit {code}", root.outside("runs").display())
}

#[test]
fn twenty_ask_and_one_runs() {
    for code in [0, 3] {
        let root = Root::new();
        root.started();
        let script = counted(&root, code);
        let start = |_| {
            let client = root.client().env("ONEWRITER_BUILD", "b");
            client.start(["once", "key", "--", "sh", "-c", &script])
        };
        let done: Vec<_> = (0..20).map(start).collect::<Vec<_>>();
        let done: Vec<_> = done.into_iter().map(Running::done).collect();
        assert!(done.iter().all(|done| done.code() == Some(code)), "{done:?}");
        assert!(done.iter().all(|done| done.stderr.is_empty()), "{done:?}");
        assert_eq!(done.iter().filter(|done| done.text() == "printed").count(), 1);
        assert_eq!(runs(&root), 1);
        // Those who come later are told, also by the next daemon.
        root.daemon().kill();
        let later = root.client().env("ONEWRITER_BUILD", "b");
        let later = later.run(["once", "-v", "key", "--", "sh", "-c", &script]);
        assert_eq!((later.code(), runs(&root)), (Some(code), 1));
        assert!(later.stderr.contains("ran 'key': exit code"), "{later}");
        // Another build is another matter.
        root.client().run(["once", "--build", "c", "key", "--", "sh", "-c", &script]);
        assert_eq!(runs(&root), 2);
    }
}

#[test]
fn when_the_runner_is_killed_the_next_one_takes_over() {
    let root = Root::new();
    let runner = Holder::start(&root, "runner", "once --build b key");
    let next = Holder::waiting(&root, "next", "once --build b key", "exit 4");
    until_waiting(&root, 1);
    let last = root.client().start("once --build b key -- false");
    until_waiting(&root, 2);
    let [lease] = &leases(&root)[..] else { panic!("not one") };
    assert_eq!((&lease["once"], &lease["build"]), (&"key".into(), &"b".into()));
    runner.process().kill();
    next.runs();
    assert_eq!(next.ends().code(), Some(4));
    assert_eq!(last.done().code(), Some(4));
}

#[test]
fn for_the_root_a_success_counts_until_forgotten_or_its_output_is_gone() {
    let root = Root::new();
    let make = format!("{}; ", counted(&root, 0).replace("exit 0", "onewriter touch out"));
    let once = || {
        root.client().run(["once", "--scope", "root", "-o", "out", "k", "--", "sh", "-c", &make])
    };
    once().ok();
    once().ok();
    assert_eq!(runs(&root), 1);
    root.run("stop").ok();
    once().ok();
    assert_eq!(runs(&root), 1, "the next daemon remembers");
    fs::remove_file(root.at("out")).unwrap();
    once().ok();
    assert_eq!(runs(&root), 2);
    let forgotten = root.run("once --scope root --forget k --json").json();
    assert_eq!(forgotten["forgotten"], true);
    once().ok();
    assert_eq!(runs(&root), 3);
}

#[test]
fn for_the_root_a_failure_is_told_to_those_who_wait() {
    let root = Root::new();
    let runner = Holder::waiting(&root, "runner", "once --scope root k", "exit 9");
    runner.runs();
    let waiting = root.client().start("once --scope root k -- true");
    until_waiting(&root, 1);
    assert_eq!(runner.ends().code(), Some(9));
    assert_eq!(waiting.done().code(), Some(9));
    root.run("once --scope root k -- true").ok();
    root.run("once --scope root k -- false").ok();
}

#[test]
fn without_a_build_there_is_nothing_to_be_once_in() {
    let root = Root::new();
    let done = root.run("once key -- true");
    done.exits(2);
    assert!(done.stderr.contains("--build") && done.stderr.contains("--scope root"), "{done}");
    root.run("once --build b key").exits(2);
    root.run("once --build b --scope all key -- true").exits(2);
    root.run("once --build b --forget key -- true").exits(2);
    root.run("once --build b other -- no-such-program").exits(127);
    root.run("once --build b key -- true").ok();
}

#[test]
fn a_circle_of_what_runs_once_is_refused() {
    let root = Root::new();
    // In a transaction nobody could wait for another.
    let inner = |key: &str| format!("onewriter once --build b {key} -- true");
    let one = Holder::waiting(&root, "one", "once --unwrapped --build b one", &inner("two"));
    let two = Holder::waiting(&root, "two", "once --unwrapped --build b two", &inner("one"));
    one.runs();
    two.runs();
    one.let_go();
    until_waiting(&root, 1);
    let refused = two.ends();
    assert_eq!(refused.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("would never end"), "{refused}");
    // It is told how that ended.
    assert_eq!(one.client.done().code(), Some(1));
}

#[test]
fn what_it_changes_happens_together_and_before_the_others_are_told() {
    let root = Root::new();
    let script = "echo 1 > a; test ! -e $BESIDE/a; echo 2 > b";
    let once = |script: &str, code: i32| {
        let options = ["once", "--build", "b", "-o", "a", "-o", "b", "k", "--", "sh", "-c"];
        let words: Vec<_> =
            options.into_iter().chain([script]).map(std::ffi::OsString::from).collect();
        let done = root.client().env("BESIDE", root.path()).run(words);
        assert_eq!(done.code(), Some(code), "{done}");
    };
    once(&format!("{script}; exit 5"), 5);
    assert!(!root.at("a").exists() && !root.at("b").exists(), "it failed");
    root.run("once --build b --forget k").ok();
    once(script, 0);
    assert_eq!((root.read("a"), root.read("b")), ("1\n".into(), "2\n".into()));
    let log = root.run("log --build b");
    assert!(log.ok().contains("run        created    'a'"), "{log}");
}

#[test]
fn it_may_run_in_the_tree_as_it_is() {
    let root = Root::new();
    let script = "echo 1 > a; exit 3";
    let words = ["once", "--unwrapped", "--build", "b", "k", "--", "sh", "-c", script];
    assert_eq!(root.client().run(words).code(), Some(3));
    assert_eq!(root.read("a"), "1\n");
}
