//! Making a copy what the server has, at some paths.

use std::collections::BTreeSet;

use onewriter_proto::v1::{FileKind as Kind, Stat};
use onewriter_tree::{
    FileKind, Last, Reason, RelPath, Tree, list,
    mutation::{self, Effects, Remove},
    stat,
};

use crate::{
    context::Context,
    failure::Failure,
    server::Server,
    verbs::{
        fetch::{self, Errand},
        stat::ask,
    },
};

/// Paths in one request. The daemon takes 10,000.
const PATHS: usize = 5_000;

/// Brings what the server has at `paths`, and removes what it does not have.
pub(super) fn refresh(
    context: &mut Context,
    server: &Server,
    tree: &Tree,
    paths: Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let paths: BTreeSet<_> = paths.into_iter().collect();
    let paths: Vec<_> = paths.into_iter().collect();
    for paths in paths.chunks(PATHS) {
        let found = describe(context, server, paths)?;
        let (there, gone): (Vec<_>, Vec<_>) =
            found.into_iter().zip(paths).partition(|(found, path)| is_at(found, path));
        for (_, path) in gone {
            remove(tree, &RelPath::parse(path)?)?;
        }
        let there: Vec<_> = there.into_iter().map(|(_, path)| path.clone()).collect();
        if !there.is_empty() {
            bring(context, server, tree, there)?;
        }
    }
    Ok(())
}

/// Whether there is something, at that very place and not where a symbolic link leads.
fn is_at(found: &Option<Stat>, path: &[u8]) -> bool {
    found.as_ref().is_some_and(|stat| stat.kind() != Kind::Unspecified && stat.path == path)
}

/// What is at each path.
fn describe(
    context: &mut Context,
    server: &Server,
    paths: &[Vec<u8>],
) -> Result<Vec<Option<Stat>>, Failure> {
    let mut look = |paths: &[Vec<u8>]| ask(context, server, paths.to_vec(), false);
    match look(paths) {
        Ok(stats) if stats.len() == paths.len() => Ok(stats.into_iter().map(Some).collect()),
        // Something that is no directory stands on the way to one of them.
        _ => paths
            .iter()
            .map(|path| match look(std::slice::from_ref(path)) {
                Err(Failure::Refused {
                    reason: Some(Reason::NotADirectory | Reason::NotFound),
                    ..
                }) => Ok(None),
                stats => Ok(stats?.into_iter().next()),
            })
            .collect(),
    }
}

fn bring(
    context: &mut Context,
    server: &Server,
    tree: &Tree,
    paths: Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let listed = fetch::list(context, server, paths.clone())?;
    let mut known = BTreeSet::new();
    for found in listed.iter().filter_map(|entry| entry.stat.as_ref()) {
        let path = RelPath::parse(&found.path)?;
        make_room(tree, &path, found.kind() == Kind::Directory)?;
        known.insert(path);
    }
    let errand = &mut Errand::new(tree, false);
    let mut session = context.session(server)?;
    for entry in listed {
        errand.bring(context, server, &mut session, entry)?;
    }
    for path in paths {
        remove_others(tree, &RelPath::parse(&path)?, &known)?;
    }
    Ok(())
}

/// Removes a directory that stands where none is to be, and what else stands where one is.
fn make_room(tree: &Tree, path: &RelPath, for_directory: bool) -> Result<(), Failure> {
    match stat(tree, path, Last::Keep)?.1 {
        Some(found) if (found.kind == FileKind::Directory) != for_directory => remove(tree, path),
        _ => Ok(()),
    }
}

/// Removes what is in the directory `path` and not `known`.
fn remove_others(tree: &Tree, path: &RelPath, known: &BTreeSet<RelPath>) -> Result<(), Failure> {
    for found in list(tree, path)?.unwrap_or_default() {
        match found.kind {
            _ if !known.contains(&found.path) => remove(tree, &found.path)?,
            FileKind::Directory => remove_others(tree, &found.path, known)?,
            _ => {}
        }
    }
    Ok(())
}

fn remove(tree: &Tree, path: &RelPath) -> Result<(), Failure> {
    let mut remove =
        Remove { path: path.clone(), recursive: true, allow_missing: true, directory: false };
    Ok(mutation::run(&mut remove, tree, &mut Effects::new(false))?)
}
