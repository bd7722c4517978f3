//! What a lease is on.

use std::fmt;

use onewriter_tree::{Printable, RelPath, mutation::Access};
use smallvec::SmallVec;

/// What a lease is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A path and all below it: its real place.
    Path(RelPath),
    /// A name that means something to those who use it.
    Name(String),
    /// The right to run what is to run once.
    Once {
        /// The build within which it is to run once; empty: of all.
        build: String,
        /// What it is known by there.
        key: String,
    },
}

impl Subject {
    /// Whether who has one has something of the other.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(a), Self::Path(b)) => a.is_within(b) || b.is_within(a),
            (a, b) => a == b,
        }
    }

    /// As errors name it: the path or the name itself.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Path(path) if path.is_root() => b".",
            Self::Path(path) => path.as_bytes(),
            Self::Name(name) | Self::Once { key: name, .. } => name.as_bytes(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = Printable(self.as_bytes());
        match self {
            Self::Path(_) => write!(f, "'{what}'"),
            Self::Name(_) => write!(f, "name '{what}'"),
            Self::Once { build, .. } if build.is_empty() => write!(f, "once '{what}'"),
            Self::Once { build, .. } => {
                write!(f, "once '{what}' of build '{}'", build.escape_debug())
            }
        }
    }
}

/// A subject, and whether others may have it at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The subject.
    pub subject: Subject,
    /// How it is claimed.
    pub access: Access,
}

/// Most want one thing; a path that ends in a symbolic link is two.
pub(crate) type Claims = SmallVec<[Claim; 2]>;

/// Two claims that cannot be held at the same time.
pub(super) fn clash<'c>(a: &'c [Claim], b: &'c [Claim]) -> Option<(&'c Claim, &'c Claim)> {
    let shared = Access::Shared;
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    pairs
        .into_iter()
        .find(|(a, b)| (a.access, b.access) != (shared, shared) && a.subject.meets(&b.subject))
}
