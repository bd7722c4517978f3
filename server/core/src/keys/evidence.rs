//! How a request's paths were right before it acted: by that, the disk tells afterwards whether it did.

use onewriter_tree::{
    RelPath, Tree,
    mutation::{Access, Change, Mutation, Outcome},
};

/// What stood at each path that the request has for itself, by its inode number. Whatever a request
/// with a key does, it puts something else there, or nothing; and what stood there before is not
/// deleted before its successor has its name, so that the number is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence(pub(super) Vec<(RelPath, Option<u64>)>);

impl Evidence {
    /// How it is now.
    pub(super) fn of(tree: &Tree, mutation: &mut dyn Mutation) -> Self {
        let claims = mutation.claims();
        let own = claims.iter().filter(|claim| claim.access == Access::Exclusive);
        Self(own.map(|claim| (claim.path.clone(), tree.inode(claim.path))).collect())
    }

    /// What was changed since; `None`: nothing.
    pub(super) fn changes(&self, tree: &Tree) -> Option<Vec<Change>> {
        let change = |(path, before): &(RelPath, Option<u64>)| {
            let outcome = match (before, tree.inode(path)) {
                (before, now) if *before == now => return None,
                (None, _) => Outcome::Created,
                (_, None) => Outcome::Removed,
                _ => Outcome::Replaced,
            };
            Some(Change::new(path, outcome))
        };
        let changes: Vec<_> = self.0.iter().filter_map(change).collect();
        (!changes.is_empty()).then_some(changes)
    }
}
