//! A tree to work in, and wrappers to look at.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, geteuid, kill_process},
};
use tempfile::TempDir;

use crate::wrapper::{REPORT, ROOT, TRANSACTION};

/// An ordinary user.
pub(crate) const NOBODY: u32 = 65534;

const LIMIT: Duration = Duration::from_secs(60);

/// Who runs a wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Own,
    Nobody,
}

/// All that these tests can be.
pub(crate) fn users() -> &'static [User] {
    if geteuid().is_root() { &[User::Own, User::Nobody] } else { &[User::Own] }
}

/// Waits for an event, looking again and again.
#[track_caller]
pub(crate) fn until(event: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !happened() {
        assert!(Instant::now() < deadline, "in vain for {LIMIT:?}: {event}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// This program, where any user can execute it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = env::current_exe().expect("this program");
        if !geteuid().is_root() {
            return own;
        }
        let copy = env::temp_dir().join(format!("onewriter-process-{}", std::process::id()));
        fs::copy(own, &copy).expect("a copy");
        copy
    })
}

/// When all tests are done.
pub(crate) fn remove_copy() {
    if program() != env::current_exe().expect("this program") {
        let _ = fs::remove_file(program());
    }
}

/// A directory with a root in it that is ready for an overlay, and with room for reports beside.
pub(crate) struct Tree {
    _dir: TempDir,
    path: PathBuf,
    pub(crate) user: User,
}

impl Tree {
    pub(crate) fn new(user: User) -> Self {
        let dir = tempfile::Builder::new().prefix("onewriter-").tempdir().expect("a directory");
        let path = fs::canonicalize(dir.path()).expect("it is there");
        let tree = Self { _dir: dir, path, user };
        let layers = tree.root().join(".onewriter/staging").join(TRANSACTION);
        fs::create_dir_all(layers.join("upper")).expect("directories");
        fs::create_dir(layers.join("work")).expect("a directory");
        let hides = layers.join("upper/.onewriter");
        mknodat(CWD, hides, FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
        tree.write("file", "old");
        tree.write("sub/dir/file", "old");
        tree.give();
        tree
    }

    /// Everything in it to its user.
    pub(crate) fn give(&self) {
        fn all(path: &Path) {
            std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("a new owner");
            if path.is_dir() && !path.is_symlink() {
                fs::read_dir(path).expect("a directory").flatten().for_each(|e| all(&e.path()));
            }
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755)).expect("a mode");
        if self.user == User::Nobody {
            all(&self.path);
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// A path beside the root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.root().join(".onewriter/staging").join(TRANSACTION).join("upper")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
        path
    }

    /// What a file beside the root holds; nothing if it is not there.
    pub(crate) fn noted(&self, name: &str) -> String {
        fs::read_to_string(self.beside(name)).unwrap_or_default()
    }

    /// Hands a file that root made to another user.
    pub(crate) fn owned_by(&self, name: &str, id: u32) {
        chown(self.root().join(name), Some(id), Some(id)).expect("a new owner");
    }

    /// A wrapper that stands in the root; `before`: what starts it.
    pub(crate) fn wrapper(&self, before: &[&str]) -> Command {
        let mut words: Vec<std::ffi::OsString> = before.iter().map(Into::into).collect();
        if self.user == User::Nobody {
            let id = NOBODY.to_string();
            let drop = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
            words.extend(drop.map(Into::into));
        }
        words.push(program().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.root()).env(REPORT, self.beside("report"));
        command.env("BESIDE", &self.path).stdin(Stdio::null());
        command
    }

    /// Has a wrapper run this shell script.
    pub(crate) fn script(&self, script: &str) -> Wrapper<'_> {
        let mut command = self.wrapper(&[]);
        command.args(["sh", "-c", script]);
        self.start(command)
    }

    /// The same in an overlay.
    pub(crate) fn sandboxed(&self, script: &str) -> Wrapper<'_> {
        let mut command = self.wrapper(&[]);
        command.env(ROOT, self.root()).args(["sh", "-c", script]);
        self.start(command)
    }

    pub(crate) fn start(&self, mut command: Command) -> Wrapper<'_> {
        Wrapper { child: command.spawn().expect("a wrapper"), tree: self }
    }
}

/// One that runs. Dropped, it is killed.
pub(crate) struct Wrapper<'t> {
    child: Child,
    tree: &'t Tree,
}

impl Wrapper<'_> {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("it lives");
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How the wrapper ended, and what it reported.
    #[track_caller]
    pub(crate) fn done(mut self) -> (ExitStatus, String) {
        let mut status = None;
        until("the wrapper ends", || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        (status.expect("it has ended"), self.tree.noted("report"))
    }

    /// It reported this.
    #[track_caller]
    pub(crate) fn reports(self, expected: &str) {
        assert_eq!(self.done().1, expected);
    }
}

impl Drop for Wrapper<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The state letter of a process; nothing if there is none.
pub(crate) fn state(id: Pid) -> String {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).unwrap_or_default();
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    rest.chars().take(1).collect()
}

/// Whether a process has ended.
pub(crate) fn is_gone(id: Pid) -> bool {
    matches!(&state(id)[..], "" | "Z" | "X")
}

/// A process that a command wrote down.
#[track_caller]
pub(crate) fn noted_process(tree: &Tree, name: &str) -> Pid {
    until("it writes down its process", || tree.noted(name).ends_with('\n'));
    Pid::from_raw(tree.noted(name).trim().parse().expect("a number")).expect("a process")
}
