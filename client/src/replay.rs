//! Whether mutations that are done one after another may be done again from the first one on, when it
//! is not known how many of them were done.
//!
//! Each of them being repeatable is not enough: after `cp a b; cp new a`, the first one would read what
//! the second has written. Where it is in doubt, the answer is no.

use std::collections::HashSet;

use onewriter_proto::v1::mutation::Kind;

use crate::{
    apply::targets,
    repeat::{Repeat, repeatable},
};

/// Whether doing any number of these, and then all of them, is doing all of them once.
pub(crate) fn repeatable_in_order<'k>(kinds: impl Iterator<Item = &'k Kind>) -> Repeat {
    let mut past = Past::default();
    let mut may_come_again = |kind| repeatable(kind) == Repeat::Safe && past.takes(&Step::of(kind));
    match kinds.into_iter().all(&mut may_come_again) {
        true => Repeat::Safe,
        false => Repeat::Never,
    }
}

/// A path in components, without what does not count.
type Path<'k> = Vec<&'k [u8]>;

fn path(bytes: &[u8]) -> Path<'_> {
    bytes.split(|&b| b == b'/').filter(|name| !matches!(*name, b"" | b".")).collect()
}

/// It and everything that it is in.
fn up<'p, 'k>(path: &'p [&'k [u8]]) -> impl Iterator<Item = &'p [&'k [u8]]> {
    (0..=path.len()).map(|end| &path[..end])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Directory,
    Content,
    Attributes,
    Link,
    /// With all that is in it.
    Tree,
    /// A file or a link; an empty directory, if that is what is to go.
    Entry {
        directory: bool,
    },
}

/// What a mutation does to the tree.
struct Step<'k> {
    how: How,
    changes: Vec<Path<'k>>,
    reads: Option<Path<'k>>,
}

impl<'k> Step<'k> {
    fn of(kind: &'k Kind) -> Self {
        let (how, reads) = match kind {
            Kind::MakeDirectories(_) => (How::Directory, None),
            Kind::PublishLocal(publish) => (How::Content, Some(&publish.source)),
            Kind::PublishStaged(_) | Kind::Touch(_) => (How::Content, None),
            Kind::Symlink(_) => (How::Link, None),
            Kind::HardLink(link) => (How::Link, Some(&link.source)),
            Kind::Rename(rename) => (How::Link, Some(&rename.from)),
            Kind::Remove(remove) if remove.recursive => (How::Tree, None),
            Kind::Remove(remove) => (How::Entry { directory: remove.directory }, None),
            Kind::SetAttributes(_) => (How::Attributes, None),
        };
        let changes = targets(kind).iter().map(|bytes| path(bytes)).collect();
        Self { how, changes, reads: reads.map(|bytes| path(bytes)) }
    }
}

/// What the mutations before have done, and would do again.
#[derive(Default)]
struct Past<'k> {
    /// What they have read, what that was in, and these paths as seen from any directory above: a
    /// source comes by its absolute path, everything else by that in the tree.
    read: HashSet<Path<'k>>,
    /// What they have made or changed.
    made: HashSet<Path<'k>>,
    /// The directories that these are in.
    above: HashSet<Path<'k>>,
    /// What they have removed, if it was no directory.
    emptied: HashSet<Path<'k>>,
    /// Links, through which another path may lead; and directories that must be empty.
    apart: HashSet<Path<'k>>,
}

impl<'k> Past<'k> {
    /// Whether the mutations before can be done again after this one.
    fn takes(&mut self, step: &Step<'k>) -> bool {
        let seen = step.reads.iter().flat_map(|path| parts(path)).collect::<Vec<_>>();
        if step.changes.iter().any(|path| self.is_disturbed(step.how, path))
            || seen.iter().any(|path| self.apart.contains(path))
        {
            return false;
        }
        self.read.extend(seen);
        step.changes.iter().for_each(|path| self.note(step.how, path));
        true
    }

    fn is_disturbed(&self, how: How, path: &Path<'k>) -> bool {
        let (read, made, above) =
            (self.read.contains(path), self.made.contains(path), self.above.contains(path));
        let is_in_the_way = match how {
            How::Directory => up(path).any(|path| self.emptied.contains(path)),
            How::Content => read,
            How::Attributes => read || above,
            How::Link | How::Tree | How::Entry { .. } => read || above || made,
        };
        is_in_the_way || up(path).any(|path| self.apart.contains(path))
    }

    fn note(&mut self, how: How, path: &Path<'k>) {
        match how {
            How::Tree => return,
            How::Entry { directory: false } => drop(self.emptied.insert(path.clone())),
            How::Entry { directory: true } => drop(self.apart.insert(path.clone())),
            How::Link => drop(self.apart.insert(path.clone())),
            How::Directory | How::Content | How::Attributes => {}
        }
        if !matches!(how, How::Entry { .. }) {
            self.made.insert(path.clone());
            self.above.extend(up(path).take(path.len()).map(<[_]>::to_vec));
        }
    }
}

