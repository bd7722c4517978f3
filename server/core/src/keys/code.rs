//! Records of keys as bytes.

use onewriter_tree::{
    code::{Reader, Writer, path},
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
    let mut out = Writer::default();
    match record {
        Record::Intent { key, at, what, evidence } => {
            put_head(&mut out, INTENT, key);
            out.u64(*at);
            out.long(what.as_bytes());
            for (path, inode) in &evidence.0 {
                out.long(path.as_bytes());
                // No file has the number 0.
                out.u64(inode.unwrap_or(0));
            }
        }
        Record::Done { key, done } => {
            put_head(&mut out, DONE, key);
            out.u64(done.at);
            out.long(done.what.as_bytes());
            for change in &done.changes {
                out.long(change.path.as_bytes());
                let outcome = OUTCOMES.iter().position(|outcome| *outcome == change.outcome);
                out.u8(outcome.unwrap_or(0) as u8);
                out.u64(change.bytes);
                out.u8(change.other.is_some().into());
                out.long(change.other.as_ref().map_or(b"", |other| other.as_bytes()));
            }
        }
        Record::Void { key } => put_head(&mut out, VOID, key),
    }
    out.into_bytes()
}

pub(super) fn decode(bytes: &[u8]) -> Option<Record> {
    let mut input = Reader::new(bytes);
    let kind = input.u8()?;
    let key = Key { id: input.raw()?, who: text(&mut input)? };
    if kind == VOID {
        return Some(Record::Void { key });
    }
    let (at, what) = (input.u64()?, text(&mut input)?);
    match kind {
        INTENT => {
            let mut evidence = Evidence::default();
            while !input.is_empty() {
                let (path, inode) = (path(input.long()?)?, input.u64()?);
                evidence.0.push((path, (inode != 0).then_some(inode)));
            }
            Some(Record::Intent { key, at, what, evidence })
        }
        DONE => {
            let mut changes = Vec::new();
            while !input.is_empty() {
                changes.push(change(&mut input)?);
            }
            Some(Record::Done { key, done: Done { at, what, changes } })
        }
        _ => None,
    }
}

fn change(input: &mut Reader<'_>) -> Option<Change> {
    let at = path(input.long()?)?;
    let outcome = *OUTCOMES.get(usize::from(input.u8()?))?;
    let (bytes, has_other) = (input.u64()?, input.u8()? == 1);
    let other = path(input.long()?)?;
    let other = has_other.then_some(other);
    Some(Change { bytes, other, ..Change::new(&at, outcome) })
}

fn put_head(out: &mut Writer, kind: u8, key: &Key) {
    out.u8(kind);
    out.raw(&key.id);
    out.long(key.who.as_bytes());
}

fn text(input: &mut Reader<'_>) -> Option<String> {
    String::from_utf8(input.long()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use onewriter_tree::RelPath;

    use super::*;

    /// An earlier daemon's records are to be read.
    #[test]
    fn the_form_on_record_stays_as_it_is() {
        let rel = |path: &str| RelPath::parse(path.as_bytes()).unwrap();
        let key = Key { who: "me".into(), id: *b"0123456789abcdef" };
        let evidence = Evidence(vec![(rel("d"), Some(0x0102_0304)), (RelPath::ROOT, None)]);
        let intent = Record::Intent { key: key.clone(), at: 5, what: "w".into(), evidence };
        let renamed = Change::new(&rel("b"), Outcome::Replaced);
        let changes = vec![Change { bytes: 6, other: Some(rel("a")), ..renamed }];
        let done = Done { at: 7, what: String::new(), changes };
        let done = Record::Done { key: key.clone(), done };
        let forms: [(Record, &[&[u8]]); 3] = [
            (
                intent,
                &[
                    b"\x010123456789abcdef\x02\0\0\0me\x05\0\0\0\0\0\0\0\x01\0\0\0w",
                    b"\x01\0\0\0d\x04\x03\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                ],
            ),
            (
                done,
                &[
                    b"\x020123456789abcdef\x02\0\0\0me\x07\0\0\0\0\0\0\0\0\0\0\0",
                    b"\x01\0\0\0b\x02\x06\0\0\0\0\0\0\0\x01\x01\0\0\0a",
                ],
            ),
            (Record::Void { key }, &[b"\x030123456789abcdef\x02\0\0\0me"]),
        ];
        for (record, form) in forms {
            assert_eq!(encode(&record), form.concat());
            assert_eq!(decode(&form.concat()), Some(record));
        }
    }
}
