//! What is on record of a commit before it begins: its name and its steps, as bytes.
//!
//! A version, the name, then the steps: a tag, the path, numbers ([`code`]). Lengths are 16 bits, the
//! number of steps 32.

use rustix::fs::Timespec;

use super::{
    step::{Attributes, Owner, Step},
    upper::PREFIX,
};
use crate::{
    code::{self, Reader, Writer},
    error::{Error, Reason},
    path::{NAME_MAX, RelPath},
};

const VERSION: u8 = 1;

/// The steps of the transaction whose directory in staging is `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub name: String,
    pub steps: Vec<Step>,
}

impl Intent {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.short(self.name.as_bytes());
        out.u32(self.steps.len() as u32);
        for step in &self.steps {
            out.step(step);
        }
        out.into_bytes()
    }

    /// Reads what [`Intent::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut input = Reader::new(bytes);
        input.intent().filter(|_| input.is_empty()).ok_or_else(|| {
            Error::new(Reason::Journal, b".", "the record of a transaction cannot be read")
        })
    }
}

/// Whether a record was written by a daemon of a later version, which may have begun what it says.
pub(super) fn is_of_another_make(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|version| *version > VERSION)
}

impl Writer {
    fn time(&mut self, time: Timespec) {
        self.u64(time.tv_sec as u64);
        self.u32(time.tv_nsec as u32);
    }

    fn begin(&mut self, tag: u8, path: &RelPath) {
        self.u8(tag);
        self.short(path.as_bytes());
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Create { path, inode } => {
                self.begin(1, path);
                self.u64(*inode);
            }
            Step::Replace { path, inode, old, slot } => {
                self.begin(2, path);
                self.u64(*inode);
                self.u64(*old);
                self.u32(*slot);
            }
            Step::Remove { path, old, slot } => {
                self.begin(3, path);
                self.u64(*old);
                self.u32(*slot);
            }
            Step::Attributes { path, inode, old, new } => {
                self.begin(4, path);
                self.u64(*inode);
                for attributes in [old, new] {
                    self.u32(attributes.mode);
                    self.time(attributes.mtime);
                }
            }
            Step::Dress { path, inode, slot, mode, old, new } => {
                self.begin(7, path);
                self.u64(*inode);
                for n in [*slot, *mode, old.0, old.1, new.0, new.1] {
                    self.u32(n);
                }
            }
            Step::Before { path, inode, mtime } => {
                self.begin(5, path);
                self.u64(*inode);
                self.time(*mtime);
            }
            Step::After { path, inode, mtime } => {
                self.begin(6, path);
                self.u64(*inode);
                self.time(*mtime);
            }
        }
    }
}

