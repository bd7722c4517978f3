//! Directories in `.onewriter/` that have an entry for each owner's epoch, by its number.

use std::os::fd::{AsFd as _, OwnedFd};

use onewriter_tree::Tree;
use rustix::{
    fs::{Dir, Mode, OFlags, mkdirat, openat},
    io::Errno,
};

/// Opens the directory `name`, which is made unless it is there.
///
/// # Errors
/// What the filesystem says.
pub fn make(tree: &Tree, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(tree.state(), name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => open(tree, name),
        Err(errno) => Err(errno),
    }
}

/// Opens the directory `name`.
///
/// # Errors
/// What the filesystem says; `ENOENT` where there never was such an owner.
pub fn open(tree: &Tree, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(tree.state(), name, flags, Mode::empty())
}

/// The epochs that `dir` has an entry of, in no order. What else lies there is passed over.
///
/// # Errors
/// What the filesystem says.
pub fn list(dir: &OwnedFd) -> Result<Vec<u64>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir.as_fd())? {
        found.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u64>().ok()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_by_a_number_is_an_epoch_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        Tree::init(root.path()).unwrap();
        let tree = Tree::open(root.path()).unwrap();
        assert_eq!(open(&tree, "epochs").err(), Some(Errno::NOENT));
        let dir = make(&tree, "epochs").unwrap();
        assert_eq!(list(&dir), Ok(Vec::new()));
        for name in ["3", "18446744073709551615", "3.new", "x"] {
            mkdirat(&dir, name, Mode::RWXU).unwrap();
        }
        let mut found = list(&make(&tree, "epochs").unwrap()).unwrap();
        found.sort_unstable();
        assert_eq!(found, [3, u64::MAX]);
    }
}
