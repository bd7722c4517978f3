//! Real overlays: what a command does through one and is then committed, and what it does plainly,
//! come to the same.

use std::process::Command;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::*;

const INSIDE: &str = "ONEWRITER_TEST_OVERLAY";

/// Something that a command does. Names are chosen from few, so that they meet.
#[derive(Clone, Debug)]
enum Act {
    Write(String, u8),
    Append(String, u8),
    Truncate(String, u8),
    Rename(String, String),
    MakeDirectory(String),
    RemoveDirectory(String),
    RemoveAll(String),
    Remove(String),
    Chmod(String, u32),
    Link(String, String),
    Symlink(String, String),
    SetTime(String, u8),
    /// An attribute gets a value, or none.
    Wear(String, &'static str, Option<Vec<u8>>),
}

impl Act {
    /// Fails wherever it does; that is the same in both trees.
    fn run(&self, root: &Path) -> Result<(), std::io::Error> {
        let at = |name: &String| root.join(name);
        match self {
            Self::Write(name, content) => fs::write(at(name), [*content; 3]),
            Self::Append(name, content) => {
                use std::io::Write as _;
                let file = fs::OpenOptions::new().append(true).open(at(name));
                file.and_then(|mut file| file.write_all(&[*content]))
            }
            Self::Truncate(name, length) => {
                let file = fs::OpenOptions::new().write(true).open(at(name));
                file.and_then(|file| file.set_len((*length).into()))
            }
            Self::Rename(from, to) => fs::rename(at(from), at(to)),
            Self::MakeDirectory(name) => fs::create_dir(at(name)),
            Self::RemoveDirectory(name) => fs::remove_dir(at(name)),
            Self::RemoveAll(name) => fs::remove_dir_all(at(name)),
            Self::Remove(name) => fs::remove_file(at(name)),
            Self::Chmod(name, mode) => {
                if fs::symlink_metadata(at(name))?.is_symlink() {
                    return Ok(());
                }
                fs::set_permissions(at(name), fs::Permissions::from_mode(*mode))
            }
            Self::Link(from, to) => fs::hard_link(at(from), at(to)),
            Self::Symlink(says, name) => symlink(says, at(name)),
            Self::SetTime(name, seconds) => {
                fs::symlink_metadata(at(name))?;
                set_mtime(&at(name), 1_200_000_000 + i64::from(*seconds));
                Ok(())
            }
            Self::Wear(name, attribute, Some(value)) => {
                Ok(lsetxattr(at(name), *attribute, value, XattrFlags::empty())?)
            }
            Self::Wear(name, attribute, None) => {
                // Where there is none, overlays and other filesystems say different things.
                let _ = lremovexattr(at(name), *attribute);
                Ok(())
            }
        }
    }
}

/// What `mv` does where a directory cannot be renamed. Links that lead out of it are not kept.
fn copy_and_remove(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::remove_dir_all(from).unwrap();
}

fn name() -> impl Strategy<Value = String> {
    const NAMES: [&str; 12] =
        ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "f", "f/a", "f/d", "f/d/a", "f/d/e"];
    prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

/// One that may be the root itself.
fn wearer() -> impl Strategy<Value = String> {
    prop_oneof![5 => name(), 1 => Just(String::from("."))]
}

const LISTS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (name(), 0..3u8).prop_map(|(name, content)| Act::Write(name, content)),
        2 => (name(), 0..3u8).prop_map(|(name, content)| Act::Append(name, content)),
        1 => (name(), 0..5u8).prop_map(|(name, length)| Act::Truncate(name, length)),
        4 => (name(), name()).prop_map(|(from, to)| Act::Rename(from, to)),
        3 => name().prop_map(Act::MakeDirectory),
        1 => name().prop_map(Act::RemoveDirectory),
        2 => name().prop_map(Act::RemoveAll),
        2 => name().prop_map(Act::Remove),
        2 => (name(), prop::sample::select(&[0o644, 0o755, 0o700][..]))
            .prop_map(|(name, mode)| Act::Chmod(name, mode)),
        2 => (name(), name()).prop_map(|(from, to)| Act::Link(from, to)),
        1 => (name(), name()).prop_map(|(says, name)| Act::Symlink(says, name)),
        1 => (name(), 0..3u8).prop_map(|(name, seconds)| Act::SetTime(name, seconds)),
        2 => (wearer(), prop::sample::select(&["user.a", "user.b"][..]), prop::option::of(0..3u8))
            .prop_map(|(name, attribute, value)| {
                Act::Wear(name, attribute, value.map(|value| vec![value]))
            }),
        1 => (wearer(), prop::sample::select(&LISTS[..]), prop::option::of(4..8u16))
            .prop_map(|(name, which, named)| Act::Wear(name, which, named.map(|n| list(0, n)))),
    ]
}

