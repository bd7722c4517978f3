//! Receiving.
//!
//! One [`Connection::receive`] is one read, and the handling of all that is complete after it; what
//! is not waits in `inbox` (a part of a frame), `payload` (DATA that is coming) or `block` (headers
//! that are coming). So reading can stop anywhere, at a deadline or at the end of a call, and go on
//! with the next call.

use std::io;

use super::connection::Connection;
use super::frame::{self, Head, flag, kind};
use super::stream::End;
use super::{CallError, Stage, Status, Transport};

/// The largest payload that the server may put into a frame: a chunk of 256 KiB fits well.
pub(super) const MAX_PAYLOAD: usize = 1 << 20;

/// The largest payload of a frame other than DATA, and the largest header block.
const MAX_BLOCK: usize = 64 << 10;

/// More than this is never owed to a server that reads.
const MAX_CONTROL: usize = 64 << 10;

/// The least that DATA is given in memory as it comes.
const CHUNK: usize = 256 << 10;

/// The least that a read asks for.
const READ: usize = 256;

/// The rest of a frame that is taken as it comes: DATA, or something to skip.
pub(super) struct Payload {
    /// 0 for what is no DATA.
    stream: u32,
    left: usize,
    padding: usize,
    end_stream: bool,
}

/// A header block that comes in several frames.
pub(super) struct HeaderBlock {
    stream: u32,
    end_stream: bool,
    bytes: Vec<u8>,
    frames: usize,
}

impl<S: Transport> Connection<S> {
    /// Waits for the server to send something, and handles it.
    pub(super) fn receive(&mut self) -> Result<(), CallError> {
        let result = self.read().and_then(|()| {
            while self.step()? {}
            Ok(())
        });
        self.broken |= !matches!(result, Ok(()) | Err(CallError::TimedOut));
        result
    }

    fn read(&mut self) -> Result<(), CallError> {
        let buffer = match &mut self.payload {
            // What is large goes straight to where it belongs.
            Some(data) if data.left >= self.inbox.capacity() && self.stream.awaits(data.stream) => {
                let room = self.stream.body.room(data.left.min(CHUNK));
                let length = room.len().min(data.left);
                let count = self.transport.recv(&mut room[..length], self.deadline);
                self.stream.body.filled(*count.as_ref().unwrap_or(&0));
                data.left -= count.as_ref().unwrap_or(&0);
                count
            }
            _ => {
                let count = self.transport.recv(self.inbox.room(READ), self.deadline);
                self.inbox.filled(*count.as_ref().unwrap_or(&0));
                count
            }
        };
        match buffer {
            Ok(0) => Err(CallError::Closed { at: self.stage(self.has_sent_any()) }),
            Ok(_) => {
                self.answered = true;
                Ok(())
            }
            Err(source) => Err(match source.kind() {
                io::ErrorKind::TimedOut => CallError::TimedOut,
                // What a peer leaves unread, or never accepted, resets the connection: otherwise it
                // just ends.
                io::ErrorKind::ConnectionReset => CallError::Closed { at: self.stage(false) },
                _ => CallError::Io { doing: "read from", source },
            }),
        }
    }

    /// `is_read`: whether the server has read all that was sent.
    pub(super) fn stage(&self, is_read: bool) -> Stage {
        match (self.answered, is_read) {
            (true, _) => Stage::Answered,
            (false, true) => Stage::Unanswered,
            (false, false) => Stage::Unread,
        }
    }