impl Reader<'_> {
    fn intent(&mut self) -> Option<Intent> {
        if self.u8()? != VERSION {
            return None;
        }
        let name = std::str::from_utf8(self.short()?).ok()?.to_owned();
        let is_name = name.starts_with(PREFIX) && !name.contains(['/', '\0']);
        if !is_name || name.len() > NAME_MAX {
            return None;
        }
        let count = self.u32()?;
        let steps = (0..count).map(|_| self.step()).collect::<Option<_>>()?;
        Some(Intent { name, steps })
    }

    fn time(&mut self) -> Option<Timespec> {
        let tv_sec = self.u64()? as i64;
        Some(Timespec { tv_sec, tv_nsec: self.u32()?.into() })
    }

    fn mode(&mut self) -> Option<u32> {
        self.u32().filter(|mode| mode & !0o7777 == 0)
    }

    fn attributes(&mut self) -> Option<Attributes> {
        Some(Attributes { mode: self.mode()?, mtime: self.time()? })
    }

    fn owner(&mut self) -> Option<Owner> {
        Some((self.u32()?, self.u32()?))
    }

    fn step(&mut self) -> Option<Step> {
        let tag = self.u8()?;
        let path = code::path(self.short()?)?;
        // The root itself can only be changed in place.
        if tag <= 3 && path.is_root() {
            return None;
        }
        Some(match tag {
            1 => Step::Create { path, inode: self.u64()? },
            2 => Step::Replace { path, inode: self.u64()?, old: self.u64()?, slot: self.u32()? },
            3 => Step::Remove { path, old: self.u64()?, slot: self.u32()? },
            4 => Step::Attributes {
                path,
                inode: self.u64()?,
                old: self.attributes()?,
                new: self.attributes()?,
            },
            5 => Step::Before { path, inode: self.u64()?, mtime: self.time()? },
            6 => Step::After { path, inode: self.u64()?, mtime: self.time()? },
            7 => Step::Dress {
                path,
                inode: self.u64()?,
                slot: self.u32()?,
                mode: self.mode()?,
                old: self.owner()?,
                new: self.owner()?,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn path() -> impl Strategy<Value = RelPath> {
        vec(vec(any::<u8>(), 1..8), 1..4).prop_filter_map("a path", |names| {
            RelPath::parse(&names.join(&b'/')).ok().filter(|path| !path.is_root())
        })
    }

    fn time() -> impl Strategy<Value = Timespec> {
        let parts = (any::<i64>(), 0..1_000_000_000u32);
        parts.prop_map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec: tv_nsec.into() })
    }

    fn attributes() -> impl Strategy<Value = Attributes> {
        (0..0o10000u32, time()).prop_map(|(mode, mtime)| Attributes { mode, mtime })
    }

    fn owner() -> impl Strategy<Value = Owner> {
        (any::<u32>(), any::<u32>())
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = || prop_oneof![path(), Just(RelPath::ROOT)];
        prop_oneof![
            (path(), any::<u64>()).prop_map(|(path, inode)| Step::Create { path, inode }),
            (path(), any::<u64>(), any::<u64>(), any::<u32>())
                .prop_map(|(path, inode, old, slot)| Step::Replace { path, inode, old, slot }),
            (path(), any::<u64>(), any::<u32>()).prop_map(|(path, old, slot)| Step::Remove {
                path,
                old,
                slot
            }),
            (place(), any::<u64>(), attributes(), attributes())
                .prop_map(|(path, inode, old, new)| Step::Attributes { path, inode, old, new }),
            (place(), any::<u64>(), any::<u32>(), 0..0o10000u32, owner(), owner()).prop_map(
                |(path, inode, slot, mode, old, new)| Step::Dress {
                    path,
                    inode,
                    slot,
                    mode,
                    old,
                    new
                }
            ),
            (place(), any::<u64>(), time()).prop_map(|(path, inode, mtime)| Step::Before {
                path,
                inode,
                mtime
            }),
            (place(), any::<u64>(), time()).prop_map(|(path, inode, mtime)| Step::After {
                path,
                inode,
                mtime
            }),
        ]
    }

    fn intent() -> impl Strategy<Value = Intent> {
        ("x-[a-z0-9-]{1,20}", vec(step(), 0..8)).prop_map(|(name, steps)| Intent { name, steps })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(intent in intent()) {
            prop_assert_eq!(Intent::decode(&intent.encode()).unwrap(), intent);
        }

        #[test]
        fn no_part_of_it_is_taken_for_the_whole(intent in intent()) {
            let bytes = intent.encode();
            for end in 0..bytes.len() {
                prop_assert!(Intent::decode(&bytes[..end]).is_err());
            }
            prop_assert!(Intent::decode(&[&bytes[..], b"x"].concat()).is_err());
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(
            intent in intent(),
            garbage in vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bits in 1u8..,
        ) {
            prop_assert!(Intent::decode(&garbage).is_err());
            let mut bytes = intent.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
            if let Ok(other) = Intent::decode(&bytes) {
                prop_assert_ne!(other, intent);
            }
        }
    }

    /// What an earlier daemon has begun is to be read.
    #[test]
    fn the_form_on_record_stays_as_it_is() {
        let path = RelPath::parse(b"d/f").unwrap();
        let mtime = Timespec { tv_sec: -1, tv_nsec: 7 };
        let steps = vec![
            Step::Remove { path, old: 0x0102_0304_0506_0708, slot: 9 },
            Step::After { path: RelPath::ROOT, inode: 3, mtime },
        ];
        let intent = Intent { name: "x-1".into(), steps };
        let expected = [
            &b"\x01\x03\0x-1\x02\0\0\0"[..],
            b"\x03\x03\0d/f\x08\x07\x06\x05\x04\x03\x02\x01\x09\0\0\0",
            b"\x06\0\0\x03\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x07\0\0\0",
        ];
        assert_eq!(intent.encode(), expected.concat());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "t-1", "x-/..", "../x-1", "x-a\0b"] {
            let intent = Intent { name: name.into(), steps: Vec::new() };
            assert!(Intent::decode(&intent.encode()).is_err(), "{name:?}");
        }
        let huge = [&[VERSION, 3, 0][..], b"x-1", &[0xff; 4]].concat();
        assert!(Intent::decode(&huge).is_err());
    }
}
