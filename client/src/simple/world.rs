//! The tree as a line will find it: what is on the disk, and on it what the commands before will
//! have done.
//!
//! Everything that could make the outcome differ from what is foreseen (a way out of the root, a
//! mount point, an access control list, somebody else's directory) is `None`: not simple.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use onewriter_tree::path::STATE_DIR;
use rustix::{
    fs::{lstat, readlink},
    io::Errno,
    process::{getegid, geteuid},
};

use super::node::{Kind, Node, kind};

/// Whether a symbolic link at the end of a path is meant itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Way {
    To(Spot),
    /// A directory on the way is missing.
    NoEntry,
    /// Something else is where a directory should be.
    NotDirectory,
}

/// A place, and what is there.
#[derive(Debug)]
pub(super) struct Spot {
    /// Relative to the root, without symbolic links and dots; empty for the root.
    pub(super) path: Vec<u8>,
    pub(super) node: Node,
    /// The path was spelled with a slash at its end.
    pub(super) slash: bool,
    /// Its last component was `.` or `..`, slashes after it or not.
    pub(super) dots: bool,
    /// A symbolic link at its end was followed.
    pub(super) through: bool,
}

/// How many symbolic links a path may lead through.
const LINKS: usize = 16;

/// How many entries a tree may have to be looked through.
const ENTRIES: usize = 5_000;

