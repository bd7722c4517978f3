//! Files that are to keep their time where they are made again as they were (`make --unchanged keep`).
//!
//! The commit of a transaction compares what was there before with what is there now. A line does
//! without one as long as each of its deeds can say the same by itself.

use onewriter_proto::v1::{HardLink, PublishLocal, Rename, Unchanged, mutation::Kind as Mutation};
use onewriter_tree::Pattern;

use super::{
    plan::{Act, Deed},
    world::is_within,
};

/// Has all deeds leave equal files at paths of these patterns alone. `None` where a deed cannot: that
/// takes a transaction. A file whose time the line sets itself (`touch`, `cp -p`) gets it.
pub(super) fn keep(deeds: &mut [Deed], patterns: &[Pattern]) -> Option<()> {
    let is_kept = |path: &[u8]| patterns.iter().any(|pattern| pattern.matches(path));
    // What is removed first is compared with nothing.
    let mut removed: Vec<Vec<u8>> = Vec::new();
    for deed in deeds {
        // The path at which there is a file afterwards.
        let made = match &mut deed.what {
            Act::Write(to, _)
            | Act::Mutation(Mutation::PublishLocal(PublishLocal { to: Some(to), .. })) => {
                if is_kept(&to.path) && to.mtime.is_none() {
                    if to.unchanged() != Unchanged::Touch {
                        return None;
                    }
                    to.set_unchanged(Unchanged::Keep);
                }
                Some(&to.path)
            }
            Act::Mutation(Mutation::Rename(Rename { from, to, keep_unchanged, .. })) => {
                *keep_unchanged = is_kept(to);
                removed.push(from.clone());
                Some(&*to)
            }
            Act::Mutation(Mutation::HardLink(HardLink { path, replace, .. })) => {
                if *replace && is_kept(path) {
                    return None;
                }
                Some(&*path)
            }
            Act::Mutation(Mutation::Remove(remove)) => {
                removed.extend(remove.paths.iter().cloned());
                None
            }
            Act::Mutation(_) => None,
        };
        let was_there =
            |path: &Vec<u8>| removed.iter().any(|gone| is_within(path, gone)) && is_kept(path);
        if made.is_some_and(was_there) {
            return None;
        }
    }
    Some(())
}
