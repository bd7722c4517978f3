//! The mutations, in temporary trees, by [`mutation::run`].
#![allow(clippy::disallowed_methods, reason = "tests set up and change the tree behind its back")]

mod attributes;
mod batch;
mod canonical;
mod consume;
mod directory;
mod faults;
mod fence;
mod links;
mod publish;
mod remove;
mod rename;
mod sources;
mod staging;
mod symlinks;
mod transaction;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    Error, RelPath, Tree,
    mutation::{self, Effects, MakeDirectory, Mutation, Outcome, Publish, Source},
};

/// Says that a test is not run, since something refuses what it takes. Where `CI` is `true`, as it is
/// in `.ci/run`, that is a failure: nothing is to seem tested that is not.
#[track_caller]
fn untested(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "not tested: {why}");
    eprintln!("not tested: {why}");
}

/// A build root in a temporary directory, with room beside it. Whatever a test plants leads there at
/// most: where the code that is tested is broken, what it breaks is in the same directory.
struct Root {
    tree: Tree,
    outside: TempDir,
    dir: PathBuf,
}

impl Root {
    fn new() -> Self {
        let outside = TempDir::new().unwrap();
        let dir = outside.path().join("root");
        fs::create_dir(&dir).unwrap();
        Self::at(outside, dir)
    }

    fn at(outside: TempDir, dir: PathBuf) -> Self {
        Tree::init(&dir).unwrap();
        Self { tree: Tree::open(&dir).unwrap(), outside, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn mkdir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    fn link(&self, says: impl AsRef<Path>, name: &str) {
        symlink(says, self.path(name)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        mode(&self.path(name))
    }

    fn inode(&self, name: &str) -> u64 {
        fs::symlink_metadata(self.path(name)).unwrap().ino()
    }

    fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// The names in a directory, in order.
    fn names(&self, name: &str) -> Vec<String> {
        names(&self.path(name))
    }

    /// Runs a mutation; what it did, as `path outcome` in order.
    fn run(&self, mut mutation: impl Mutation) -> Result<Vec<String>, Error> {
        let (done, changes) = self.attempt(&mut mutation);
        done.map(|()| changes)
    }

    /// As [`Root::run`], with what was done before a failure.
    fn attempt(&self, mutation: &mut dyn Mutation) -> (Result<(), Error>, Vec<String>) {
        let mut effects = Effects::new(false);
        let done = mutation::run(mutation, &self.tree, &mut effects);
        let changes = effects.changes.iter();
        (done, changes.map(|c| format!("{} {}", c.path, c.outcome.as_str())).collect())
    }

    /// Publishes `content` at `name`, as `set` changes it.
    fn publish(
        &self,
        name: &str,
        content: &str,
        set: impl FnOnce(&mut Publish),
    ) -> Result<Outcome, Error> {
        let source = self.outside("source");
        fs::write(&source, content).unwrap();
        let source = Source::Local { path: source.into(), consume: false };
        let mut publish = Publish::new(rel(name), source);
        set(&mut publish);
        let mut effects = Effects::new(false);
        mutation::run(&mut publish, &self.tree, &mut effects)?;
        let last = effects.changes.last().unwrap();
        Ok(last.outcome)
    }

    /// Nothing waits in staging.
    fn assert_staging_empty(&self) {
        assert_eq!(self.names(".onewriter/staging"), Vec::<String>::new());
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Modification time in nanoseconds.
fn mtime(path: &Path) -> i64 {
    let found = fs::symlink_metadata(path).unwrap();
    found.mtime() * 1_000_000_000 + found.mtime_nsec()
}

/// Sets the modification time to a moment long gone.
fn backdate(path: &Path) -> i64 {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let then = Timespec { tv_sec: 1_000_000_000, tv_nsec: 123_456_789 };
    let times = Timestamps { last_access: then, last_modification: then };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    mtime(path)
}

fn mkfifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
}

fn make(path: &str) -> MakeDirectory {
    MakeDirectory { path: rel(path), mode: None, umask: 0o022, parents: true, must_create: false }
}

fn local(path: &Path, consume: bool) -> Source {
    Source::Local { path: path.into(), consume }
}

fn in_tree(path: &str, consume: bool) -> Source {
    Source::InTree { path: rel(path), consume }
}

/// Runs `act` on a thread without any privileges, whoever runs the tests. (Linux keeps identity by
/// thread.) It must own what it changes: `give` is handed to it first.
fn unprivileged<T: Send>(give: &Path, act: impl FnOnce() -> T + Send) -> T {
    use rustix::{
        process::{Gid, Uid, geteuid},
        thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
    };
    const NOBODY: u32 = 65_534;
    if !geteuid().is_root() {
        return act();
    }
    give_away(give, NOBODY);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(gid, gid, gid).unwrap();
            set_thread_res_uid(uid, uid, uid).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

fn give_away(path: &Path, to: u32) {
    std::os::unix::fs::lchown(path, Some(to), Some(to)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path(), to);
        }
    }
}