    /// Handles one frame, or the part of it that is there. `false`: more must come first.
    fn step(&mut self) -> Result<bool, CallError> {
        if self.payload.is_some() {
            return Ok(self.take_payload());
        }
        let Some(head) = Head::parse(self.inbox.bytes()) else { return Ok(false) };
        if head.length > MAX_PAYLOAD {
            return Err(CallError::Protocol("a frame larger than the client allows"));
        }
        if self.block.is_some() && head.kind != kind::CONTINUATION {
            return Err(CallError::Protocol("a frame between the parts of a header block"));
        }
        match head.kind {
            kind::DATA => self.begin_data(head),
            kind::HEADERS
            | kind::RST_STREAM
            | kind::SETTINGS
            | kind::PUSH_PROMISE
            | kind::PING
            | kind::GOAWAY
            | kind::WINDOW_UPDATE
            | kind::CONTINUATION => self.whole_frame(head),
            _ => {
                self.inbox.consume(frame::HEAD);
                self.skip(head.length);
                Ok(true)
            }
        }
    }

    fn skip(&mut self, left: usize) {
        self.payload = Some(Payload { stream: 0, left, padding: 0, end_stream: false });
    }

    fn begin_data(&mut self, head: Head) -> Result<bool, CallError> {
        const OVERRUN: CallError = CallError::Protocol("more data than the windows allow");
        self.check_stream(head)?;
        let padded = usize::from(head.has(flag::PADDED));
        let mut padding = 0;
        if padded > 0 {
            match self.inbox.bytes().get(frame::HEAD) {
                Some(&byte) if usize::from(byte) < head.length => padding = usize::from(byte),
                None if head.length > 0 => return Ok(false),
                _ => return Err(CallError::Protocol("more padding than payload")),
            }
        }
        self.granted -= head.length as i64;
        if self.granted < 0 {
            return Err(OVERRUN);
        }
        self.replenish_connection();
        if self.stream.awaits(head.stream) {
            self.stream.granted -= head.length as i64;
            if self.stream.granted < 0 {
                return Err(OVERRUN);
            }
            if self.stream.response.is_expected() {
                return Err(CallError::Protocol("data before any headers"));
            }
        }
        self.inbox.consume(frame::HEAD + padded);
        self.payload = Some(Payload {
            stream: head.stream,
            left: head.length - padded - padding,
            padding,
            end_stream: head.has(flag::END_STREAM),
        });
        Ok(true)
    }

    /// Takes what has come of `payload`. `false`: more must come first.
    fn take_payload(&mut self) -> bool {
        let Some(data) = &mut self.payload else { return false };
        let awaited = self.stream.awaits(data.stream);
        let count = data.left.min(self.inbox.len());
        if awaited {
            self.stream.body.extend(&self.inbox.bytes()[..count]);
        }
        self.inbox.consume(count);
        data.left -= count;
        if data.left > 0 {
            return false;
        }
        let count = data.padding.min(self.inbox.len());
        self.inbox.consume(count);
        data.padding -= count;
        if data.padding > 0 {
            return false;
        }
        if data.end_stream && awaited {
            self.stream.ended_by_server();
        }
        self.payload = None;
        true
    }

    /// Handles a frame that is needed as a whole.
    fn whole_frame(&mut self, head: Head) -> Result<bool, CallError> {
        if head.length > MAX_BLOCK {
            return Err(CallError::Protocol("a control frame or header block that is too large"));
        }
        let end = frame::HEAD + head.length;
        if self.inbox.len() < end {
            self.inbox.room(end - self.inbox.len());
            return Ok(false);
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        let result = self.handle(head, &inbox.bytes()[frame::HEAD..end]);
        inbox.consume(end);
        self.inbox = inbox;
        result.map(|()| true)
    }

    fn handle(&mut self, head: Head, payload: &[u8]) -> Result<(), CallError> {
        const SIZE: CallError = CallError::Protocol("a frame of the wrong size");
        match head.kind {
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::RST_STREAM => {
                self.check_stream(head)?;
                self.reset(head.stream, u32::from_be_bytes(payload.try_into().map_err(|_| SIZE)?));
                Ok(())
            }
            kind::WINDOW_UPDATE => {
                let increment = frame::stream_id(payload.try_into().map_err(|_| SIZE)?);
                self.widen(head, increment)
            }
            kind::PUSH_PROMISE => Err(CallError::Protocol("a push, which the client excludes")),
            _ if head.stream != 0 => Err(CallError::Protocol("a connection's frame on a stream")),
            kind::SETTINGS if head.has(flag::ACK) => {
                if payload.is_empty() {
                    Ok(())
                } else {
                    Err(SIZE)
                }
            }
            kind::SETTINGS => self.settings(payload),
            kind::PING => {
                let data: &[u8; 8] = payload.try_into().map_err(|_| SIZE)?;
                if !head.has(flag::ACK) {
                    frame::put(&mut self.control, kind::PING, flag::ACK, 0, data);
                    self.control_is_urgent = true;
                }
                self.check_control()
            }
            _ => {
                let last = payload.first_chunk::<4>().ok_or(SIZE)?;
                self.go_away(frame::stream_id(*last));
                Ok(())
            }
        }
    }

    fn headers(&mut self, head: Head, payload: &[u8]) -> Result<(), CallError> {
        self.check_stream(head)?;
        let part =
            frame::unpad(head, payload).ok_or(CallError::Protocol("more padding than payload"))?;
        let end_stream = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.header_block(head.stream, end_stream, part);
        }
        let bytes = part.to_vec();
        self.block = Some(HeaderBlock { stream: head.stream, end_stream, bytes, frames: 1 });
        Ok(())
    }

