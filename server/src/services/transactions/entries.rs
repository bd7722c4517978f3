//! What a client on another machine says of a path, and making it so in a transaction's upper
//! directory.

use onewriter_core::policy::Rights;
use onewriter_proto::{
    convert,
    v1::{RemoteEntry, remote_entry},
};
use onewriter_store::Function;
use onewriter_tree::{
    Error, RelPath, Staged,
    mutation::Timespec,
    transaction::{Filler, Seen, Wear},
};

use crate::content::{Content, Wanted};

/// A path that is changed.
pub(super) struct Entry {
    pub(super) path: RelPath,
    what: What,
    pub(super) seen: Option<Seen>,
}

enum What {
    Directory { wear: Wear, opaque: bool },
    File(File),
    Symlink { target: Vec<u8> },
    Link { to: RelPath },
    Removal,
}

/// A file that is to be at its path.
#[derive(Clone)]
pub(super) struct File {
    pub(super) path: RelPath,
    pub(super) wanted: Wanted,
    wear: Wear,
    mtime: Option<Timespec>,
}

impl Entry {
    pub(super) fn parse(entry: RemoteEntry) -> Result<Self, Error> {
        use remote_entry::What as Said;
        let path = RelPath::parse(&entry.path)?;
        let seen = entry.seen.map(convert::seen).transpose()?;
        let wear = |mode, yields| convert::mode(mode, "mode").map(|mode| Wear { mode, yields });
        let what = match entry.what {
            Some(Said::Directory(it)) => {
                What::Directory { wear: wear(it.mode, it.yields)?, opaque: it.opaque }
            }
            Some(Said::File(it)) => {
                let hash = <[u8; 32]>::try_from(&*it.blake3);
                let hash =
                    hash.map_err(|_| convert::bad("blake3", "a BLAKE3 digest has 32 bytes"))?;
                What::File(File {
                    path: path.clone(),
                    wanted: Wanted { function: Function::Blake3, hash, size: Some(it.size) },
                    wear: wear(it.mode, it.yields)?,
                    mtime: it.mtime.map(convert::time).transpose()?,
                })
            }
            Some(Said::Symlink(target)) if (1..=4095).contains(&target.len()) => {
                What::Symlink { target }
            }
            Some(Said::Symlink(_)) => {
                return Err(convert::bad("symlink", "a symbolic link says 1 to 4,095 bytes"));
            }
            Some(Said::LinkTo(to)) => What::Link { to: RelPath::parse(&to)? },
            Some(Said::Removal(_)) => What::Removal,
            None => return Err(convert::bad("what", "an entry says what is to be there")),
        };
        Ok(Self { path, what, seen })
    }

    /// Whether it is only on the way to others, if the tree is as its client thinks.
    pub(super) fn is_passed(&self) -> bool {
        matches!(self.what, What::Directory { wear: Wear { yields: true, .. }, opaque: false })
    }
}

/// Makes them so. Returns where the content of files is not known, in the order in which they came.
/// Waits for the disk.
pub(super) fn fill(
    filler: &mut Filler,
    content: &Content,
    rights: Option<&Rights>,
    entries: Vec<Entry>,
) -> Result<Vec<(u32, File)>, Error> {
    let mut wanted = Vec::new();
    for (index, Entry { path, what, .. }) in (0..).zip(entries) {
        match what {
            What::Directory { wear, opaque } => filler.directory(&path, wear, opaque)?,
            What::Symlink { target } => filler.symlink(&path, &target)?,
            What::Link { to } => filler.link(&path, &to)?,
            What::Removal => filler.remove(&path)?,
            What::File(file) => match content.obtain_for(&file.wanted, &path, rights) {
                Ok(Some(staged)) => file.put(filler, staged)?,
                Ok(None) => wanted.push((index, file)),
                Err(error) => {
                    return Err(super::super::publish_digest::failed(&path, error.into()));
                }
            },
        }
    }
    Ok(wanted)
}

impl File {
    /// Puts its content in place.
    pub(super) fn put(&self, filler: &Filler, staged: Staged) -> Result<(), Error> {
        filler.file(&self.path, staged, self.wear, self.mtime)
    }
}
