//! What a lease is on.

use std::{collections::HashMap, fmt};

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
    /// Whether all below it is claimed with it, as a lease does, and who changes it. Who only needs
    /// a directory to stay one has no part in what becomes of the things in it.
    pub below: bool,
}

impl Claim {
    /// Whether who has one has something of the other.
    fn meets(&self, other: &Self) -> bool {
        match (&self.subject, &other.subject) {
            (Subject::Path(a), Subject::Path(b)) if a != b => {
                (other.below && a.is_within(b)) || (self.below && b.is_within(a))
            }
            (a, b) => a == b,
        }
    }
}

/// Most want one thing; a path that ends in a symbolic link is two.
pub(crate) type Claims = SmallVec<[Claim; 2]>;

/// Two claims that cannot be held at the same time.
pub(super) fn clash<'c>(a: &'c [Claim], b: &'c [Claim]) -> Option<(&'c Claim, &'c Claim)> {
    if a.len() > FEW && b.len() > FEW {
        return clash_of_many(a, b);
    }
    let mut pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    pairs.find(|(a, b)| excludes(a, b))
}

/// Up to so many claims are compared each with each. A commit may have a hundred thousand.
const FEW: usize = 8;

fn excludes(a: &Claim, b: &Claim) -> bool {
    (a.access, b.access) != (Access::Shared, Access::Shared) && a.meets(b)
}

/// As [`clash`], by what the claims are on: what meets is on the same, or above it.
fn clash_of_many<'c>(a: &'c [Claim], b: &'c [Claim]) -> Option<(&'c Claim, &'c Claim)> {
    let (on_a, on_b) = (by_subject(a), by_subject(b));
    let at = |claim: &Claim, others: &HashMap<&Subject, Vec<&'c Claim>>| {
        let found = |subject: &Subject| {
            let there = others.get(subject).into_iter().flatten();
            there.copied().find(|other| excludes(claim, other))
        };
        let Subject::Path(path) = &claim.subject else { return found(&claim.subject) };
        let mut ways = std::iter::successors(Some(path.clone()), RelPath::parent);
        ways.find_map(|way| found(&Subject::Path(way)))
    };
    let of_a = || a.iter().find_map(|claim| Some((claim, at(claim, &on_b)?)));
    let of_b = || b.iter().find_map(|claim| Some((at(claim, &on_a)?, claim)));
    of_a().or_else(of_b)
}

fn by_subject(claims: &[Claim]) -> HashMap<&Subject, Vec<&Claim>> {
    let mut map = HashMap::<_, Vec<_>>::with_capacity(claims.len());
    claims.iter().for_each(|claim| map.entry(&claim.subject).or_default().push(claim));
    map
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims() -> impl Strategy<Value = Vec<Claim>> {
        let path = proptest::collection::vec("[a-d]", 0..4).prop_map(|names| names.join("/"));
        let path = path.prop_map(|path| match &path[..] {
            "" => Subject::Path(RelPath::ROOT),
            path => Subject::Path(RelPath::parse(path.as_bytes()).unwrap()),
        });
        let subject = prop_oneof![8 => path, 1 => "[a-d]".prop_map(Subject::Name)];
        let access = prop_oneof![4 => Just(Access::Shared), 1 => Just(Access::Exclusive)];
        let claim = (subject, access, any::<bool>());
        let claim = claim.prop_map(|(subject, access, below)| Claim { subject, access, below });
        proptest::collection::vec(claim, 0..12)
    }

    proptest! {
        #[test]
        fn many_clash_as_few_do(a in claims(), b in claims()) {
            let pair = a.iter().any(|a| b.iter().any(|b| excludes(a, b)));
            let found = clash_of_many(&a, &b);
            prop_assert_eq!(found.is_some(), pair);
            prop_assert!(found.is_none_or(|(a, b)| excludes(a, b)));
        }
    }

    #[test]
    fn a_directory_that_is_to_stay_is_not_what_is_in_it() {
        let on = |path: &str| match path {
            "." => Subject::Path(RelPath::ROOT),
            path => Subject::Path(RelPath::parse(path.as_bytes()).unwrap()),
        };
        let stays = |path| [Claim { subject: on(path), access: Access::Shared, below: false }];
        let leased = |path| [Claim { subject: on(path), access: Access::Exclusive, below: true }];
        for (stays_at, leased_at, clashes) in
            [(".", "d", false), ("d", "d/x", false), ("d", "d", true), ("d/x", "d", true)]
        {
            let (a, b) = (stays(stays_at), leased(leased_at));
            assert_eq!(clash(&a, &b).is_some(), clashes, "{stays_at} {leased_at}");
            assert_eq!(clash(&b, &a).is_some(), clashes, "{leased_at} {stays_at}");
        }
    }
}
