//! The border between the wire's vocabulary and the core's: requests in, changes out.
//!
//! The daemon converts what clients send, and a client that works without a daemon converts what
//! it would have sent: there is one meaning of each message.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use onewriter_tree::{
    Error, Reason, RelPath, Tree,
    mutation::{
        Batch, Change, HardLink, MakeDirectory, ModeChange, Moment, Mutation, Outcome, Publish,
        Remove, Rename, SetAttributes, Source, Symlink, Timespec, Touch, Unchanged,
    },
    transaction::Seen,
};

use crate::v1::{self, mutation::Kind};

/// The most paths or mutations that one request may name.
pub const MAX_ITEMS: usize = 10_000;

/// The umask of a caller that does not say its own.
pub const DEFAULT_UMASK: u32 = 0o022;

/// What the meaning of a request depends on besides its own words.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The tree that it is for.
    pub tree: &'a Tree,
    /// The caller's umask.
    pub umask: u32,
    /// Whether the caller may name files of this machine: it runs on it, as the same user.
    pub local: bool,
}

/// A mutation as the core runs it.
pub fn mutation(kind: Kind, terms: Terms<'_>) -> Result<Box<dyn Mutation>, Error> {
    Ok(match kind {
        Kind::MakeDirectories(make) => {
            let mode = make.mode.map(|bits| mode(bits, "mode")).transpose()?;
            each("mkdir", &make.paths, |path| MakeDirectory {
                path,
                mode,
                umask: terms.umask,
                parents: !make.no_parents,
                must_create: make.must_create,
            })?
        }
        Kind::PublishLocal(publish) => {
            let source = local_source(publish.source, publish.consume, terms)?;
            Box::new(publication(publish.to, source, terms.umask)?)
        }
        Kind::PublishStaged(publish) => {
            let source = staged_source(&publish.name, terms)?;
            Box::new(publication(publish.to, source, terms.umask)?)
        }
        Kind::Symlink(link) => {
            let target = link.target;
            if target.is_empty() || target.len() > 4095 || target.contains(&0) {
                return Err(bad("target", "a link's target has 1 to 4095 bytes and no NUL"));
            }
            let (path, umask) = (RelPath::parse(&link.path)?, terms.umask);
            Box::new(Symlink { path, target, replace: link.replace, parents: link.parents, umask })
        }
        Kind::HardLink(link) => Box::new(HardLink {
            source: RelPath::parse(&link.source)?,
            path: RelPath::parse(&link.path)?,
            replace: link.replace,
            parents: link.parents,
            umask: terms.umask,
        }),
        Kind::Rename(rename) => Box::new(Rename {
            from: RelPath::parse(&rename.from)?,
            to: RelPath::parse(&rename.to)?,
            must_create: rename.must_create,
            parents: rename.parents,
            keep_unchanged: rename.keep_unchanged,
            umask: terms.umask,
        }),
        Kind::Remove(remove) => each("remove", &remove.paths, |path| Remove {
            path,
            recursive: remove.recursive,
            allow_missing: remove.allow_missing,
            directory: remove.directory,
        })?,
        Kind::SetAttributes(set) => {
            let change = set.mode.map(|m| ModeChange { keep: m.keep, set: m.set });
            let (atime, mtime) =
                (set.atime.map(time).transpose()?, set.mtime.map(time).transpose()?);
            let (uid, gid) = (set.uid, set.gid);
            each("attributes", &set.paths, |path| SetAttributes {
                path,
                mode: change,
                uid,
                gid,
                atime,
                mtime,
            })?
        }
        Kind::Touch(touch) => {
            let (atime, mtime) =
                (moment(touch.atime, touch.omit_atime)?, moment(touch.mtime, touch.omit_mtime)?);
            let (no_create, umask) = (touch.no_create, terms.umask);
            each("touch", &touch.paths, |path| Touch { path, no_create, atime, mtime, umask })?
        }
    })
}

/// Several mutations under one set of locks.
pub fn batch(mutations: Vec<v1::Mutation>, terms: Terms<'_>) -> Result<Box<dyn Mutation>, Error> {
    if mutations.is_empty() || mutations.len() > MAX_ITEMS {
        return Err(bad("mutations", "a batch has 1 to 10,000 mutations"));
    }
    let items = mutations.into_iter().enumerate().map(|(index, item)| {
        let kind = item.kind.ok_or_else(|| bad("kind", "the mutation says nothing"));
        kind.and_then(|kind| mutation(kind, terms))
            .map_err(|error| Error { index: Some(index), ..error })
    });
    Ok(Box::new(Batch::new("batch", items.collect::<Result<_, _>>()?, false)))
}

