//! What is sent of a transaction: entries in the protocol's words, and where their content is.

use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use onewriter_proto::{
    convert,
    v1::{
        RemoteDirectory, RemoteEntries, RemoteEntry, RemoteFile, RemotePlace, RemoteRemoval, Time,
        remote_entry,
    },
};
use onewriter_tree::{
    describe,
    mutation::Timespec,
    transaction::{Inventory, Item, Seen, What},
};
use prost::Message as _;
use rustix::fs::{Mode, OFlags, open};

use crate::{failure::Failure, output::shown, transaction::Wish};

/// How much goes into one message: entries, and bytes of them. The daemon takes 1,000, and 4 MiB.
const ITEMS: usize = 500;
const BYTES: usize = 1 << 20;

/// All that is sent of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    entries: Vec<RemoteEntry>,
    seen: Vec<RemotePlace>,
    /// The files of entries, by their index.
    files: Vec<Option<PathBuf>>,
    /// Other names of files, for which those have to be there.
    links: Vec<RemoteEntry>,
}

/// A message, and the files that may be asked for after it.
pub(crate) struct Batch<'m> {
    pub(crate) message: RemoteEntries,
    pub(crate) files: &'m [Option<PathBuf>],
}

impl Manifest {
    /// All that a command left in the directory `upper`. `wish` says what does not travel.
    pub(crate) fn of(inventory: &Inventory, upper: &Path, wish: &Wish) -> Result<Self, Failure> {
        let mut manifest = Self::default();
        for item in &inventory.items {
            manifest.add(item, upper, wish)?;
        }
        for (path, seen) in &inventory.gone {
            let (path, seen) = (path.as_bytes().to_vec(), Some(convert::seen_here(seen.clone())));
            manifest.seen.push(RemotePlace { path, seen });
        }
        Ok(manifest)
    }

    fn add(&mut self, item: &Item, upper: &Path, wish: &Wish) -> Result<(), Failure> {
        use remote_entry::What as Said;
        let path = item.path.as_bytes();
        let what = match &item.what {
            What::Nothing => Said::Removal(RemoteRemoval {}),
            What::Directory { mode, opaque, stays } => {
                Said::Directory(RemoteDirectory { mode: *mode, opaque: *opaque, yields: *stays })
            }
            What::Symlink { target } => Said::Symlink(target.clone()),
            What::Link { to } => {
                let link = Said::LinkTo(to.as_bytes().to_vec());
                self.links.push(entry(path, link, Some(&item.seen)));
                return Ok(());
            }
            What::File { mode, mtime, .. } => {
                let file = upper.join(OsStr::from_bytes(path));
                let said = RemoteFile { mode: *mode, mtime: Some(time(*mtime)), ..digest(&file)? };
                self.file(path, said, file, Some(&item.seen));
                return Ok(());
            }
            What::Foreign(kind) => {
                let (path, what) = (shown(path), describe(*kind));
                wish.say(format_args!("'{path}' is {what}, which stays on this machine"));
                return Ok(());
            }
        };
        self.entry(path, what, Some(&item.seen));
        Ok(())
    }

    /// Adds a directory in which there are entries: the tree's own, if it has it, else a new one.
    pub(crate) fn way(&mut self, path: &[u8], mode: u32) {
        let directory = RemoteDirectory { mode, yields: true, opaque: false };
        self.entry(path, remote_entry::What::Directory(directory), None);
    }

    /// Adds a file, whose content is that of `file` here.
    pub(crate) fn file(
        &mut self,
        path: &[u8],
        said: RemoteFile,
        file: PathBuf,
        seen: Option<&Seen>,
    ) {
        self.entry(path, remote_entry::What::File(said), seen);
        if let Some(last) = self.files.last_mut() {
            *last = Some(file);
        }
    }

    fn entry(&mut self, path: &[u8], what: remote_entry::What, seen: Option<&Seen>) {
        self.entries.push(entry(path, what, seen));
        self.files.push(None);
    }

    /// It, in messages that the daemon takes.
    pub(crate) fn batches(&self) -> Vec<Batch<'_>> {
        let mut batches = Vec::new();
        for (from, entries) in parts(&self.entries, RemoteEntry::encoded_len) {
            let files = &self.files[from..from + entries.len()];
            batches.push(Batch { message: RemoteEntries { entries, seen: Vec::new() }, files });
        }
        for (_, entries) in parts(&self.links, RemoteEntry::encoded_len) {
            let message = RemoteEntries { entries, seen: Vec::new() };
            batches.push(Batch { message, files: &[] });
        }
        for (_, seen) in parts(&self.seen, RemotePlace::encoded_len) {
            let message = RemoteEntries { entries: Vec::new(), seen };
            batches.push(Batch { message, files: &[] });
        }
        batches
    }
}

/// Parts that fit into a message each, and where each begins.
fn parts<T: Clone>(items: &[T], size: impl Fn(&T) -> usize) -> Vec<(usize, Vec<T>)> {
    let (mut parts, mut from) = (Vec::new(), 0);
    while from < items.len() {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += size(item);
            bytes <= BYTES
        };
        let count = items[from..].iter().take(ITEMS).take_while(fits).count().max(1);
        parts.push((from, items[from..from + count].to_vec()));
        from += count;
    }
    parts
}

fn entry(path: &[u8], what: remote_entry::What, seen: Option<&Seen>) -> RemoteEntry {
    let seen = seen.map(|seen| convert::seen_here(seen.clone()));
    RemoteEntry { path: path.to_vec(), what: Some(what), seen }
}

/// What is to be said of a file's content.
pub(crate) fn digest(file: &Path) -> Result<RemoteFile, Failure> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(opened(file)?).map_err(|error| unreadable(file, &error))?;
    let (blake3, size) = (hasher.finalize().as_bytes().to_vec(), hasher.count());
    Ok(RemoteFile { blake3, size, ..RemoteFile::default() })
}

/// A file whose content is to be sent.
pub(crate) fn opened(file: &Path) -> Result<File, Failure> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = open(file, flags, Mode::empty());
    opened.map(File::from).map_err(|errno| unreadable(file, &errno))
}

/// It cannot be sent.
pub(crate) fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Io(format!("'{}' cannot be read: {why}", file.display()))
}

fn time(at: Timespec) -> Time {
    Time { seconds: at.tv_sec, nanoseconds: at.tv_nsec.try_into().unwrap_or(0) }
}
