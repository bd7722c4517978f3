//! Kinds of deeds, as a policy names them.

use std::fmt;

use onewriter_tree::mutation::Deed;

/// A set of deeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u16);

/// A word that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of {NAMES}")]
pub struct UnknownKind(pub String);

const NAMES: &str = "read, write, make-directory, publish, symlink, hard-link, rename, remove, \
                     set-attributes, touch, lock, administer";

/// Each deed that can be allowed by itself, and its name.
const KINDS: [(&str, Deed); 11] = [
    ("read", Deed::Read),
    ("make-directory", Deed::MakeDirectory),
    ("publish", Deed::Publish),
    ("symlink", Deed::Symlink),
    ("hard-link", Deed::HardLink),
    ("rename", Deed::Rename),
    ("remove", Deed::Remove),
    ("set-attributes", Deed::SetAttributes),
    ("touch", Deed::Touch),
    ("lock", Deed::Lock),
    ("administer", Deed::Administer),
];

/// All changes, and to keep others away meanwhile.
const WRITE: &str = "write";

impl Kinds {
    /// To read and to write.
    pub const ALL: Self = Self(bit(Deed::Read) | Self::WRITE.0);

    /// All changes, and leases.
    pub const WRITE: Self = Self(Self::CHANGES | bit(Deed::Lock));

    const CHANGES: u16 = bit(Deed::MakeDirectory)
        | bit(Deed::Publish)
        | bit(Deed::Symlink)
        | bit(Deed::HardLink)
        | bit(Deed::Rename)
        | bit(Deed::Remove)
        | bit(Deed::SetAttributes)
        | bit(Deed::Touch);

    /// The kinds of those names.
    ///
    /// # Errors
    /// The first that is none.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownKind> {
        let mut kinds = Self::default();
        for name in names {
            let known = KINDS.iter().find(|(known, _)| *known == name);
            kinds.0 |= match known {
                Some((_, deed)) => bit(*deed),
                None if name == WRITE => Self::WRITE.0,
                None => return Err(UnknownKind(name.to_owned())),
            };
        }
        Ok(kinds)
    }

    /// Whether there is none in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all that `deed` needs is in it.
    pub fn hold(self, deed: Deed) -> bool {
        let needed = match deed {
            Deed::Stay => 0,
            Deed::Change => Self::CHANGES,
            deed => bit(deed),
        };
        self.0 & needed == needed
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const fn bit(deed: Deed) -> u16 {
    1 << deed as u16
}

/// As a policy has to say it.
pub(super) fn name(deed: Deed) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == deed).map_or(WRITE, |(name, _)| name)
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut names = Vec::new();
        if rest.0 & Self::WRITE.0 == Self::WRITE.0 {
            names.push(WRITE);
            rest.0 &= !Self::WRITE.0;
        }
        names.extend(KINDS.iter().filter(|(_, deed)| rest.hold(*deed)).map(|(name, _)| name));
        f.write_str(&names.join(", "))
    }
}