/// A publish of `source` as `to` describes it.
pub fn publication(
    to: Option<v1::Publication>,
    source: Source,
    umask: u32,
) -> Result<Publish, Error> {
    let to = to.ok_or_else(|| bad("to", "the request does not say where to publish"))?;
    let mut publish = Publish::new(RelPath::parse(&to.path)?, source);
    publish.mode = to.mode.map(|bits| mode(bits, "mode")).transpose()?;
    if let Some(bits) = to.source_mode {
        publish.staged_mode = mode(bits, "source_mode")?;
    }
    publish.umask = umask;
    publish.parents = to.parents;
    publish.unchanged = unchanged(to.unchanged)?;
    publish.mtime = to.mtime.map(time).transpose()?;
    publish.follow = to.follow;
    publish.must_create = to.must_create;
    Ok(publish)
}

/// What to do where nothing changes.
pub fn unchanged(value: i32) -> Result<Unchanged, Error> {
    match v1::Unchanged::try_from(value) {
        Ok(v1::Unchanged::Keep) => Ok(Unchanged::Keep),
        Ok(v1::Unchanged::Touch) => Ok(Unchanged::Touch),
        Ok(v1::Unchanged::Replace) => Ok(Unchanged::Replace),
        Err(_) => Err(bad("unchanged", "it is none of the known values")),
    }
}

/// A mutation of each path: one by itself, several as a batch that attempts all.
fn each<M: Mutation + 'static>(
    method: &'static str,
    paths: &[Vec<u8>],
    make: impl Fn(RelPath) -> M,
) -> Result<Box<dyn Mutation>, Error> {
    match paths {
        [path] => Ok(Box::new(make(RelPath::parse(path)?))),
        paths if paths.is_empty() || paths.len() > MAX_ITEMS => {
            Err(bad("paths", "a request names 1 to 10,000 paths"))
        }
        paths => {
            let parsed = paths.iter().map(|path| RelPath::parse(path));
            let items = parsed.map(|path| Ok(Box::new(make(path?)) as Box<dyn Mutation>));
            Ok(Box::new(Batch::new(method, items.collect::<Result<_, Error>>()?, true)))
        }
    }
}

fn local_source(path: Vec<u8>, consume: bool, terms: Terms<'_>) -> Result<Source, Error> {
    if !terms.local {
        return Err(not_local(&path));
    }
    if !path.starts_with(b"/") || path.contains(&0) || path.len() > 4095 {
        return Err(bad(
            "source",
            "a local source is an absolute path of at most 4095 bytes without NUL",
        ));
    }
    match terms.tree.below_root_as_spelled(&path) {
        // In the tree it is subject to locks, like any path of it.
        Some(below) => Ok(Source::InTree { path: RelPath::parse(&below)?, consume }),
        None => Ok(Source::Local { path: OsString::from_vec(path), consume }),
    }
}

fn staged_source(name: &[u8], terms: Terms<'_>) -> Result<Source, Error> {
    if !terms.local {
        return Err(not_local(name));
    }
    let adopted = terms.tree.staging().adopt(name);
    adopted.map(Source::Staged).map_err(|errno| {
        let why = format!("is no file that waits in staging: {}", std::io::Error::from(errno));
        Error::new(Reason::Source, name, why)
    })
}

fn not_local(path: &[u8]) -> Error {
    let why =
        "only the daemon's own user on the same machine may name local files; send the content";
    Error::new(Reason::NotLocal, path, why)
}

/// A mode, where `field` is one.
pub fn mode(bits: u32, field: &str) -> Result<u32, Error> {
    if bits > 0o7777 { Err(bad(field, "a mode is at most 07777")) } else { Ok(bits) }
}

fn moment(time_given: Option<v1::Time>, omit: bool) -> Result<Moment, Error> {
    match (time_given, omit) {
        (_, true) => Ok(Moment::Omit),
        (None, false) => Ok(Moment::Now),
        (Some(given), false) => Ok(Moment::At(time(given)?)),
    }
}

/// A moment.
pub fn time(given: v1::Time) -> Result<Timespec, Error> {
    if given.nanoseconds > 999_999_999 {
        return Err(bad("nanoseconds", "a second has 1,000,000,000 of them"));
    }
    Ok(Timespec { tv_sec: given.seconds, tv_nsec: given.nanoseconds.into() })
}

