//! The record of keys: a file in `.onewriter/keys`, named by its owner's epoch (0 where there is one
//! daemon only), to which each owner of the root appends, and which the next one reads.
//!
//! An owner writes to its own file, so that one that was stopped and comes back disturbs nobody. The
//! next one reads the file when the last one can change the tree no more: what is done is on record
//! then. A record is its length, its sum and itself; one that is not whole was being written when
//! its daemon was killed, or had no room on the disk, and nothing had been done under it.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    time::SystemTime,
};

use onewriter_tree::Tree;
use rustix::{
    fs::{AtFlags, Mode, OFlags, fdatasync, openat, renameat, unlinkat},
    io::Errno,
};

use super::{
    Key, code,
    evidence::Evidence,
    known::{Done, Known},
};
use crate::epochs;

/// Its directory in `.onewriter/`.
pub(super) const DIR: &str = "keys";

/// How long a file may become before it is begun anew with what still counts, in bytes. All that is
/// kept is some 3 MiB at most.
const LONG: u64 = 8 << 20;

/// What is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Intent {
        key: Key,
        at: u64,
        what: String,
        evidence: Evidence,
    },
    Done {
        key: Key,
        done: Done,
    },
    /// Of the intent before, nothing came.
    Void {
        key: Key,
    },
}

/// This owner's file.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// How long it was when it was begun.
    begun: u64,
    /// How much was appended since.
    length: u64,
    /// Whether its end may be half a record, or lost. What came behind that would never be read.
    torn: bool,
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

/// What the last owner before `epoch` (or this one, when there are no others) has put on record; `None`
/// if no owner ever did.
pub(super) fn read(tree: &Tree, epoch: u64) -> io::Result<Option<Vec<Record>>> {
    let dir = match epochs::open(tree, DIR) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    let last = epochs::list(&dir)?.into_iter().filter(|there| epoch == 0 || *there <= epoch).max();
    let Some(last) = last else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut bytes = Vec::new();
    File::from(openat(&dir, last.to_string(), flags, Mode::empty())?).read_to_end(&mut bytes)?;
    Ok(Some(records(&bytes)))
}

/// As far as they are whole.
fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk()
        && let Some((sum, rest)) = rest.split_first_chunk()
        && let Some((record, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        && u32::from_le_bytes(*sum) == checksum(record)
        && let Some(record) = code::decode(record)
    {
        records.push(record);
        bytes = rest;
    }
    records
}

impl Log {
    /// Begins the file of `epoch` with all that is `known`, in one step, and removes those of earlier
    /// owners.
    pub(super) fn begin(tree: &Tree, epoch: u64, known: &Known) -> io::Result<Self> {
        let dir = epochs::make(tree, DIR)?;
        let name = epoch.to_string();
        let fresh = format!("{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::APPEND;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&dir, &*fresh, flags, Mode::RUSR | Mode::WUSR)?);
        let bytes: Vec<u8> = known.records().flat_map(|record| framed(&record)).collect();
        file.write_all(&bytes)?;
        fdatasync(&file)?;
        renameat(&dir, &*fresh, &dir, &*name)?;
        for old in epochs::list(&dir)?
            .into_iter()
            .filter(|there| epoch == 0 && *there > 0 || *there < epoch)
        {
            unlinkat(&dir, old.to_string(), AtFlags::empty())?;
        }
        Ok(Self { file, begun: bytes.len() as u64, length: 0, torn: false })
    }

    pub(super) fn append(&mut self, record: &Record, sync: bool) -> io::Result<()> {
        let bytes = framed(record);
        if let Err(error) = self.file.write_all(&bytes) {
            // A disk that is full takes a part of it, and perhaps a shorter one afterwards.
            self.torn |= self.file.set_len(self.begun + self.length).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        let kept = if sync { fdatasync(&self.file) } else { Ok(()) };
        self.torn |= kept.is_err();
        Ok(kept?)
    }

    /// Whether it is to be begun anew.
    pub(super) fn is_spent(&self) -> bool {
        self.torn || self.length > LONG
    }

    #[cfg(test)]
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }
}

fn framed(record: &Record) -> Vec<u8> {
    let record = code::encode(record);
    let (length, sum) = ((record.len() as u32).to_le_bytes(), checksum(&record).to_le_bytes());
    [&length[..], &sum, &record].concat()
}

/// FNV-1a: tells a record that was not written to its end from one that was.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
