//! What one request locks: claims on keys, made complete and put in order.

use smallvec::SmallVec;

use super::Key;

/// How a key is held. Of two claims on one key in one set, the greater wins.
pub use onewriter_tree::mutation::Access;

/// Whether two holders may hold one key together.
pub(super) fn fit(a: Access, b: Access) -> bool {
    (a, b) == (Access::Shared, Access::Shared)
}

/// One key and how a request wants it.
pub(super) type Claim = (Key, Access);

/// Everything that one request locks, in the order in which it is taken.
///
/// Made from claims with [`collect`](Iterator::collect) or [`LockSet::from`]. Each claim adds its
/// key's [ancestors](Key::ancestors) as [`Access::Shared`]; each key is in the set once.
#[derive(Clone, Debug, Default)]
pub struct LockSet {
    claims: Claims,
}

/// Eight hold a path of eight levels, or two siblings seven deep, without an allocation.
pub(super) type Claims = SmallVec<[Claim; 8]>;

impl LockSet {
    /// One key, held alone.
    pub fn exclusive(key: Key) -> Self {
        Self::from([(key, Access::Exclusive)])
    }

    /// One key, held together with others who share it.
    pub fn shared(key: Key) -> Self {
        Self::from([(key, Access::Shared)])
    }

    /// The claims in the order in which they are taken, ancestors among them.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Access)> {
        self.claims.iter().map(|(key, access)| (key, *access))
    }

    pub(super) fn into_claims(self) -> Claims {
        self.claims
    }
}

impl FromIterator<(Key, Access)> for LockSet {
    fn from_iter<I: IntoIterator<Item = (Key, Access)>>(wanted: I) -> Self {
        let mut claims = Claims::new();
        for (key, access) in wanted {
            claims.extend(key.ancestors().map(|ancestor| (ancestor, Access::Shared)));
            claims.push((key, access));
        }
        claims.sort_unstable();
        claims.dedup_by(merge_into_previous);
        Self { claims }
    }
}

impl<const N: usize> From<[(Key, Access); N]> for LockSet {
    fn from(wanted: [(Key, Access); N]) -> Self {
        wanted.into_iter().collect()
    }
}

fn merge_into_previous(claim: &mut Claim, previous: &mut Claim) -> bool {
    let same_key = claim.0 == previous.0;
    if same_key {
        previous.1 = previous.1.max(claim.1);
    }
    same_key
}
