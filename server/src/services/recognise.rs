//! Content that is known by its digest before it is sent.

use std::sync::Arc;

use onewriter_tree::{
    Fault, FileKind, Last, Stat, Tree,
    mutation::{Claim, Effects, Mutation, Publish, Source},
    open_file, stat,
};

use crate::content::{Content, Wanted};

/// The part of a publish that can be done without its content: all of it, where the path has that
/// content already; else nothing, which shows as no change at all.
///
/// The content is looked at under the lock of its path: what is found is what is left there.
pub(super) struct Recognise {
    publish: Publish,
    wanted: Wanted,
    content: Arc<Content>,
    is_there: bool,
}

impl Recognise {
    /// The source of `publish` is not needed.
    pub(super) fn new(publish: Publish, wanted: Wanted, content: Arc<Content>) -> Self {
        Self { publish, wanted, content, is_there: false }
    }

    fn has_content(&self, tree: &Tree) -> Result<bool, Fault> {
        let path = &self.publish.path;
        let last = if self.publish.follow { Last::Follow } else { Last::Keep };
        let (real, found) = stat(tree, path, last)?;
        if real != *path {
            return Err(Fault::Moved);
        }
        let is_like = |found: &Stat| {
            let size = self.wanted.size;
            found.kind == FileKind::RegularFile && size.is_none_or(|size| size == found.size)
        };
        if !found.is_some_and(|found| is_like(&found)) {
            return Ok(false);
        }
        // Whatever keeps it from being read is for the publish itself to judge.
        let Ok((file, _)) = open_file(tree, path) else { return Ok(false) };
        let digest = self.content.digests.of_file(self.wanted.function, &file);
        Ok(digest.is_ok_and(|digest| self.wanted.is(&digest)))
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
