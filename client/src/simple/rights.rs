//! What the caller may do in the tree, and whether it would come out as foreseen.

use rustix::{
    fs::{getxattr, listxattr},
    io::Errno,
};

use super::{
    node::Node,
    world::{World, parent},
};

impl World {
    /// Whether this process may read (4), write (2) or search (1) it.
    pub(super) fn may(&self, node: &Node, right: u32) -> Option<bool> {
        match node.uid {
            _ if self.me.0 == 0 => Some(true),
            uid if uid == self.me.0 => Some(node.mode & (right << 6) != 0),
            // Which groups it belongs to is not asked.
            _ if right != 2 && node.mode & (right * 0o011) == right * 0o011 => Some(true),
            _ => None,
        }
    }

    /// Whether this process may change its attributes.
    pub(super) fn owns(&self, node: &Node) -> bool {
        self.me.0 == 0 || node.uid == self.me.0
    }

    /// Makes sure that entries of the directory of `path` can be changed.
    pub(super) fn may_change(&mut self, path: &[u8]) -> Option<()> {
        let directory = self.at(parent(path)?)?;
        let may = self.owns(&directory) && self.may(&directory, 2)? && self.may(&directory, 1)?;
        (may && directory.is_directory()).then_some(())
    }

    /// Makes sure that a new entry at `path` gets the mode and group that its maker gives it.
    pub(super) fn may_make(&mut self, path: &[u8]) -> Option<()> {
        self.may_change(path)?;
        let directory = self.at(parent(path)?)?;
        let listed = match &directory.disk {
            Some(disk) => {
                let nothing: &mut [u8] = &mut [];
                let list = getxattr(&self.absolute(disk)[..], "system.posix_acl_default", nothing);
                !matches!(list, Err(Errno::NODATA | Errno::NOTSUP))
            }
            None => false,
        };
        (directory.mode & 0o6000 == 0 && !listed).then_some(())
    }

    /// Whether it has attributes beyond those of all files.
    pub(super) fn is_adorned(&self, node: &Node) -> bool {
        let Some(disk) = &node.disk else { return false };
        let mut list = [0; 256];
        match listxattr(&self.absolute(disk)[..], &mut list) {
            Ok(length) => list[..length]
                .split(|&b| b == 0)
                .any(|name| !name.is_empty() && name != b"security.selinux"),
            Err(errno) => errno != Errno::NOTSUP,
        }
    }
}
