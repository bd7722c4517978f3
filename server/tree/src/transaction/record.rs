//! The intent of a commit, on record beside what it moves; and making good all that is on record
//! when a daemon starts.
//!
//! The record is the file `intent` in the transaction's directory: whose the transaction is, in the
//! words of whoever keeps a journal, and the steps. It is complete before the first step is done. One
//! that cannot be read was therefore being written when its daemon was killed, and nothing of its
//! transaction has happened.

use std::{
    fs::File,
    io::{Read as _, Write as _},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    intent::is_of_another_make,
    recover::{Recovered, recover},
    upper::{PREFIX, Upper, of_all},
};
use crate::{
    error::{Error, Reason},
    fault,
    mutation::Effects,
    tree::{DIRECTORY, Dir, Fault, Tree},
};

/// Its name in the transaction's directory.
pub(super) const FILE: &str = "intent";

/// Writes the record. The effects note what must reach the disk with it.
pub(super) fn write(
    upper: &Upper,
    author: &[u8],
    intent: &[u8],
    effects: &mut Effects,
) -> Result<(), Fault> {
    let fail = of_all("cannot put a transaction on record");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(upper.top(), FILE, flags, Mode::from_raw_mode(0o600)).map_err(&fail)?;
    let mut file = File::from(file);
    let record = [&(author.len() as u32).to_le_bytes(), author, intent].concat();
    let written = fault::point("commit.record").map_err(std::io::Error::from);
    written
        .and_then(|()| file.write_all(&record))
        .map_err(|error| fail(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    effects.written(&file)?;
    let top = openat(upper.top(), ".", DIRECTORY, Mode::empty()).map_err(&fail)?;
    effects.touched(&Dir::Below(top))
}

/// A transaction that was on record when a daemon started.
#[derive(Debug)]
pub struct Recovery {
    /// The transaction's name.
    pub name: String,
    /// What [`CommitTerms::author`](super::CommitTerms::author) said.
    pub author: Vec<u8>,
    /// What became of it.
    pub outcome: Recovered,
}

/// Completes, or undoes, all that killed daemons had begun: to be called at the start, before
/// anybody is served and before staging is cleared.
///
/// # Errors
/// Where something can be neither completed nor undone. It stays on record, to be tried again.
pub fn recover_all(tree: &Tree) -> Result<Vec<Recovery>, Error> {
    let names = tree.staging().names().map_err(of_all("cannot list staging"))?;
    let ours = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
    let mut recovered = Vec::new();
    for name in ours.filter(|name| name.starts_with(PREFIX)) {
        let Some((author, intent)) = read(tree, &name)? else { continue };
        match recover(tree, &intent) {
            Ok(outcome) => recovered.push(Recovery { name, author, outcome }),
            // It was never complete.
            Err(error) if error.reason == Reason::Journal && !is_of_another_make(&intent) => {}
            Err(error) => {
                let what = format!(
                    "{}: so transaction '{name}', in the middle of whose commit a daemon was \
                     killed, can be neither completed nor undone; mend that and start again",
                    error.what
                );
                return Err(Error { what, ..error });
            }
        }
    }
    Ok(recovered)
}

/// Author and intent.
type Record = (Vec<u8>, Vec<u8>);

fn read(tree: &Tree, name: &str) -> Result<Option<Record>, Error> {
    let Some(upper) = Upper::find(tree, name)? else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Whatever else keeps it from being read: staging would be cleared of what the tree needs back.
    let unreadable = |error: std::io::Error| {
        Error::new(Reason::Io, b".", format!("cannot read the record of '{name}': {error}"))
    };
    let file = match openat(upper.top(), FILE, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened.map_err(|errno| unreadable(errno.into()))?,
    };
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(split(&bytes))
}

fn split(bytes: &[u8]) -> Option<Record> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (author, intent) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((author.to_vec(), intent.to_vec()))
}
