//! Sending a message that ends with what is in a file.
//!
//! A socket takes a file's pages from the kernel: they never pass through this process. Where the
//! transport needs to see them (TLS), they are read to where the frame lies that they belong to.

use std::{fs::File, os::unix::fs::FileExt as _};

use super::connection::Connection;
use super::frame::{Head, kind};
use super::stream::PREFIX;
use super::{CallError, Transport};

/// A part of a file. The file must not become shorter while it is sent: the call fails then, and
/// with it the connection.
#[derive(Debug)]
pub struct Excerpt<'f> {
    /// Where it is.
    pub file: &'f File,
    /// Where it begins, in bytes.
    pub at: u64,
    /// Its length, in bytes.
    pub length: usize,
}

impl<S: Transport> Connection<S> {
    /// Sends a message of `before` and the excerpt. Stops early if the server ends the call.
    pub(super) fn send_excerpt(
        &mut self,
        before: &[u8],
        mut excerpt: Excerpt<'_>,
    ) -> Result<(), CallError> {
        const TOO_LARGE: CallError = CallError::Request("a message is larger than 4 GiB");
        let length = u32::try_from(before.len() + excerpt.length).map_err(|_| TOO_LARGE)?;
        let mut before = [&[0][..], &length.to_be_bytes(), before].concat();
        debug_assert!(before.len() >= PREFIX);
        while before.len() + excerpt.length > 0 {
            self.flush()?;
            if self.stream.end.is_some() || self.send_failed {
                break;
            }
            let length = self.sendable(before.len() + excerpt.length);
            if length == 0 {
                self.receive()?;
                continue;
            }
            let head = Head { length, kind: kind::DATA, flags: 0, stream: self.stream.id };
            self.out.extend_from_slice(&head.to_bytes());
            let count = length - length.min(before.len());
            self.out.extend(before.drain(..length.min(before.len())));
            self.send_from(&mut excerpt, count)?;
        }
        self.flush()
    }

    /// Sends the next `count` bytes of the excerpt, behind what waits in `out`.
    fn send_from(&mut self, excerpt: &mut Excerpt<'_>, count: usize) -> Result<(), CallError> {
        const SHORTER: CallError = CallError::Request("the file became shorter while it was sent");
        let (begin, end) = (excerpt.at, excerpt.at + count as u64);
        excerpt.length -= count;
        if !self.transport.takes_files() {
            let start = self.out.len();
            self.out.resize(start + count, 0);
            let read = excerpt.file.read_exact_at(&mut self.out[start..], begin);
            excerpt.at = end;
            return read.map_err(|_| {
                self.broken = true;
                SHORTER
            });
        }
        self.flush()?;
        while excerpt.at < end && self.out.is_empty() && !self.send_failed {
            let left = usize::try_from(end - excerpt.at).unwrap_or(usize::MAX);
            let result = self.transport.send_file(excerpt.file, &mut excerpt.at, left);
            if matches!(result, Ok(0)) {
                self.broken = true;
                return Err(SHORTER);
            }
            if self.went(result)? == 0 && self.stream.end.is_some() {
                break;
            }
        }
        // The server would wait for the rest of the frame.
        self.broken |= excerpt.at < end;
        Ok(())
    }
}
