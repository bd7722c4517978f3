//! A call that streams.

use std::time::{Duration, Instant};

use prost::Message;

use super::connection::Connection;
use super::{CallError, Excerpt, Transport};

/// A call under way: messages go out and come in, in any order.
///
/// Dropping a call before it has ended cancels it.
pub struct Call<'a, S: Transport> {
    connection: &'a mut Connection<S>,
}

impl<'a, S: Transport> Call<'a, S> {
    pub(super) fn new(connection: &'a mut Connection<S>) -> Self {
        Self { connection }
    }

    /// Sends a message; waits while the server takes no more.
    ///
    /// If it turns out that the server has ended the call, this is the call's error, or, if it
    /// ended it well, nothing: the server wants no more, which [`Call::has_ended`] tells.
    pub fn send<M: Message>(&mut self, message: &M) -> Result<(), CallError> {
        self.send_any(message, false)
    }

    /// Sends the last message: [`Call::send`] and [`Call::finish`] in one.
    pub fn send_last<M: Message>(&mut self, message: &M) -> Result<(), CallError> {
        self.send_any(message, true)
    }

    /// Sends a message of which `before` is the beginning, and the excerpt of a file the end; as
    /// [`Call::send`].
    pub fn send_excerpt(&mut self, before: &[u8], excerpt: Excerpt<'_>) -> Result<(), CallError> {
        if !self.has_ended() {
            self.is_open()?;
            self.connection.send_excerpt(before, excerpt)?;
        }
        self.after_sending()
    }

    fn send_any<M: Message>(&mut self, message: &M, last: bool) -> Result<(), CallError> {
        if !self.has_ended() {
            self.is_open()?;
            self.connection.send_message(message, last)?;
        }
        self.after_sending()
    }

    fn is_open(&self) -> Result<(), CallError> {
        match self.connection.stream.open_here {
            true => Ok(()),
            false => Err(CallError::Request("a message after the last one")),
        }
    }

    /// Says that no more messages will be sent.
    pub fn finish(&mut self) -> Result<(), CallError> {
        if !self.has_ended() && self.connection.stream.open_here {
            self.connection.half_close()?;
        }
        self.after_sending()
    }

    /// Reports what sending has brought to light.
    fn after_sending(&mut self) -> Result<(), CallError> {
        while self.connection.send_failed && !self.has_ended() {
            self.connection.receive()?;
        }
        match &self.connection.stream.end {
            Some(end) => end.clone().result(),
            None => Ok(()),
        }
    }

    /// From now on the call waits no longer than this; `None`: for ever. Unlike
    /// [`CallOptions::timeout`](super::CallOptions::timeout) this is of no concern to the server,
    /// and a call that has run out of time can go on with another one.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.connection.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Waits for the next message. `None`: the server has ended the call, and it went well.
    pub fn recv<M: Message + Default>(&mut self) -> Result<Option<M>, CallError> {
        loop {
            if let Some(message) = self.connection.stream.message()? {
                return Ok(Some(message));
            }
            if let Some(outcome) = self.connection.stream.outcome() {
                return outcome.map(|()| None);
            }
            self.connection.replenish_stream();
            // Flushing may read, too: what it has read comes first.
            if self.connection.must_flush() {
                self.connection.flush()?;
            } else {
                self.connection.receive()?;
            }
        }
    }

    /// Whether the server is known to have ended the call. Messages that it sent before may still
    /// be waiting to be received.
    pub fn has_ended(&self) -> bool {
        self.connection.stream.end.is_some()
    }
}

impl<S: Transport> Drop for Call<'_, S> {
    fn drop(&mut self) {
        self.connection.abandon();
    }
}
