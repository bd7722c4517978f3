//! A view of a build root in which a command can do as it likes: an overlay over the root, in a mount
//! namespace of the command's own. What it changes lands in the transaction's `upper` directory.
//!
//! Nothing of it is visible to anybody else, and the kernel takes it away with the last process
//! that stands in it.

use std::{
    ffi::{CStr, CString, c_int},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

use onewriter_tree::path::STATE_DIR;
use rustix::{
    fs::{CWD, Mode, OFlags, StatVfsMountFlags, open, statvfs},
    io::{Errno, write},
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
        move_mount, open_tree,
    },
    process::{chdir, getegid, geteuid},
    thread::{CapabilitySet, capabilities},
};

use super::mounts;

/// Where transactions have their directories, below the root.
const STAGING: &str = "staging";

/// The layers, as seen from the transaction's directory: such paths are short and need no escaping.
///
/// `userxattr`, because an unprivileged overlay can keep its marks in no other place. `volatile`,
/// because without it the end of the overlay writes all of the filesystem to the disk; the commit
/// sees to what is to last.
const OPTIONS: &CStr = c"lowerdir=../../..,upperdir=upper,workdir=work,userxattr,volatile";

/// What a mount may forbid that its overlay is to forbid, too.
const RESTRICTIONS: [(StatVfsMountFlags, MountFlags); 3] = [
    (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
    (StatVfsMountFlags::NODEV, MountFlags::NODEV),
    (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
];

/// The step that an ordinary user's namespace never gets past: the kernel refuses a lower layer in
/// which there are mounts of a more privileged one.
const OVER_MOUNTS: &str = "mount an overlay over a root with other mounts in it";

/// A step towards the sandbox that the kernel refused: what it was, for people, and why.
pub(super) type Refused = (&'static str, Errno);

/// How a command is to see the tree.
#[derive(Debug)]
pub struct Sandbox {
    root: CString,
    /// The transaction's directory.
    directory: CString,
    /// Where the command stands.
    stand: CString,
    flags: MountFlags,
    /// What is mounted below the root, which the overlay would hide.
    mounts: Vec<CString>,
    /// How to map the own user; `None` where the process may mount without that.
    user: Option<IdMaps>,
}

#[derive(Debug)]
struct IdMaps {
    users: String,
    groups: String,
}

impl Sandbox {
    /// An overlay over `root` with the layers of the transaction `name`, for a command that stands
    /// in `stand`. All three are as the daemon and the kernel name them: absolute, no symbolic links.
    ///
    /// # Errors
    /// What cannot be found out about the root.
    pub fn new(root: &Path, name: &str, stand: &Path) -> Result<Self, (&'static str, Errno)> {
        let string = |path: &Path| {
            CString::new(path.as_os_str().as_bytes()).map_err(|_| ("name the root", Errno::INVAL))
        };
        let found = mounts::below(root.as_os_str().as_bytes());
        let found = found.map_err(|errno| ("read /proc/self/mountinfo", errno))?;
        let state = root.join(STATE_DIR);
        let mounts = found.iter().map(|point| Path::new(std::ffi::OsStr::from_bytes(point)));
        let forbidden = statvfs(root).map_err(|errno| ("look at the root", errno))?.f_flag;
        let restrictions = RESTRICTIONS.iter().filter(|(theirs, _)| forbidden.contains(*theirs));
        Ok(Self {
            root: string(root)?,
            directory: string(&state.join(STAGING).join(name))?,
            stand: string(stand)?,
            flags: restrictions.map(|(_, ours)| *ours).collect(),
            // The state directory is hidden in the overlay, with all that is in it.
            mounts: mounts
                .filter(|p| !p.starts_with(&state))
                .map(string)
                .collect::<Result<_, _>>()?,
            user: if may_mount() { None } else { Some(IdMaps::own()) },
        })
    }

    /// Other mounts below the root. The command sees them; what it changes there is changed at once.
    pub fn mounts(&self) -> impl Iterator<Item = &Path> {
        self.mounts.iter().map(|p| Path::new(std::ffi::OsStr::from_bytes(p.to_bytes())))
    }

    /// Whether only files of the own user and group can be changed in it.
    #[must_use]
    pub fn is_single_user(&self) -> bool {
        self.user.is_some()
    }

    /// The namespaces that it needs, as clone(2) has them.
    ///
    /// A mount namespace alone, where that is allowed: there all users keep their files.
    pub(super) fn namespaces(&self) -> c_int {
        libc::CLONE_NEWNS | if self.user.is_some() { libc::CLONE_NEWUSER } else { 0 }
    }

    /// Where the mounts below the root are held until they can be put back.
    pub(super) fn room_for_mounts(&self) -> Vec<Option<OwnedFd>> {
        self.mounts.iter().map(|_| None).collect()
    }

    /// Makes it around this process, which is a child with namespaces of its own. Allocates nothing.
    pub(super) fn enter(&self, held: &mut [Option<OwnedFd>]) -> Result<(), Refused> {
        match &self.user {
            Some(maps) => maps.write()?,
            // In a namespace of another user the kernel does this.
            None => {
                let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
                step("keep mounts to itself", mount_change(c"/", slave))?;
            }
        }
        step("enter the transaction's directory", chdir(&*self.directory))?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let clone = clone | OpenTreeFlags::AT_RECURSIVE;
        for (point, held) in self.mounts.iter().zip(&mut *held) {
            *held = Some(step("copy a mount below the root", open_tree(CWD, &**point, clone))?);
        }
        let overlay = mount(c"overlay", &*self.root, c"overlay", self.flags, OPTIONS);
        // What another user mounted there cannot be left out of the lower layer.
        let covers_mounts = self.user.is_some() && !self.mounts.is_empty();
        let what = if covers_mounts { OVER_MOUNTS } else { "mount an overlay" };
        step(what, overlay)?;
        for (point, held) in self.mounts.iter().zip(held) {
            let Some(held) = held.take() else { continue };
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            let moved = move_mount(held, c"", CWD, &**point, flags);
            step("put back a mount below the root", moved)?;
        }
        step("return to the working directory", chdir(&*self.stand))
    }
}

impl IdMaps {
    /// The own user and group, each to itself: it is all that an unprivileged process may map.
    fn own() -> Self {
        let line = |id: u32| format!("{id} {id} 1\n");
        Self { users: line(geteuid().as_raw()), groups: line(getegid().as_raw()) }
    }

    fn write(&self) -> Result<(), Refused> {
        step("map its group", put(c"/proc/self/setgroups", b"deny"))?;
        step("map its user", put(c"/proc/self/uid_map", self.users.as_bytes()))?;
        step("map its group", put(c"/proc/self/gid_map", self.groups.as_bytes()))
    }
}

fn put(path: &CStr, text: &[u8]) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    // These files take a text in one piece or not at all.
    write(&file, text).map(drop)
}

fn step<T>(what: &'static str, done: Result<T, Errno>) -> Result<T, Refused> {
    done.map_err(|errno| (what, errno))
}

/// Whether this process may mount in a mount namespace that belongs to its own user namespace.
fn may_mount() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}