/// A request whose `field` has no meaning.
pub fn bad(field: &str, why: &str) -> Error {
    Error::new(Reason::BadRequest, field.as_bytes(), why)
}

/// What a client saw at a path of its copy.
pub fn seen(said: v1::RemoteSeen) -> Result<Seen, Error> {
    Ok(match said.kind() {
        v1::FileKind::Unspecified => Seen::Nothing,
        v1::FileKind::Directory => Seen::Directory,
        v1::FileKind::Symlink => Seen::Symlink { target: said.target },
        v1::FileKind::Regular => {
            let blake3 = said.blake3.try_into();
            let blake3 = blake3.map_err(|_| bad("blake3", "a BLAKE3 digest has 32 bytes"))?;
            Seen::File { mode: mode(said.mode, "mode")?, blake3 }
        }
        _ => Seen::Other,
    })
}

/// The same, on the wire.
pub fn seen_here(seen: Seen) -> v1::RemoteSeen {
    let of = |kind: v1::FileKind| v1::RemoteSeen { kind: kind.into(), ..Default::default() };
    match seen {
        Seen::Nothing => of(v1::FileKind::Unspecified),
        Seen::Directory => of(v1::FileKind::Directory),
        Seen::Symlink { target } => v1::RemoteSeen { target, ..of(v1::FileKind::Symlink) },
        Seen::File { mode, blake3 } => {
            v1::RemoteSeen { mode, blake3: blake3.to_vec(), ..of(v1::FileKind::Regular) }
        }
        Seen::Other => of(v1::FileKind::Fifo),
    }
}

/// The answer to a mutation.
pub fn response(changes: Vec<Change>) -> v1::MutationResponse {
    let changes = changes.into_iter().map(|change| v1::Change {
        path: shown(&change.path),
        outcome: outcome(change.outcome).into(),
        bytes: change.bytes,
    });
    v1::MutationResponse { changes: changes.collect() }
}

/// The bytes of a path on the wire: the root is ".".
pub fn shown(path: &RelPath) -> Vec<u8> {
    if path.is_root() { b".".to_vec() } else { path.as_bytes().to_vec() }
}

fn outcome(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Created => v1::Outcome::Created,
        Outcome::Existed => v1::Outcome::Existed,
        Outcome::Replaced => v1::Outcome::Replaced,
        Outcome::Unchanged => v1::Outcome::Unchanged,
        Outcome::Attributes => v1::Outcome::Attributes,
        Outcome::Removed => v1::Outcome::Removed,
        Outcome::Absent => v1::Outcome::Absent,
    }
}

/// A description of what is at a path.
pub fn stat(path: &RelPath, found: Option<onewriter_tree::Stat>) -> v1::Stat {
    use onewriter_tree::FileKind;
    let Some(found) = found else {
        return v1::Stat { path: shown(path), ..v1::Stat::default() };
    };
    let kind = match found.kind {
        FileKind::RegularFile => v1::FileKind::Regular,
        FileKind::Directory => v1::FileKind::Directory,
        FileKind::Symlink => v1::FileKind::Symlink,
        FileKind::Fifo => v1::FileKind::Fifo,
        FileKind::Socket => v1::FileKind::Socket,
        FileKind::CharacterDevice => v1::FileKind::CharacterDevice,
        FileKind::BlockDevice => v1::FileKind::BlockDevice,
        FileKind::Unknown => v1::FileKind::Unspecified,
    };
    v1::Stat {
        path: shown(path),
        kind: kind.into(),
        mode: found.mode,
        size: found.size,
        inode: found.inode,
        links: found.links,
        uid: found.uid,
        gid: found.gid,
        mtime: Some(v1::Time {
            seconds: found.mtime.tv_sec,
            nanoseconds: found.mtime.tv_nsec.try_into().unwrap_or(0),
        }),
        target: found.target.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_protocol() {
        for reason in Reason::ALL {
            let name = format!("REASON_{}", reason.as_str());
            assert!(v1::Reason::from_str_name(&name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_outcome_has_its_name() {
        use Outcome::*;
        for it in [Created, Existed, Replaced, Unchanged, Attributes, Removed, Absent] {
            let name = format!("OUTCOME_{}", it.as_str().to_uppercase());
            assert_eq!(outcome(it).as_str_name(), name);
        }
    }
}
