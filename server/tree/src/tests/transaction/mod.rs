//! Transactions, with upper directories that are made by hand as overlayfs would.

mod conflicts;
mod crash;
mod dress;
mod format;
mod links;
mod outputs;
mod overlay;
mod permissions;
mod spare;
mod unchanged;
mod undo;

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStrExt as _};

use rustix::fs::{
    CWD, FileType, Mode, XattrFlags, lgetxattr, llistxattr, lremovexattr, lsetxattr, makedev,
    mknodat,
};

use super::*;
use crate::{
    Pattern, Reason,
    mutation::Unchanged,
    transaction::{Commit, CommitTerms, History, Report, Upper},
};

/// What others did, as a test tells it.
#[derive(Clone, Default)]
struct Others(Vec<(RelPath, String)>);

impl Others {
    fn changed(paths: &[&str]) -> Self {
        Self(paths.iter().map(|path| (rel(path), "pid 7 (publish)".to_owned())).collect())
    }
}

impl History for Others {
    fn changed(&self, path: &RelPath) -> Option<String> {
        self.0.iter().find(|(changed, _)| changed == path).map(|(_, who)| who.clone())
    }

    fn changed_below(&self, path: &RelPath) -> Vec<(RelPath, String)> {
        let below = |changed: &&(RelPath, String)| changed.0 != *path && changed.0.is_within(path);
        self.0.iter().filter(below).cloned().collect()
    }
}

fn terms() -> CommitTerms {
    CommitTerms {
        method: "run",
        unchanged: Unchanged::Keep,
        keep: Vec::new(),
        over_conflicts: false,
        outputs: Vec::new(),
        strict: false,
        copy: false,
        author: b"whose".to_vec(),
    }
}

/// A transaction under way.
struct Tx {
    upper: Upper,
    dir: PathBuf,
}

impl Root {
    fn begin(&self) -> Tx {
        let upper = Upper::create(&self.tree).unwrap();
        let dir = self.path(".onewriter/staging").join(upper.name()).join("upper");
        Tx { upper, dir }
    }

    /// Commits, and nothing is left in staging but what waits to be deleted.
    fn commit(&self, tx: Tx, terms: CommitTerms, others: Others) -> Result<Done, Error> {
        let mut commit = Commit::new(tx.upper, terms, Box::new(others));
        let report = commit.report();
        let (done, changes) = self.attempt(&mut commit);
        drop(commit);
        assert!(self.names(".onewriter/staging").iter().all(|name| name.starts_with("t-")));
        let report = report.lock().unwrap().clone();
        done.map(|()| Done { changes, report })
    }

    fn commit_plainly(&self, tx: Tx) -> Vec<String> {
        self.commit(tx, terms(), Others::default()).unwrap().changes
    }

    /// All of the tree but the daemon's own.
    fn snapshot(&self) -> BTreeMap<OsString, Node> {
        snapshot(&self.dir)
    }
}

#[derive(Debug)]
struct Done {
    changes: Vec<String>,
    report: Report,
}

impl Tx {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn mkdir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    /// As overlayfs copies a directory of the tree.
    fn copy_up(&self, root: &Root, name: &str) {
        self.mkdir(name);
        let found = fs::metadata(root.path(name)).unwrap();
        std::os::unix::fs::chown(self.path(name), Some(found.uid()), Some(found.gid())).unwrap();
        for (attribute, value) in xattrs(&root.path(name)) {
            wear(&self.path(name), &attribute, &value);
        }
        chmod(&self.path(name), found.mode() & 0o7777);
        mark(&self.path(name), "origin", b"");
        let above = Path::new(name).parent().unwrap().to_str().unwrap();
        for name in [name, above] {
            let times = fs::metadata(root.path(name)).unwrap().modified().unwrap();
            fs::File::open(self.path(name)).unwrap().set_modified(times).unwrap();
        }
    }

