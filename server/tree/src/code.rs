//! Numbers and texts as bytes on record: numbers in little-endian order, texts with their length
//! before them.

use crate::path::RelPath;

/// Writes one after another.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// One byte.
    pub fn u8(&mut self, n: u8) {
        self.0.push(n);
    }

    /// Four bytes.
    pub fn u32(&mut self, n: u32) {
        self.raw(&n.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, n: u64) {
        self.raw(&n.to_le_bytes());
    }

    /// Bytes of which whoever reads them knows how many there are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// A text with a length of 16 bits: no path is longer.
    pub fn short(&mut self, text: &[u8]) {
        self.raw(&(text.len() as u16).to_le_bytes());
        self.raw(text);
    }

    /// A text with a length of 32 bits.
    pub fn long(&mut self, text: &[u8]) {
        self.u32(text.len() as u32);
        self.raw(text);
    }

    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads from the front; `None` where that is not what was written.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// What is in `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes.
    pub fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.raw().map(u8::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.raw().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.raw().map(u64::from_le_bytes)
    }

    /// A text with a length of 16 bits.
    pub fn short(&mut self) -> Option<&'b [u8]> {
        let length = self.raw().map(u16::from_le_bytes)?;
        self.text(length.into())
    }

    /// A text with a length of 32 bits.
    pub fn long(&mut self) -> Option<&'b [u8]> {
        let length = self.u32()?;
        self.text(length as usize)
    }

    fn text(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// The path that was written as `text`: in that one spelling only. The root's is empty.
pub fn path(text: &[u8]) -> Option<RelPath> {
    match text {
        b"" => Some(RelPath::ROOT),
        text => RelPath::parse(text).ok().filter(|path| path.as_bytes() == text),
    }
}
