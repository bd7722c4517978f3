//! Records of keys as bytes: numbers little-endian, texts with their length before them.

use onewriter_tree::{
    RelPath,
    mutation::{Change, Outcome},
};

use super::{Key, evidence::Evidence, known::Done, log::Record};

const INTENT: u8 = 1;
const DONE: u8 = 2;
const VOID: u8 = 3;

/// All of them, by their number on record.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Created,
    Outcome::Existed,
    Outcome::Replaced,
    Outcome::Unchanged,
    Outcome::Attributes,
    Outcome::Removed,
    Outcome::Absent,
];

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    match record {
        Record::Intent { key, at, what, evidence } => {
            put_head(&mut out, INTENT, key);
            out.extend(at.to_le_bytes());
            put(&mut out, what.as_bytes());
            for (path, inode) in &evidence.0 {
                put(&mut out, path.as_bytes());
                // No file has the number 0.
                out.extend(inode.unwrap_or(0).to_le_bytes());
            }
        }
        Record::Done { key, done } => {
            put_head(&mut out, DONE, key);
            out.extend(done.at.to_le_bytes());
            put(&mut out, done.what.as_bytes());
            for change in &done.changes {
                put(&mut out, change.path.as_bytes());
                let outcome = OUTCOMES.iter().position(|outcome| *outcome == change.outcome);
                out.push(outcome.unwrap_or(0) as u8);
                out.extend(change.bytes.to_le_bytes());
                out.push(change.other.is_some().into());
                put(&mut out, change.other.as_ref().map_or(b"", |other| other.as_bytes()));
            }
        }
        Record::Void { key } => put_head(&mut out, VOID, key),
    }
    out
}

pub(super) fn decode(mut bytes: &[u8]) -> Option<Record> {
    let bytes = &mut bytes;
    let [kind] = take(bytes)?;
    let key = Key { id: take(bytes)?, who: text(bytes)? };
    if kind == VOID {
        return Some(Record::Void { key });
    }
    let (at, what) = (u64::from_le_bytes(take(bytes)?), text(bytes)?);
    match kind {
        INTENT => {
            let mut evidence = Evidence::default();
            while !bytes.is_empty() {
                let path = path(bytes)?;
                let inode = u64::from_le_bytes(take(bytes)?);
                evidence.0.push((path, (inode != 0).then_some(inode)));
            }
            Some(Record::Intent { key, at, what, evidence })
        }
        DONE => {
            let mut changes = Vec::new();
            while !bytes.is_empty() {
                let path = path(bytes)?;
                let [outcome] = take(bytes)?;
                let outcome = *OUTCOMES.get(usize::from(outcome))?;
                let size = u64::from_le_bytes(take(bytes)?);
                let [has_other] = take(bytes)?;
                let other = self::path(bytes)?;
                let other = (has_other == 1).then_some(other);
                changes.push(Change { bytes: size, other, ..Change::new(&path, outcome) });
            }
            Some(Record::Done { key, done: Done { at, what, changes } })
        }
        _ => None,
    }
}

fn put_head(out: &mut Vec<u8>, kind: u8, key: &Key) {
    out.push(kind);
    out.extend(key.id);
    put(out, key.who.as_bytes());
}

fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn blob<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_le_bytes(take(bytes)?) as usize;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(blob(bytes)?.to_vec()).ok()
}

/// The root's is empty.
fn path(bytes: &mut &[u8]) -> Option<RelPath> {
    match blob(bytes)? {
        b"" => Some(RelPath::ROOT),
        path => RelPath::parse(path).ok(),
    }
}