    fn opaque(&self, name: &str) {
        self.mkdir(name);
        mark(&self.path(name), "opaque", b"y");
    }

    fn whiteout(&self, name: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        device(&self.path(name), 0, 0);
    }
}

fn wear(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// An attribute as overlayfs leaves it.
fn mark(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, format!("user.overlay.{name}"), value, XattrFlags::empty()).unwrap();
    // As overlayfs notes it of the directory, where it makes such a thing there.
    let above = path.parent().filter(|_| name == "origin");
    if let Some(above) = above {
        lsetxattr(above, "user.overlay.impure", b"y", XattrFlags::empty()).unwrap();
    }
}

fn device(path: &Path, major: u32, minor: u32) {
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor)).unwrap();
}

/// Something in a tree, with all that a commit may change of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    mode: u32,
    owner: (u32, u32),
    device: u64,
    content: Vec<u8>,
    mtime: i64,
    xattrs: BTreeMap<String, Vec<u8>>,
    /// The first name of the same file.
    file: OsString,
}

fn snapshot(dir: &Path) -> BTreeMap<OsString, Node> {
    let (mut nodes, mut files) = (BTreeMap::new(), BTreeMap::new());
    let mut left = vec![OsString::new()];
    while let Some(name) = left.pop() {
        let path = dir.join(&name);
        let found = fs::symlink_metadata(&path).unwrap();
        let content = if found.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().as_bytes().to_vec()
        } else if found.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        if found.is_dir() {
            let mut below: Vec<_> =
                fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            below.retain(|below| below != ".onewriter");
            left.extend(below.iter().map(|below| Path::new(&name).join(below).into_os_string()));
        }
        let node = Node {
            mode: found.mode(),
            owner: (found.uid(), found.gid()),
            device: found.rdev(),
            content,
            mtime: mtime(&path),
            xattrs: xattrs(&path),
            file: OsString::new(),
        };
        files.entry(found.ino()).or_insert_with(Vec::new).push(name.clone());
        nodes.insert(name, node);
    }
    for names in files.values_mut() {
        names.sort();
        for name in names.iter() {
            nodes.get_mut(name).unwrap().file = names[0].clone();
        }
    }
    nodes
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = [0; 4096];
    let length = llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&b| b == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = [0; 4096];
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            (String::from_utf8_lossy(name).into_owned(), value[..length].to_vec())
        })
        .collect()
}

/// Two trees are the same; says where they are not.
fn assert_same(a: &BTreeMap<OsString, Node>, b: &BTreeMap<OsString, Node>, when: &str) {
    let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    for name in names {
        assert_eq!(a.get(name), b.get(name), "{when}: {name:?}");
    }
}

