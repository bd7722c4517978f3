//! Sending.
//!
//! `out` holds frames. While a message is sent, the message lies in it in one piece, and each frame
//! that it is cut into is given its head in the nine bytes before it: those of the frame before,
//! which have gone by then. So a message is never copied, and each frame is one `send`.
//!
//! Whenever the server takes no more, what it has sent in the meantime is read, for it may be
//! waiting for that; and if it turns out that it has ended the call, sending stops.

use std::io;

use prost::Message;

use super::connection::Connection;
use super::frame::{self, Head, flag, kind};
use super::stream::PREFIX;
use super::{CallError, Transport};

impl<S: Transport> Connection<S> {
    /// Sends a message, and with `last` that none will follow it. Stops early if the server ends
    /// the call.
    pub(super) fn send_message(
        &mut self,
        message: &impl Message,
        last: bool,
    ) -> Result<(), CallError> {
        const TOO_LARGE: CallError = CallError::Request("a message is larger than 4 GiB");
        let length = message.encoded_len();
        let prefix = u32::try_from(length).map_err(|_| TOO_LARGE)?;
        self.gather();
        let start = self.out.len();
        self.out.reserve(frame::HEAD + PREFIX + length);
        self.out.extend_from_slice(&[0; frame::HEAD]);
        self.out.push(0);
        self.out.extend_from_slice(&prefix.to_be_bytes());
        message.encode(&mut self.out).map_err(|_| TOO_LARGE)?;

        let mut framed = start;
        let result = self.send_rest(start + frame::HEAD, &mut framed, last);
        // The rest of a frame that was begun stays, so that the server does not lose the thread.
        self.out.truncate(framed);
        self.forget_sent();
        result
    }

    /// Cuts `out` from `rest` on into frames and sends them. `framed` is where the last one ends.
    fn send_rest(
        &mut self,
        mut rest: usize,
        framed: &mut usize,
        last: bool,
    ) -> Result<(), CallError> {
        while rest < self.out.len() {
            // An acknowledgement of new windows goes before the data that makes use of them.
            self.flush_control(*framed)?;
            if self.stream.end.is_some() || self.send_failed {
                break;
            }
            let length = self.sendable(self.out.len() - rest);
            if length > 0 {
                let end = rest + length;
                let last = last && end == self.out.len();
                let flags = if last { flag::END_STREAM } else { 0 };
                let head = Head { length, kind: kind::DATA, flags, stream: self.stream.id };
                let at = rest - frame::HEAD;
                self.out[at..rest].copy_from_slice(&head.to_bytes());
                self.sent = self.sent.min(at);
                self.stream.open_here = !last;
                (rest, *framed) = (end, end);
            }
            self.flush_to(*framed)?;
            if length == 0 && self.stream.end.is_none() && !self.send_failed {
                self.receive()?;
            }
        }
        Ok(())
    }

    /// How many of `wanted` bytes the next DATA frame may hold: the windows are that much smaller now.
    pub(super) fn sendable(&mut self, wanted: usize) -> usize {
        let window = self.send_window.min(self.stream.send_window);
        let length = usize::try_from(window).unwrap_or(0).min(self.max_send_payload).min(wanted);
        self.send_window -= length as i64;
        self.stream.send_window -= length as i64;
        length
    }

    /// Says that no more messages will follow.
    pub(super) fn half_close(&mut self) -> Result<(), CallError> {
        self.gather();
        frame::put(&mut self.out, kind::DATA, flag::END_STREAM, self.stream.id, &[]);
        self.stream.open_here = false;
        self.flush()
    }

    /// Whether the server is waiting for something that has not been sent.
    pub(super) fn must_flush(&self) -> bool {
        !self.send_failed && (!self.out.is_empty() || self.control_is_urgent)
    }

    /// Sends all that waits, unless the server ends the call meanwhile.
    pub(super) fn flush(&mut self) -> Result<(), CallError> {
        self.gather();
        let result = self.flush_to(self.out.len());
        self.forget_sent();
        result
    }

    /// Sends what can be sent without waiting. Failure is the next call's to find out.
    pub(super) fn send_what_fits(&mut self) {
        self.gather();
        if !self.send_failed
            && !self.broken
            && let Ok(count) = self.transport.send(&self.out[self.sent..])
        {
            self.sent += count;
        }
        self.forget_sent();
    }

    /// Moves `control` to the end of `out`: to be called only where that is the end of a frame.
    pub(super) fn gather(&mut self) {
        self.out.append(&mut self.control);
        self.control_is_urgent = false;
    }

    fn flush_to(&mut self, end: usize) -> Result<(), CallError> {
        while self.sent < end && !self.send_failed {
            let result = self.transport.send(&self.out[self.sent..end]);
            match self.went(result)? {
                0 if self.stream.end.is_some() => break,
                count => self.sent += count,
            }
        }
        Ok(())
    }

    /// Sends `control`, if there is anything in it, after the frames that end at `framed`.
    fn flush_control(&mut self, framed: usize) -> Result<(), CallError> {
        while !self.control.is_empty() && !self.send_failed {
            self.flush_to(framed)?;
            if self.sent < framed {
                break;
            }
            let result = self.transport.send(&self.control);
            match self.went(result)? {
                0 if self.stream.end.is_some() => break,
                count => drop(self.control.drain(..count)),
            }
        }
        self.control_is_urgent = false;
        Ok(())
    }

    /// How many bytes were sent. If none could be, waits until that may have changed and reads what
    /// has come.
    pub(super) fn went(&mut self, result: io::Result<usize>) -> Result<usize, CallError> {
        let failed = |source| CallError::Io { doing: "write to", source };
        match result {
            Ok(count @ 1..) => return Ok(count),
            Ok(0) => self.send_failed = true,
            Err(err) => match err.kind() {
                io::ErrorKind::WouldBlock => match self.transport.wait(self.deadline) {
                    Ok(ready) if ready.readable => self.receive()?,
                    Ok(_) => {}
                    Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                        return Err(CallError::TimedOut);
                    }
                    Err(err) => return Err(failed(err)),
                },
                // The server may have said why before it went: that is still to be read.
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    self.send_failed = true;
                }
                _ => {
                    self.broken = true;
                    return Err(failed(err));
                }
            },
        }
        Ok(0)
    }

    /// Whether anything of what was to be sent has gone.
    pub(super) fn has_sent_any(&self) -> bool {
        !self.send_failed || self.sent > 0
    }

    fn forget_sent(&mut self) {
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }
}