/// What both trees hold at first.
fn furnish(dir: &Path) {
    for name in ["d", "d/e", "f"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    for name in ["a", "d/a", "d/e/a", "f/a"] {
        fs::write(dir.join(name), [1; 3]).unwrap();
    }
    symlink("a", dir.join("f/d")).unwrap();
    for name in ["d", "d/e", "d/a"] {
        wear(&dir.join(name), "user.a", b"0");
    }
    for which in LISTS {
        wear(&dir.join("d/e"), which, &list(0, 7));
    }
    usual_modes(dir);
    for (name, _) in snapshot(dir) {
        backdate(&dir.join(name));
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

/// What is comparable of two runs: all but times.
fn comparable(dir: &Path) -> BTreeMap<OsString, Node> {
    let mut nodes = snapshot(dir);
    nodes.values_mut().for_each(|node| node.mtime = 0);
    nodes
}

fn mount_overlay(lower: &Path, tx: &Tx, at: &Path) -> bool {
    let work = tx.dir.with_file_name("work");
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        lower.display(),
        tx.dir.display(),
        work.display()
    );
    let mut mount = Command::new("mount");
    mount.args(["-t", "overlay", "-o", &options, "overlay"]).arg(at);
    mount.output().is_ok_and(|done| done.status.success())
}

fn unmount(at: &Path) {
    assert!(Command::new("umount").arg(at).status().unwrap().success());
}

/// Both ways; `None` where no overlay can be mounted.
fn both_ways(acts: &[Act]) -> Option<()> {
    let root = Root::new();
    furnish(&root.dir);
    let (plain, seen) = (root.outside("plain"), root.outside("seen"));
    fs::create_dir(&plain).unwrap();
    fs::create_dir(&seen).unwrap();
    chmod(&plain, 0o755);
    furnish(&plain);
    let tx = root.begin();
    if !mount_overlay(&root.dir, &tx, &seen) {
        return None;
    }
    for act in acts {
        if let Act::Rename(a, b) = act {
            // What rename(2) leaves alone, and an overlay refuses.
            if inode(&plain.join(a)).is_some_and(|file| inode(&plain.join(b)) == Some(file)) {
                continue;
            }
            // An overlay cannot rename a directory of the lower tree, and nothing over one.
            let refused = act.run(&seen).map_err(|e| e.raw_os_error());
            if refused == Err(Some(rustix::io::Errno::XDEV.raw_os_error())) {
                if inode(&plain.join(b)).is_none() && !Path::new(b).starts_with(a) {
                    for dir in [&plain, &seen] {
                        copy_and_remove(&dir.join(a), &dir.join(b));
                    }
                }
                continue;
            }
            assert_eq!(act.run(&plain).is_ok(), refused.is_ok(), "{act:?}");
            continue;
        }
        assert_eq!(act.run(&plain).is_ok(), act.run(&seen).is_ok(), "{act:?}");
    }
    let by_overlay = snapshot(&seen);
    unmount(&seen);
    root.commit_plainly(tx);
    assert_same(&comparable(&plain), &comparable(&root.dir), "plainly, and committed");
    // Where nobody else acts, even directories have the times that the command left.
    let committed = root.snapshot();
    for (name, node) in by_overlay.iter().filter(|(_, node)| is_directory(node)) {
        assert_eq!(node.mtime, committed[name].mtime, "{name:?}");
    }
    Some(())
}

fn is_directory(node: &Node) -> bool {
    FileType::from_raw_mode(node.mode) == FileType::Directory
}

/// Whether this is the run in a mount namespace of its own; if not, runs the test there.
fn in_own_namespace(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = ["--user", "--map-root-user", "--mount"];
    let may = Command::new("unshare").args(unshare).arg("true").output();
    if !may.is_ok_and(|done| done.status.success()) {
        untested("no user and mount namespace is to be had here");
        return false;
    }
    let done = Command::new("unshare")
        .args(unshare)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("tests::transaction::overlay::{name}"), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    for line in said.lines().filter(|line| line.starts_with("not tested")) {
        eprintln!("{line}");
    }
    false
}

#[test]
fn through_an_overlay_and_plainly_come_to_the_same() {
    if !in_own_namespace("through_an_overlay_and_plainly_come_to_the_same") {
        return;
    }
    if both_ways(&[]).is_none() {
        untested("no overlay can be mounted here");
        return;
    }
    let cases = std::env::var("ONEWRITER_TEST_CASES").ok().and_then(|n| n.parse().ok());
    let config =
        Config { cases: cases.unwrap_or(60), failure_persistence: None, ..Config::default() };
    let acts = prop::collection::vec(act(), 1..25);
    TestRunner::new(config)
        .run(&acts, |acts| {
            both_ways(&acts).unwrap();
            Ok(())
        })
        .unwrap();
}