/// A tree with something of every kind, and a command that did something of every kind to it.
fn rich(root: &Root) -> Tx {
    for dir in
        ["keep/deep", "gone/sub", "redone/sub", "was-dir/sub", "times", "modes", "dressed", "given"]
    {
        root.mkdir(dir);
    }
    for file in [
        "old",
        "same",
        "same-mode",
        "removed",
        "was-file",
        "keep/deep/old",
        "gone/sub/f",
        "redone/sub/f",
        "redone/g",
        "was-dir/sub/f",
        "modes/f",
        "linked",
        "dressed/f",
    ] {
        root.write(file, file);
    }
    root.link("old", "link");
    fs::hard_link(root.path("linked"), root.path("linked2")).unwrap();
    usual_modes(&root.dir);
    wear(&root.dir, "user.root", b"old");
    for (name, value) in [("user.kept", "1"), ("user.changed", "old"), ("user.removed", "1")] {
        for dir in ["dressed", "keep"] {
            wear(&root.path(dir), name, value.as_bytes());
        }
    }
    for (name, _) in root.snapshot() {
        backdate(&root.dir.join(name));
    }
    let tx = root.begin();
    tx.write("old", "new");
    tx.write("same", "same");
    tx.write("same-mode", "same-mode");
    tx.whiteout("removed");
    tx.write("was-file/f", "in a directory");
    tx.write("keep/deep/old", "newer");
    tx.write("keep/deep/new", "new");
    tx.whiteout("gone");
    tx.opaque("redone");
    tx.write("redone/g", "redone/g");
    tx.write("redone/new", "new");
    tx.write("was-dir", "in a file");
    tx.write("fresh/a/b/c", "new");
    tx.opaque("fresh");
    fs::hard_link(tx.path("fresh/a/b/c"), tx.path("fresh/hard")).unwrap();
    fs::hard_link(tx.path("fresh/a/b/c"), tx.path("hard")).unwrap();
    tx.mkdir("modes");
    symlink("new", tx.path("link")).unwrap();
    mkfifo(&tx.path("fifo"));
    tx.mkdir("times");
    tx.copy_up(root, "keep");
    tx.copy_up(root, "given");
    tx.copy_up(root, "dressed");
    tx.write("dressed/f", "new");
    usual_modes(&tx.dir);
    wear(&tx.dir, "user.root", b"new");
    wear(&tx.path("dressed"), "user.changed", b"new");
    wear(&tx.path("dressed"), "user.set", b"1");
    lremovexattr(tx.path("dressed"), "user.removed").unwrap();
    wear(&tx.path("given"), "system.posix_acl_access", &list(12, 7));
    wear(&tx.path("given"), "system.posix_acl_default", &list(12, 4));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(tx.path("given"), Some(12), Some(34)).unwrap();
    }
    chmod(&tx.path("same-mode"), 0o755);
    chmod(&tx.path("modes"), 0o711);
    mark(&tx.path("old"), "origin", b"x");
    mark(&tx.path("fresh/a"), "impure", b"y");
    mark(&tx.path("redone/g"), "nlink", b"U+1");
    for (name, _) in snapshot(&tx.dir) {
        set_mtime(&tx.dir.join(name), 1_100_000_000);
    }
    tx
}

/// An access control list: what `user` may do, and the mask is as wide as may be.
fn list(user: u32, named: u16) -> Vec<u8> {
    const ANYBODY: u32 = u32::MAX;
    let mut list = 2u32.to_le_bytes().to_vec();
    let entries = [(1u16, 7u16, ANYBODY), (2, named, user), (4, 5, ANYBODY), (16, 7, ANYBODY)];
    for (tag, may, id) in entries.into_iter().chain([(32, 5, ANYBODY)]) {
        list.extend([tag.to_le_bytes(), may.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    list
}

/// The umask may be changed by another test at any moment.
fn usual_modes(dir: &Path) {
    for (name, node) in snapshot(dir) {
        match FileType::from_raw_mode(node.mode) {
            FileType::Directory => chmod(&dir.join(name), 0o755),
            FileType::RegularFile | FileType::Fifo => chmod(&dir.join(name), 0o644),
            _ => {}
        }
    }
}

/// The tree that is to be when [`rich`] was committed, made in another root: times and all are the same each time.
fn rich_result() -> BTreeMap<OsString, Node> {
    let root = Root::new();
    let tx = rich(&root);
    root.commit_plainly(tx);
    root.snapshot()
}

/// Waits until the filesystem's clock, which goes in ticks, has gone on.
fn wait_for_the_clock(root: &Root) {
    let probe = root.outside("clock");
    let tick = || {
        fs::write(&probe, "x").unwrap();
        let found = fs::metadata(&probe).unwrap();
        (found.ctime(), found.ctime_nsec())
    };
    let began = tick();
    while tick() == began {
        std::thread::yield_now();
    }
}

fn set_mtime(path: &Path, seconds: i64) {
    use rustix::fs::{AtFlags, Timespec, Timestamps, utimensat};
    let then = Timespec { tv_sec: seconds, tv_nsec: 5 };
    let times = Timestamps { last_access: then, last_modification: then };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