/// Every row of components in a path.
fn parts<'k>(path: &[&'k [u8]]) -> Vec<Path<'k>> {
    let begins = 0..path.len();
    begins.flat_map(|from| up(&path[from..]).skip(1).map(<[_]>::to_vec)).collect()
}

#[cfg(test)]
mod tests {
    use onewriter_proto::v1::{
        HardLink, MakeDirectories, ModeChange, Publication, PublishLocal, Remove, SetAttributes,
        Symlink, Touch,
    };

    use super::*;

    /// A command, as recipes have it; the root is /r.
    fn kind(command: &str) -> Kind {
        let words: Vec<_> = command.split(' ').collect();
        let bytes = |word: &str| word.as_bytes().to_vec();
        let paths = || words[1..].iter().map(|word| bytes(word)).collect();
        match words[0] {
            "mkdir" => {
                Kind::MakeDirectories(MakeDirectories { paths: paths(), ..Default::default() })
            }
            "cp" => Kind::PublishLocal(PublishLocal {
                to: Some(Publication { path: bytes(words[2]), ..Publication::default() }),
                source: [b"/r/", words[1].as_bytes()].concat(),
                consume: false,
            }),
            "rm" | "rm-r" | "rmdir" => Kind::Remove(Remove {
                paths: paths(),
                recursive: words[0] == "rm-r",
                directory: words[0] == "rmdir",
                allow_missing: true,
            }),
            "ln-s" => Kind::Symlink(Symlink {
                target: bytes(words[1]),
                path: bytes(words[2]),
                replace: true,
                ..Symlink::default()
            }),
            "ln" => Kind::HardLink(HardLink {
                source: bytes(words[1]),
                path: bytes(words[2]),
                replace: true,
                ..HardLink::default()
            }),
            "touch" => Kind::Touch(Touch { paths: paths(), ..Touch::default() }),
            "chmod" => Kind::SetAttributes(SetAttributes {
                paths: paths(),
                mode: Some(ModeChange { keep: 0, set: 0o444 }),
                ..SetAttributes::default()
            }),
            other => panic!("{other}"),
        }
    }

    fn of(line: &str) -> Repeat {
        repeatable_in_order(line.split("; ").map(kind).collect::<Vec<_>>().iter())
    }

    #[test]
    fn what_would_read_what_comes_later_is_not_done_again() {
        for line in [
            "cp a a.bak; cp new a",
            "cp d/a b; cp new ./d//a",
            "cp a b; rm a",
            "cp d/a b; rm-r d",
            "cp a b; touch a",
            "cp a b; chmod a",
            "cp a b; chmod b; cp b c; chmod b",
            "ln a b; cp new a",
            "cp a b; ln-s x a",
            "cp a b; mkdir d; cp a d/a; cp b a",
        ] {
            assert_eq!(of(line), Repeat::Never, "{line}");
        }
    }

    #[test]
    fn what_would_fail_after_what_comes_later_is_not_done_again() {
        for line in [
            "cp a d/b; rm-r d",
            "rm x; mkdir x",
            "rm x; mkdir x/y",
            "mkdir d; rm-r d; cp a d",
            "rmdir d; mkdir d; cp a d/b",
            "cp a d/b; chmod d",
        ] {
            assert_eq!(of(line), Repeat::Never, "{line}");
        }
    }

    #[test]
    fn where_a_link_may_lead_nothing_is_done_again() {
        for line in [
            "ln-s t x; cp a x",
            "cp t y; ln-s t x; chmod x",
            "ln-s t x; cp a x/y",
            "cp a x; ln-s t x",
            "ln-s a x; cp x y; cp b a",
        ] {
            assert_eq!(of(line), Repeat::Never, "{line}");
        }
    }

    #[test]
    fn what_others_do_not_disturb_may_be_done_again() {
        for line in [
            "cp a b",
            "mkdir d; cp a d/a; cp b d/b; chmod d/a; touch d/stamp",
            "mkdir d/e; mkdir d; touch d",
            "cp a b; cp b c",
            "rm x; cp a x",
            "rm-r d; mkdir d; cp a d/b",
            "rm a b; rm c; rm d/x; rm-r d",
            "mkdir d; ln-s ../a d/x; ln-s ../b d/y",
            "cp src/a a; cp src/b b; mkdir src",
            "cp a x; cp b x",
        ] {
            assert_eq!(of(line), Repeat::Safe, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_done_twice_by_itself_cannot_be_in_a_row() {
        let must_create = MakeDirectories {
            paths: vec![b"d".to_vec()],
            must_create: true,
            ..MakeDirectories::default()
        };
        let kinds = [kind("cp a b"), Kind::MakeDirectories(must_create)];
        assert_eq!(repeatable_in_order(kinds.iter()), Repeat::Never);
    }
}