#[derive(Debug)]
pub(super) struct World {
    root: PathBuf,
    /// The working directory, relative to the root.
    pub(super) here: Vec<u8>,
    pub(super) me: (u32, u32),
    device: u64,
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl World {
    /// The world of who stands at `here` below `root`. The root must be the caller's own.
    pub(super) fn new(root: &Path, here: &[u8]) -> Option<Self> {
        let stat = lstat(root).ok()?;
        let me = (geteuid().as_raw(), getegid().as_raw());
        // The daemon is of whoever made the root.
        let state = lstat(root.join(STATE_DIR)).ok()?;
        if state.st_uid != me.0 {
            return None;
        }
        let node = Node::found(&stat, Kind::Directory, Vec::new());
        let nodes = BTreeMap::from([(Vec::new(), node)]);
        let mut world =
            Self { root: root.to_owned(), here: here.to_vec(), me, device: stat.st_dev, nodes };
        match world.find(b".", Last::Keep)? {
            Way::To(spot) if spot.node.is_directory() && spot.path == here => Some(world),
            _ => None,
        }
    }

    /// The absolute path of what lies at `path`, for the daemon.
    pub(super) fn absolute(&self, path: &[u8]) -> Vec<u8> {
        self.root.join(OsStr::from_bytes(path)).into_os_string().into_encoded_bytes()
    }

    /// Where `word` leads from here.
    pub(super) fn find(&mut self, word: &[u8], last: Last) -> Option<Way> {
        if word.is_empty() || word.len() > 1000 || !word.iter().all(|b| matches!(b, b' '..=b'~')) {
            return None;
        }
        self.is_open()?;
        let (mut at, below) = match word.starts_with(b"/") {
            true => (Vec::new(), self.below_root(word)?),
            false => (self.here.clone(), word),
        };
        let mut ahead: Vec<Vec<u8>> = names(below).rev().map(<[u8]>::to_vec).collect();
        let dots = matches!(name(without_slashes(word)), b"." | b"..");
        let (slash, mut through, mut links) = (word.ends_with(b"/"), false, 0);
        let mut node = self.at(&at)?;
        while let Some(name) = ahead.pop() {
            if !node.is_directory() {
                return Some(if node.is_missing() { Way::NoEntry } else { Way::NotDirectory });
            }
            if !self.may(&node, 1)? {
                return None;
            }
            if name == b".." {
                // From the root it leads out.
                at = parent(&at)?.to_vec();
                node = self.at(&at)?;
                continue;
            }
            if name == STATE_DIR.as_bytes() || name.len() > 255 {
                return None;
            }
            let next = join(&at, &name);
            node = self.at(&next)?;
            match &node.kind {
                Kind::Link(target)
                    if !ahead.is_empty() || last == Last::Follow || slash || dots =>
                {
                    links += 1;
                    if target.starts_with(b"/") || links > LINKS {
                        return None;
                    }
                    through |= ahead.is_empty();
                    // A slash at its end is one of what it leads to.
                    if target.ends_with(b"/") {
                        return None;
                    }
                    ahead.extend(names(target).rev().map(<[u8]>::to_vec));
                    node = self.at(&at)?;
                }
                _ => at = next,
            }
        }
        if slash && !node.is_directory() && !node.is_missing() {
            return Some(Way::NotDirectory);
        }
        if dots && (!node.is_directory() || !self.may(&node, 1)?) {
            return None;
        }
        Some(Way::To(Spot { path: at, node, slash, dots, through }))
    }

    /// The daemon comes from the root: it has to get where the line stands already.
    fn is_open(&mut self) -> Option<()> {
        let here = self.here.clone();
        let mut above = Some(&here[..]);
        while let Some(path) = above.filter(|_| self.me.0 != 0) {
            let node = self.at(path)?;
            if !self.may(&node, 1)? {
                return None;
            }
            above = parent(path);
        }
        Some(())
    }

    /// What of an absolute path lies below the root, as it is spelled.
    fn below_root<'w>(&self, word: &'w [u8]) -> Option<&'w [u8]> {
        let below = word.strip_prefix(self.root.as_os_str().as_bytes())?;
        (below.is_empty() || below.starts_with(b"/")).then_some(below)
    }

    /// What is at a path without symbolic links.
    pub(super) fn at(&mut self, path: &[u8]) -> Option<Node> {
        if let Some(known) = self.nodes.get(path) {
            return Some(known.clone());
        }
        let above = self.at(parent(path)?)?;
        let node = match above.disk {
            Some(above_on_disk) if above.kind == Kind::Directory => {
                self.look(join(&above_on_disk, name(path)))?
            }
            _ => Node::missing(),
        };
        self.nodes.insert(path.to_vec(), node.clone());
        Some(node)
    }

    fn look(&self, disk: Vec<u8>) -> Option<Node> {
        let path = self.absolute(&disk);
        let stat = match lstat(&path[..]) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Some(Node::missing()),
            Err(_) => return None,
        };
        let kind = kind(&stat, || Some(readlink(&path[..], Vec::new()).ok()?.into_bytes()))?;
        // Something is mounted there.
        if kind == Kind::Directory && stat.st_dev != self.device {
            return None;
        }
        Some(Node::found(&stat, kind, disk))
    }

    /// Notes what will be at a path.
    pub(super) fn put(&mut self, path: &[u8], node: Node) {
        // What happens in a directory changes its times.
        if let Some(above) = parent(path).and_then(|above| self.nodes.get_mut(above)) {
            above.times = None;
        }
        self.nodes.insert(path.to_vec(), node);
    }

    /// Notes that what is at a path will have been read: its access time may be another then.
    pub(super) fn read(&mut self, path: &[u8]) {
        self.nodes.get_mut(path).into_iter().for_each(|node| node.times = None);
    }

    /// Notes that nothing will be at a path.
    pub(super) fn remove(&mut self, path: &[u8]) {
        self.nodes.retain(|known, _| !is_within(known, path));
        self.put(path, Node::missing());
    }

    /// Notes that what is at `from` will be at `to`, with everything below it.
    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) {
        self.nodes.retain(|known, _| !is_within(known, to));
        let moved: Vec<_> = self.nodes.extract_if(.., |known, _| is_within(known, from)).collect();
        for (path, node) in moved {
            match path.len() == from.len() {
                true => self.put(to, node),
                false => drop(self.nodes.insert([to, &path[from.len()..]].concat(), node)),
            }
        }
        self.put(from, Node::missing());
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&mut self, directory: &[u8]) -> Option<Vec<Vec<u8>>> {
        let node = self.at(directory)?;
        let mut all = Vec::new();
        if let Some(disk) = &node.disk {
            let entries = std::fs::read_dir(OsStr::from_bytes(&self.absolute(disk))).ok()?;
            for entry in entries {
                all.push(entry.ok()?.file_name().into_encoded_bytes());
                if all.len() > ENTRIES {
                    return None;
                }
            }
        }
        let below = self.nodes.keys().filter(|path| parent(path) == Some(directory));
        all.extend(below.map(|path| name(path).to_vec()));
        all.sort();
        all.dedup();
        let mut there = Vec::new();
        for name in all {
            if !self.at(&join(directory, &name))?.is_missing() {
                there.push(name);
            }
        }
        Some(there)
    }
}

pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, name].join(&b'/') }
}

/// The directory of a path; `None` for the root.
pub(super) fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(&path[..path.iter().rposition(|&b| b == b'/').unwrap_or(0)])
}

/// The last component of a path.
pub(crate) fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or_default()
}

/// A path without the slashes at its end.
pub(crate) fn without_slashes(path: &[u8]) -> &[u8] {
    let kept = path.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
    &path[..kept]
}

/// Whether `path` is `above` or lies below it.
pub(super) fn is_within(path: &[u8], above: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(above) else { return false };
    rest.is_empty() || above.is_empty() || rest[0] == b'/'
}

fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".")
}
