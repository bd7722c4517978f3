use std::fs;

use super::*;
use crate::{
    Reason,
    mutation::{ModeChange, Moment, SetAttributes, Timespec, Touch},
};

fn touch(path: &str) -> Touch {
    let (atime, mtime) = (Moment::Now, Moment::Now);
    Touch { path: rel(path), no_create: false, atime, mtime, umask: 0o022 }
}

fn set(path: &str) -> SetAttributes {
    let path = rel(path);
    SetAttributes { path, mode: None, uid: None, gid: None, atime: None, mtime: None }
}

fn exactly(path: &str, mode: u32) -> SetAttributes {
    SetAttributes { mode: Some(ModeChange { keep: 0, set: mode }), ..set(path) }
}

fn atime(path: &Path) -> i64 {
    let found = fs::symlink_metadata(path).unwrap();
    found.atime() * 1_000_000_000 + found.atime_nsec()
}

const THEN: Timespec = Timespec { tv_sec: 77, tv_nsec: 7 };
const THEN_NS: i64 = 77_000_000_007;

#[test]
fn touch_creates_with_the_callers_umask() {
    let root = Root::new();
    assert_eq!(root.run(Touch { umask: 0o027, ..touch("f") }).unwrap(), ["f created"]);
    assert_eq!((root.mode("f"), &*root.read("f")), (0o640, ""));
    let at = Touch { atime: Moment::Omit, mtime: Moment::At(THEN), ..touch("g") };
    assert_eq!(root.run(at).unwrap(), ["g created"]);
    assert_eq!(mtime(&root.path("g")), THEN_NS);
    assert_eq!(root.run(touch("a/f")).unwrap_err().reason, Reason::NotFound);
    for name in ["x", "x/y"] {
        let absent = root.run(Touch { no_create: true, ..touch(name) }).unwrap();
        assert_eq!(absent, [format!("{name} absent")]);
    }
    assert!(!root.exists("x"));
}

#[test]
fn touch_sets_what_is_asked() {
    let root = Root::new();
    root.write("f", "content");
    let then = backdate(&root.path("f"));
    let with = |atime, mtime| Touch { atime, mtime, ..touch("f") };
    assert_eq!(root.run(with(Moment::Omit, Moment::Omit)).unwrap(), ["f unchanged"]);
    assert_eq!(root.run(with(Moment::Omit, Moment::At(THEN))).unwrap(), ["f attributes"]);
    assert_eq!((atime(&root.path("f")), mtime(&root.path("f"))), (then, THEN_NS));
    root.run(with(Moment::Now, Moment::Omit)).unwrap();
    assert!(atime(&root.path("f")) > then && mtime(&root.path("f")) == THEN_NS);
    root.run(with(Moment::Now, Moment::Now)).unwrap();
    assert!(mtime(&root.path("f")) > then);
    assert_eq!(root.read("f"), "content");
    let before = backdate(&root.dir);
    assert_eq!(root.run(touch(".")).unwrap(), [". attributes"]);
    assert!(mtime(&root.dir) > before);
    mkfifo(&root.path("fifo"));
    assert_eq!(root.run(touch("fifo")).unwrap(), ["fifo attributes"]);
}

#[test]
fn through_links_inside() {
    let root = Root::new();
    root.mkdir("d");
    root.write("d/f", "");
    root.link("d", "dir-link");
    root.link("dir-link/f", "link");
    root.link("d/new", "dangling");
    let at = Touch { mtime: Moment::At(THEN), ..touch("link") };
    assert_eq!(root.run(at).unwrap(), ["d/f attributes"]);
    assert_eq!(mtime(&root.path("d/f")), THEN_NS);
    assert_eq!(root.run(touch("dangling")).unwrap(), ["d/new created"]);
    assert_eq!(root.run(exactly("link", 0o600)).unwrap(), ["d/f attributes"]);
    assert_eq!(root.mode("d/f"), 0o600);
    root.link("loop", "loop");
    assert_eq!(root.run(touch("loop")).unwrap_err().reason, Reason::SymlinkLoop);
    assert_eq!(root.run(exactly("loop", 0o600)).unwrap_err().reason, Reason::SymlinkLoop);
}

