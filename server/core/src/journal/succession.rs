//! The journal's way from one owner of a root to the next, where several daemons may own it.
//!
//! An owner that was stopped keeps its locks on the file, and may write to it when it goes on. So each
//! owner has a file of its own, `.onewriter/journals/EPOCH/journal.sqlite`, which begins as a copy of its
//! predecessor's (one that shares its blocks, where the filesystem can).

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::store::{FILE, with_suffix};

/// The directory of the owners' directories, in `.onewriter/`.
const OWNERS: &str = "journals";

/// What belongs to a journal, but for what SQLite makes anew.
const PARTS: [&str; 3] = ["", "-wal", "-journal"];

/// How often a copy is begun anew because its original changed meanwhile.
const ATTEMPTS: usize = 5;

/// Makes the directory of the owner of `epoch` in `state`, with what the last one has written. What cannot
/// be copied is logged, and left behind: no build stops because of the journal.
///
/// # Errors
/// What keeps the directory from being made.
pub fn succeed(state: &Path, epoch: u64) -> io::Result<PathBuf> {
    let owners = state.join(OWNERS);
    let own = owners.join(epoch.to_string());
    // Left by one that was killed before it was done.
    remove(&own)?;
    make(&own)?;
    let earlier = earlier(&owners, epoch)?;
    let last =
        earlier.iter().max().map_or_else(|| state.to_owned(), |last| owners.join(last.to_string()));
    if let Err(error) = copy(&last, &own) {
        tracing::error!(cause = %error, from = %last.display(), "the journal of the last owner is left behind");
        remove(&own)?;
        make(&own)?;
        return Ok(own);
    }
    for epoch in earlier {
        if let Err(error) = remove(&owners.join(epoch.to_string())) {
            tracing::warn!(cause = %error, epoch, "the journal of an earlier owner stays");
        }
    }
    Ok(own)
}

/// The epochs of owners before this one.
fn earlier(owners: &Path, epoch: u64) -> io::Result<Vec<u64>> {
    let names = fs::read_dir(owners)?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<io::Result<Vec<OsString>>>()?;
    let epochs = names.iter().filter_map(|name| name.to_str()?.parse::<u64>().ok());
    Ok(epochs.filter(|earlier| *earlier < epoch).collect())
}

/// Copies what stays as it is meanwhile: an owner that has just lost the root may still be writing.
#[expect(clippy::disallowed_methods, reason = "the daemon's own state, not the build tree")]
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (from.join(FILE), to.join(FILE));
    for _ in 0..ATTEMPTS {
        let before = shape(&from)?;
        for (part, found) in PARTS.iter().zip(&before) {
            let target = with_suffix(&to, part);
            match found {
                Some(_) => drop(fs::copy(with_suffix(&from, part), target)?),
                None => match fs::remove_file(target) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                },
            }
        }
        if shape(&from)? == before {
            return Ok(());
        }
    }
    Err(io::Error::other("somebody goes on writing to it"))
}

type Shape = [Option<(u64, SystemTime)>; 3];

/// Size and time of each part.
fn shape(file: &Path) -> io::Result<Shape> {
    let mut shape = Shape::default();
    for (part, shape) in PARTS.iter().zip(&mut shape) {
        *shape = match fs::metadata(with_suffix(file, part)) {
            Ok(found) => Some((found.len(), found.modified()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
    }
    Ok(shape)
}

#[expect(clippy::disallowed_methods, reason = "the daemon's own state, not the build tree")]
fn make(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[expect(clippy::disallowed_methods, reason = "the daemon's own state, not the build tree")]
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Query, entry_for_tests as entry};

    #[test]
    fn an_owner_goes_on_where_the_last_one_ended_which_may_still_have_its_file() {
        let state = tempfile::tempdir().unwrap();
        let first = Journal::open(state.path()).unwrap();
        first.append(entry("a"));
        first.flush();
        let second = Journal::open(&succeed(state.path(), 7).unwrap()).unwrap();
        second.append(entry("b"));
        second.flush();
        // Stopped for a while, and not aware of it.
        first.append(entry("late"));
        first.flush();
        let third = Journal::open(&succeed(state.path(), 9).unwrap()).unwrap();
        let paths = |journal: &Journal| {
            let found = journal.list(&Query { limit: 9, ..Query::default() }).unwrap();
            found.into_iter().map(|r| String::from_utf8(r.path).unwrap()).collect::<Vec<_>>()
        };
        let mut kept = paths(&third);
        kept.sort();
        assert_eq!(kept, ["a", "b"]);
        assert!(
            !state.path().join("journals/7").exists() && state.path().join("journals/9").exists()
        );
    }
}