    fn continuation(&mut self, head: Head, part: &[u8]) -> Result<(), CallError> {
        let mut block = match self.block.take() {
            Some(block) if block.stream == head.stream => block,
            _ => return Err(CallError::Protocol("the continuation of no header block")),
        };
        block.bytes.extend_from_slice(part);
        block.frames += 1;
        // Counting the heads bounds a block of any number of empty parts, too.
        if block.bytes.len() + block.frames * frame::HEAD > MAX_BLOCK {
            return Err(CallError::Protocol("a header block that is too large"));
        }
        if head.has(flag::END_HEADERS) {
            return self.header_block(block.stream, block.end_stream, &block.bytes);
        }
        self.block = Some(block);
        Ok(())
    }

    fn header_block(
        &mut self,
        stream: u32,
        end_stream: bool,
        block: &[u8],
    ) -> Result<(), CallError> {
        if !self.stream.awaits(stream) {
            return Ok(());
        }
        let response = &mut self.stream.response;
        let trailers = !response.is_expected();
        response.read(block).map_err(CallError::Protocol)?;
        if end_stream {
            self.stream.ended_by_server();
        } else if trailers {
            return Err(CallError::Protocol("trailers that do not end the stream"));
        } else if !response.is_expected()
            && let Some(status) = response.objection()
        {
            self.stream.end = Some(End::Status(status));
        }
        Ok(())
    }

    fn reset(&mut self, stream: u32, reason: u32) {
        if self.stream.awaits(stream) {
            let untouched = self.stream.response.is_expected();
            self.stream.end = Some(match reason {
                frame::error::REFUSED_STREAM if untouched => End::Refused,
                _ => End::Status(Status::from_reset(reason)),
            });
        }
        if stream == self.stream.id {
            (self.stream.open_here, self.stream.open_there) = (false, false);
        }
    }

    fn go_away(&mut self, last_stream: u32) {
        self.going_away = true;
        if self.stream.id > last_stream && self.stream.awaits(self.stream.id) {
            (self.stream.open_here, self.stream.open_there) = (false, false);
            self.stream.end = Some(End::Refused);
        }
    }

    /// A server that asks for answers but does not read them would have them pile up.
    pub(super) fn check_control(&self) -> Result<(), CallError> {
        if self.control.len() > MAX_CONTROL {
            return Err(CallError::Protocol("too many frames that ask for an answer"));
        }
        Ok(())
    }

    /// A frame that belongs to a stream must name one that this side has opened.
    pub(super) fn check_stream(&self, head: Head) -> Result<(), CallError> {
        if head.stream.is_multiple_of(2) || head.stream >= self.next_stream {
            return Err(CallError::Protocol("a frame on a stream that was never opened"));
        }
        Ok(())
    }
}