#[test]
fn nothing_outside_is_touched() {
    let root = Root::new();
    let victim = root.outside("victim");
    fs::create_dir(root.outside("dir")).unwrap();
    fs::write(root.outside("dir/file"), "").unwrap();
    fs::write(&victim, "").unwrap();
    chmod(&victim, 0o640);
    let before = backdate(&victim);
    root.link(&victim, "absolute");
    root.link("../victim", "relative");
    root.link("relative", "chain");
    root.link(root.outside("dir"), "dir");
    for link in ["absolute", "relative", "chain", "dir", "dir/file", "dir/new"] {
        let attempts = [
            root.run(touch(link)),
            root.run(Touch { no_create: true, ..touch(link) }),
            root.run(exactly(link, 0o777)),
            root.run(SetAttributes { uid: Some(1), mtime: Some(THEN), ..set(link) }),
        ];
        for attempt in attempts {
            assert_eq!(attempt.unwrap_err().reason, Reason::OutsideRoot, "{link}");
        }
    }
    assert_eq!((mode(&victim), mtime(&victim)), (0o640, before));
    assert_eq!(names(&root.outside("dir")), ["file"]);
}

#[test]
fn attributes() {
    let root = Root::new();
    root.write("f", "");
    root.mkdir("d");
    chmod(&root.path("f"), 0o640);
    let change = ModeChange { keep: 0o7777, set: 0o111 };
    assert_eq!(
        root.run(SetAttributes { mode: Some(change), ..set("f") }).unwrap(),
        ["f attributes"]
    );
    assert_eq!(root.mode("f"), 0o751);
    for bits in [0, 0o4755, 0o7777] {
        root.run(exactly("f", bits)).unwrap();
        assert_eq!(root.mode("f"), bits);
    }
    root.run(exactly("d", 0o1777)).unwrap();
    root.run(exactly(".", 0o750)).unwrap();
    assert_eq!((root.mode("d"), root.mode(".")), (0o1777, 0o750));
    mkfifo(&root.path("fifo"));
    root.run(exactly("fifo", 0o600)).unwrap();
    assert_eq!(root.mode("fifo"), 0o600);
    root.run(SetAttributes { atime: Some(THEN), ..set("f") }).unwrap();
    assert_eq!(atime(&root.path("f")), THEN_NS);
    assert_eq!(root.run(set("f")).unwrap(), ["f unchanged"]);
    assert_eq!(root.run(exactly("missing", 0o600)).unwrap_err().reason, Reason::NotFound);
}

#[test]
fn what_was_done_before_a_failure_is_told() {
    let root = Root::new();
    root.write("f", "");
    let never = Some(Timespec { tv_sec: 0, tv_nsec: 2_000_000_000 });
    let (done, changes) = root.attempt(&mut SetAttributes { mtime: never, ..exactly("f", 0o600) });
    assert_eq!((done.unwrap_err().reason, changes), (Reason::Io, vec!["f attributes".into()]));
    let (done, changes) = root.attempt(&mut SetAttributes { mtime: never, ..set("f") });
    assert!(done.is_err() && changes.is_empty());
}

#[test]
fn what_belongs_to_others_is_refused() {
    let root = Root::new();
    root.write("f", "");
    chmod(&root.dir, 0o755);
    if rustix::process::geteuid().is_root() {
        give_away(&root.path("f"), 1);
        let error =
            unprivileged(&root.path(".onewriter"), || root.run(exactly("f", 0o777)).unwrap_err());
        assert_eq!(error.reason, Reason::Permission);
    } else {
        let error = root.run(SetAttributes { uid: Some(0), ..set("f") }).unwrap_err();
        assert_eq!(error.reason, Reason::Permission);
    }
}

#[test]
fn changed_attributes_are_handed_over_to_be_synchronised() {
    let root = Root::new();
    root.write("f", "");
    mkfifo(&root.path("fifo"));
    for (name, handles) in [("f", 2), ("fifo", 1)] {
        let mut effects = Effects::new(true);
        exactly(name, 0o600).apply(&root.tree, &mut effects).unwrap();
        touch(name).apply(&root.tree, &mut effects).unwrap();
        let handles_kept = effects.take_unsynced();
        assert_eq!(handles_kept.len(), 2 * handles, "{name}");
        handles_kept.iter().for_each(|handle| rustix::fs::fsync(handle).unwrap());
    }
}
