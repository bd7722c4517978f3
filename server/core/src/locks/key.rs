//! What a lock is on: a place below the build root, in the one spelling that it has.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A place below the build root: its canonical path, relative to the root, as bytes.
///
/// Components are separated by one `/`; there is none at either end, and no component is `.` or
/// `..`. The empty path is the root itself. Keys are ordered bytewise, which puts each key after
/// its ancestors.
///
/// A key is a prefix of a shared buffer: neither cloning it nor walking its
/// [ancestors](Key::ancestors) allocates.
#[derive(Clone)]
pub struct Key {
    path: Arc<[u8]>,
    len: usize,
}

impl Key {
    /// The key of a canonical, root-relative path.
    ///
    /// # Panics
    ///
    /// In debug builds, if the path is not canonical. Two spellings of one place would be two
    /// locks, so whoever makes a key has resolved the path before.
    pub fn new(path: impl Into<Arc<[u8]>>) -> Self {
        let path = path.into();
        debug_assert!(is_canonical(&path), "not a canonical path: {:?}", path.escape_ascii());
        Self { len: path.len(), path }
    }

    /// The key of the build root itself.
    pub fn root() -> Self {
        Self::new([])
    }

    /// The path, relative to the root; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.path[..self.len]
    }

    /// The proper ancestors, outermost first: `a/b/c` yields `a`, then `a/b`.
    ///
    /// The root is not among them. Holding it shared would keep out only who takes the root
    /// exclusively, and no mutation does that against what lies below: the root cannot be removed,
    /// renamed or replaced, and to set its attributes disturbs no child. All requests of a build
    /// would meet on that one entry for nothing.
    pub fn ancestors(&self) -> impl Iterator<Item = Key> + '_ {
        let slashes = self.as_bytes().iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        slashes.map(|(len, _)| Key { path: Arc::clone(&self.path), len })
    }
}

fn is_canonical(path: &[u8]) -> bool {
    let plain = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
    path.is_empty() || path.split(|&byte| byte == b'/').all(plain)
}

impl From<&str> for Key {
    fn from(path: &str) -> Self {
        Self::new(path.as_bytes())
    }
}

impl From<&[u8]> for Key {
    fn from(path: &[u8]) -> Self {
        Self::new(path)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// The path as a person may read it: on one line, whatever bytes it holds; `.` for the root.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_bytes().is_empty() {
            return f.write_str(".");
        }
        for chunk in self.as_bytes().utf8_chunks() {
            write!(f, "{}{}", chunk.valid().escape_debug(), chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}
