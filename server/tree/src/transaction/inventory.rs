//! All that an upper directory holds, for somebody who carries it to another machine; and what the
//! tree has at its paths, which is a copy there.

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::{
    fs::{FileType, Timespec, readlinkat},
    io::Errno,
};

use super::{
    basis::Seen,
    upper::{Upper, later, of_all},
    walk::{self, Contents, Entry, Folder, Kind, ctime, is_directory},
};
use crate::{error::Error, path::RelPath};

/// What a command changed.
#[derive(Debug)]
pub struct Inventory {
    pub(super) contents: Contents,
    /// Each directory before what is in it, but without the root.
    pub items: Vec<Item>,
    /// What is in directories of the tree that go, with everything in them.
    pub gone: Vec<(RelPath, Seen)>,
    /// Something that the tree has got since the transaction began: nobody knows what the command saw
    /// there.
    pub overtaken: Option<RelPath>,
}

/// A path that it changed.
#[derive(Debug)]
pub struct Item {
    /// Where.
    pub path: RelPath,
    /// What is to be there.
    pub what: What,
    /// What the tree has there.
    pub seen: Seen,
}

/// What is to be at a path.
#[derive(Debug)]
pub enum What {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory {
        /// The twelve permission bits.
        mode: u32,
        /// With nothing in it of what was there before.
        opaque: bool,
        /// It is one of the tree, which has that mode.
        stays: bool,
    },
    /// A regular file.
    File {
        /// The twelve permission bits.
        mode: u32,
        /// Its modification time.
        mtime: Timespec,
        /// In bytes.
        size: u64,
    },
    /// Another name of a file that came before.
    Link {
        /// The file.
        to: RelPath,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// What means nothing on another machine: a fifo, a socket, a device.
    Foreign(FileType),
}

impl Upper {
    /// Looks through it. Directories in it that their owner closed are open from then on.
    ///
    /// # Errors
    /// What cannot be read, in it or in the tree.
    pub fn inventory(&self) -> Result<Inventory, Error> {
        let upper = self.dir("upper").map_err(of_all("cannot open what it changed"))?;
        let root = self.tree().dir(b"").map_err(of_all("cannot open the build root"))?;
        let contents = Contents::of(upper.as_fd())?;
        let mut stocktaking = Stocktaking {
            root: root.as_fd(),
            birth: self.birth(),
            upper: Folder::new(upper.as_fd()),
            tree: Folder::new(root.as_fd()),
            names: HashMap::new(),
            gone: Vec::new(),
            overtaken: None,
        };
        let below = contents.entries.iter().filter(|entry| !entry.path.is_root());
        let items =
            below.map(|entry| stocktaking.item(entry)).collect::<Result<Vec<_>, Error>>()?;
        let Stocktaking { gone, overtaken, .. } = stocktaking;
        Ok(Inventory { contents, items, gone, overtaken })
    }
}

struct Stocktaking<'s> {
    root: BorrowedFd<'s>,
    birth: Timespec,
    upper: Folder<'s>,
    tree: Folder<'s>,
    /// The first name of each file that has several.
    names: HashMap<u64, RelPath>,
    gone: Vec<(RelPath, Seen)>,
    overtaken: Option<RelPath>,
}

impl Stocktaking<'_> {
    fn item(&mut self, entry: &Entry) -> Result<Item, Error> {
        let fail = |what| move |e: Errno| Error::io(entry.path.for_syscall(), what, e);
        let there = self.tree.look(&entry.path).map_err(fail("cannot look at it"))?;
        let seen = match &there {
            Some(stat) => Seen::of(&mut self.tree, &entry.path, stat),
            None => Ok(Seen::Nothing),
        };
        let seen = seen.map_err(fail("cannot read what the copy has of it"))?;
        let is_merged =
            seen == Seen::Directory && matches!(entry.kind, Kind::Directory { opaque: false, .. });
        if let Some(there) = there {
            if !is_directory(&there) && later(ctime(&there), self.birth) {
                self.overtaken.get_or_insert(entry.path.clone());
            }
            if is_directory(&there) && !is_merged {
                self.goes(&entry.path)?;
            }
        }
        let stays = there.is_some_and(|there| there.st_mode & 0o7777 == entry.mode()) && is_merged;
        let what = self.what(entry, seen == Seen::Directory, stays);
        let what = what.map_err(fail("cannot read what was written"))?;
        Ok(Item { path: entry.path.clone(), what, seen })
    }

    fn what(&mut self, entry: &Entry, replaces: bool, stays: bool) -> Result<What, Errno> {
        Ok(match entry.kind {
            Kind::Whiteout => What::Nothing,
            // An overlay marks every directory that is made in it as one that hides another.
            Kind::Directory { opaque, .. } => {
                What::Directory { mode: entry.mode(), opaque: opaque && replaces, stays }
            }
            Kind::Other(_) if let Some(to) = self.names.get(&entry.stat.st_ino) => {
                What::Link { to: to.clone() }
            }
            Kind::Other(FileType::RegularFile) => {
                if entry.stat.st_nlink > 1 {
                    self.names.insert(entry.stat.st_ino, entry.path.clone());
                }
                let size = entry.stat.st_size as u64;
                What::File { mode: entry.mode(), mtime: entry.mtime(), size }
            }
            Kind::Other(FileType::Symlink) => {
                let (dir, name) = self.upper.of(&entry.path)?;
                What::Symlink { target: readlinkat(dir, name, Vec::new())?.into_bytes() }
            }
            Kind::Other(kind) => What::Foreign(kind),
        })
    }

    /// A directory of the tree goes: notes all that is in it.
    fn goes(&mut self, path: &RelPath) -> Result<(), Error> {
        for entry in walk::below(self.root, path)?.into_iter().skip(1) {
            let seen = Seen::of(&mut self.tree, &entry.path, &entry.stat);
            let seen = seen.map_err(|errno| {
                Error::io(entry.path.for_syscall(), "cannot read what the copy has of it", errno)
            })?;
            if !entry.is_directory() && later(ctime(&entry.stat), self.birth) {
                self.overtaken.get_or_insert(entry.path.clone());
            }
            self.gone.push((entry.path, seen));
        }
        Ok(())
    }
}
