//! HPACK (RFC 7541) with a dynamic table of size 0.
//!
//! The client's first SETTINGS frame, which goes out in the same write as its first request, sets
//! the server's dynamic table to size 0. A server must apply settings in the order of the frames,
//! and it sends no header block before it has read a request: so no block that ever reaches this
//! decoder was made with the default table of 4,096 bytes. A literal "with incremental indexing"
//! is still legal then (it indexes nothing); a reference past the static table is an error, and
//! is reported as one.
//!
//! A header block thus depends on none before it, blocks of abandoned calls can be skipped unread,
//! and a value that nobody asks for is never Huffman-decoded.

use std::borrow::Cow;

use httlib_huffman::DecoderSpeed;

use super::hpack_table::STATIC_TABLE;

/// Why a header block cannot be read.
pub(super) type HpackError = &'static str;

/// No integer in a header block has a reason to be larger: blocks are far smaller.
const MAX_INTEGER: usize = 1 << 24;

/// A name or a value as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    Plain(&'a [u8]),
    Huffman(&'a [u8]),
}

impl<'a> Text<'a> {
    /// What it says.
    pub(super) fn decode(self) -> Result<Cow<'a, [u8]>, HpackError> {
        match self {
            Text::Plain(bytes) => Ok(Cow::Borrowed(bytes)),
            Text::Huffman(coded) => {
                let mut bytes = Vec::with_capacity(coded.len() * 8 / 5);
                httlib_huffman::decode(coded, &mut bytes, DecoderSpeed::FourBits)
                    .map_err(|_| "a header is not valid Huffman code")?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: Text<'a>,
    pub(super) value: Text<'a>,
}

/// The fields of a header block, in order. After an error, nothing more.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    at_start: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block, at_start: true }
    }

    fn field(&mut self) -> Result<Option<Field<'a>>, HpackError> {
        while let Some(&first) = self.rest.first() {
            // The first byte tells the kind by its highest bits (section 6).
            if first & 0b1110_0000 == 0b0010_0000 {
                self.size_update()?;
                continue;
            }
            self.at_start = false;
            if first & 0b1000_0000 != 0 {
                let index = self.integer(7)?;
                let (name, value) = entry(index)?;
                return Ok(Some(Field {
                    name: Text::Plain(name.as_bytes()),
                    value: Text::Plain(value.as_bytes()),
                }));
            }
            // Three kinds of literals, which differ in what an intermediary may do with them.
            let prefix = if first & 0b0100_0000 != 0 { 6 } else { 4 };
            let name = match self.integer(prefix)? {
                0 => self.text()?,
                index => Text::Plain(entry(index)?.0.as_bytes()),
            };
            return Ok(Some(Field { name, value: self.text()? }));
        }
        Ok(None)
    }

    fn size_update(&mut self) -> Result<(), HpackError> {
        if !self.at_start {
            return Err("a table size update in the middle of a header block");
        }
        match self.integer(5)? {
            0 => Ok(()),
            _ => Err("a dynamic header table, which the client's settings exclude"),
        }
    }

    /// An integer whose first byte lends it `prefix` bits (section 5.1).
    fn integer(&mut self, prefix: u32) -> Result<usize, HpackError> {
        const CUT: HpackError = "a header block ends within a field";
        let (&first, mut rest) = self.rest.split_first().ok_or(CUT)?;
        let limit = (1 << prefix) - 1;
        let mut value = usize::from(first) & limit;
        if value == limit {
            let mut shift = 0;
            loop {
                let (&byte, after) = rest.split_first().ok_or(CUT)?;
                rest = after;
                value += usize::from(byte & 0x7f) << shift;
                shift += 7;
                if value > MAX_INTEGER || shift > 21 {
                    return Err("a number in a header block is too large");
                }
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        self.rest = rest;
        Ok(value)
    }

    /// A string (section 5.2).
    fn text(&mut self) -> Result<Text<'a>, HpackError> {
        let huffman = self.rest.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) =
            self.rest.split_at_checked(length).ok_or("a header is longer than its block")?;
        self.rest = rest;
        Ok(if huffman { Text::Huffman(text) } else { Text::Plain(text) })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, HpackError>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        field.transpose()
    }
}

fn entry(index: usize) -> Result<(&'static str, &'static str), HpackError> {
    index
        .checked_sub(1)
        .and_then(|at| STATIC_TABLE.get(at).copied())
        .ok_or("a reference into the dynamic header table, which the client's settings exclude")
}

/// Appends a field that the static table holds as a whole.
pub(super) fn put_indexed(out: &mut Vec<u8>, index: usize) {
    put_integer(out, 0b1000_0000, 7, index);
}

/// Appends a field whose name is in the static table.
pub(super) fn put_named(out: &mut Vec<u8>, name: usize, value: &[u8]) {
    put_integer(out, 0, 4, name);
    put_text(out, value);
}

/// Appends a field with a name of its own.
pub(super) fn put_literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0);
    put_text(out, name);
    put_text(out, value);
}

/// Appends the word that this side's own table has size 0 too. A peer that lowers its table size
/// may insist on hearing it.
pub(super) fn put_size_update(out: &mut Vec<u8>) {
    put_integer(out, 0b0010_0000, 5, 0);
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

fn put_integer(out: &mut Vec<u8>, kind: u8, prefix: u32, value: usize) {
    let limit = (1 << prefix) - 1;
    if value < limit {
        out.push(kind | value as u8);
        return;
    }
    out.push(kind | limit as u8);
    let mut rest = value - limit;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
#[path = "hpack_tests.rs"]
mod tests;
