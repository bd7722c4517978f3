//! Content that is known by its digest before it is sent.

use onewriter_tree::{
    Fault, FileKind, Last, Tree,
    mutation::{Claim, Effects, Mutation, Publish, Source},
    open_file, stat,
};

/// The part of a publish that can be done without its content: all of it, where the path has that
/// content already; else nothing, which shows as no change at all.
///
/// The content is looked at under the lock of its path: what is found is what is left there.
pub(super) struct Recognise {
    publish: Publish,
    digest: blake3::Hash,
    is_there: bool,
}

impl Recognise {
    /// The source of `publish` is not needed.
    pub(super) fn new(publish: Publish, digest: blake3::Hash) -> Self {
        Self { publish, digest, is_there: false }
    }

    fn has_content(&self, tree: &Tree) -> Result<bool, Fault> {
        let path = &self.publish.path;
        let last = if self.publish.follow { Last::Follow } else { Last::Keep };
        let (real, found) = stat(tree, path, last)?;
        if real != *path {
            return Err(Fault::Moved);
        }
        if found.is_none_or(|found| found.kind != FileKind::RegularFile) {
            return Ok(false);
        }
        // Whatever keeps it from being read is for the publish itself to judge.
        let Ok((file, _)) = open_file(tree, path) else { return Ok(false) };
        let mut hasher = blake3::Hasher::new();
        Ok(hasher.update_reader(file).is_ok() && hasher.finalize() == self.digest)
    }
}

impl Mutation for Recognise {
    fn method(&self) -> &'static str {
        self.publish.method()
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        self.publish.claims()
    }

    fn prepare(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        self.is_there = self.has_content(tree)?;
        if self.is_there {
            let path = self.publish.path.clone();
            self.publish.source = Source::InTree { path, consume: false };
            self.publish.prepare(tree, effects)?;
        }
        Ok(())
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        if self.is_there { self.publish.apply(tree, effects) } else { Ok(()) }
    }
}
