//! What content is called: a digest and a size, as in the Remote Execution API.

use std::{fmt, fs::File};

use sha2::Digest as _;

use crate::{disk, error::StoreError};

/// A digest function whose digests have 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// What every client of the Remote Execution API knows.
    Sha256,
    /// Three times as fast, on one core.
    Blake3,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Blake3];

    /// As resource names and directories have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }
}

/// The name of a content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    /// By which function.
    pub function: Function,
    /// The digest itself.
    pub hash: [u8; 32],
    /// The content's size in bytes.
    pub size: u64,
}

/// Why something is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not what the function's digests look like.
    #[error("'{0}' is not a digest: 64 lower-case hexadecimal digits are")]
    Hash(String),
    /// No size.
    #[error("a content's size is not {0}")]
    Size(i64),
}

impl Digest {
    /// Of 64 lower-case hexadecimal digits and a size, as they come by the wire.
    ///
    /// # Errors
    /// [`DigestError`], when they are anything else.
    pub fn parse(function: Function, hex: &str, size: i64) -> Result<Self, DigestError> {
        let hash = from_hex(hex).ok_or_else(|| {
            // It is a stranger's: enough of it to be recognised.
            DigestError::Hash(hex.chars().take(80).collect())
        })?;
        let size = u64::try_from(size).map_err(|_| DigestError::Size(size))?;
        Ok(Self { function, hash, size })
    }

    /// Of content at hand.
    pub fn of(function: Function, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(function);
        hasher.update(content);
        hasher.finish()
    }

    /// Of all of a file, wherever it stands.
    ///
    /// # Errors
    /// [`StoreError::Io`], where it cannot be read.
    pub fn of_file(function: Function, file: &File) -> Result<Self, StoreError> {
        let mut hasher = Hasher::new(function);
        disk::read_through(file, |piece| hasher.update(piece))
            .map_err(StoreError::std("cannot read content"))?;
        Ok(hasher.finish())
    }

    /// The hash in hexadecimal digits.
    pub fn hex(&self) -> String {
        to_hex(&self.hash)
    }

    /// Whether it is the name of nothing at all, which is always there.
    pub fn is_empty(&self) -> bool {
        self.size == 0 && *self == Self::of(self.function, b"")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hex(), self.size)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.function.name())
    }
}

/// Finds out a digest, piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher {
    state: State,
    size: u64,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    // Two kilobytes, and most uploads do not need it.
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Of nothing so far.
    pub fn new(function: Function) -> Self {
        let state = match function {
            Function::Sha256 => State::Sha256(sha2::Sha256::new()),
            Function::Blake3 => State::Blake3(Box::new(blake3::Hasher::new())),
        };
        Self { state, size: 0 }
    }

    /// Takes what comes next.
    pub fn update(&mut self, content: &[u8]) {
        self.size += content.len() as u64;
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(content),
            State::Blake3(hasher) => drop(hasher.update(content)),
        }
    }

    /// The digest of all that was taken.
    pub fn finish(self) -> Digest {
        let (function, hash) = match self.state {
            State::Sha256(hasher) => (Function::Sha256, hasher.finalize().into()),
            State::Blake3(hasher) => (Function::Blake3, hasher.finalize().into()),
        };
        Digest { function, hash, size: self.size }
    }
}

/// 32 bytes in lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let mut hash = [0; 32];
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_functions_own_documents() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(Function::Sha256, b"abc").to_string(), format!("{sha256}/3"));
        let blake3 = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(Function::Blake3, b"").to_string(), format!("{blake3}/0"));
    }

    #[test]
    fn what_is_parsed_is_what_is_written() {
        for function in Function::ALL {
            let digest = Digest::of(function, b"content");
            assert_eq!(Digest::parse(function, &digest.hex(), 7), Ok(digest));
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let hex = Digest::of(Function::Sha256, b"").hex();
        let parse = |hex: &str, size| Digest::parse(Function::Sha256, hex, size);
        let bad = [
            String::new(),
            hex[1..].to_owned(),
            format!("{hex}0"),
            hex.to_uppercase(),
            format!("../{}", &hex[3..]),
            hex.replace('e', "é"),
            hex.replace('e', "g"),
        ];
        for hex in bad {
            assert!(matches!(parse(&hex, 0), Err(DigestError::Hash(_))), "{hex}");
        }
        assert_eq!(parse(&hex, -1), Err(DigestError::Size(-1)));
    }

    #[test]
    fn nothing_is_known_by_digest_and_size() {
        let nothing = Digest::of(Function::Blake3, b"");
        assert!(nothing.is_empty());
        assert!(!Digest { size: 1, ..nothing }.is_empty());
        assert!(!Digest { function: Function::Sha256, ..nothing }.is_empty());
    }
}
