//! Pictures of a tree, to compare.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Directory { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Symlink { target: PathBuf },
    Other,
}

/// What changes when a path is touched: inode and modification time in nanoseconds.
pub type Stamp = (u64, i128);

/// The inode and modification time of what is at `path`.
#[track_caller]
pub fn stamp(path: impl AsRef<Path>) -> Stamp {
    let path = path.as_ref();
    let meta = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (meta.ino(), i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()))
}

/// Everything below `root` but the daemon's state, with what would show that it was touched.
pub fn picture(root: &Path) -> BTreeMap<PathBuf, (Entry, Stamp)> {
    let stamped = |(path, entry)| {
        let stamp = stamp(root.join(&path));
        (path, (entry, stamp))
    };
    shape(root).into_iter().map(stamped).collect()
}

/// Everything below `root` but the daemon's state, without inodes and times.
pub fn shape(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(root.join(&directory)).expect("a directory of the tree").flatten()
        {
            let path = directory.join(entry.file_name());
            if path == Path::new(".onewriter") {
                continue;
            }
            let meta = entry.metadata().expect("what is there");
            let mode = meta.mode() & 0o7777;
            let entry = if meta.is_dir() {
                pending.push(path.clone());
                Entry::Directory { mode }
            } else if meta.is_symlink() {
                Entry::Symlink { target: fs::read_link(root.join(&path)).expect("a link") }
            } else if meta.is_file() {
                // What may not be read is compared by the rest.
                let content = fs::read(root.join(&path)).unwrap_or_default();
                Entry::File { mode, content }
            } else {
                Entry::Other
            };
            found.insert(path, entry);
        }
    }
    found
}
