//! Flow control, in both directions, and the settings that it depends on.

use super::connection::{Connection, WINDOW};
use super::frame::{self, Head, flag, kind, setting};
use super::incoming::MAX_PAYLOAD;
use super::stream;
use super::{CallError, Transport};

impl<S: Transport> Connection<S> {
    /// Applies the server's settings.
    pub(super) fn settings(&mut self, payload: &[u8]) -> Result<(), CallError> {
        const BAD: CallError = CallError::Protocol("a setting with a value that is not allowed");
        let settings = frame::settings(payload)
            .ok_or(CallError::Protocol("a SETTINGS frame of the wrong size"))?;
        for (name, value) in settings {
            match name {
                setting::HEADER_TABLE_SIZE => self.table_size_changed = true,
                setting::INITIAL_WINDOW_SIZE => {
                    let value = i64::from(value);
                    self.stream.send_window += value - self.initial_send_window;
                    self.initial_send_window = value;
                    if value.max(self.stream.send_window) > frame::MAX_WINDOW {
                        return Err(BAD);
                    }
                }
                setting::MAX_FRAME_SIZE => {
                    let value = value as usize;
                    if !(frame::DEFAULT_MAX_PAYLOAD..1 << 24).contains(&value) {
                        return Err(BAD);
                    }
                    self.max_send_payload = value.min(MAX_PAYLOAD);
                }
                _ => {}
            }
        }
        // A server that relies on an acknowledgement relies on it before the data that follows it,
        // and it does go first; a call whose data has gone already can do without it.
        frame::put(&mut self.control, kind::SETTINGS, flag::ACK, 0, &[]);
        self.control_is_urgent |= !self.frugal;
        self.check_control()
    }

    /// The server takes more.
    pub(super) fn widen(&mut self, head: Head, increment: u32) -> Result<(), CallError> {
        let window = if head.stream == 0 {
            &mut self.send_window
        } else {
            self.check_stream(head)?;
            if head.stream != self.stream.id {
                return Ok(());
            }
            &mut self.stream.send_window
        };
        *window += i64::from(increment);
        if increment == 0 || *window > frame::MAX_WINDOW {
            return Err(CallError::Protocol("a window that is not allowed"));
        }
        Ok(())
    }

    /// Lets the server send more on the connection, once half of what it was granted is used up.
    /// What it sends is bounded by each stream's window, so this need not wait for the reader.
    pub(super) fn replenish_connection(&mut self) {
        if self.granted < self.grant / 2 {
            self.grant = WINDOW;
            self.permit(0, self.grant - self.granted);
            self.granted = self.grant;
        }
    }

    /// Lets the server send more on the stream, once half of what it was granted is used up.
    pub(super) fn replenish_stream(&mut self) {
        let full = i64::from(stream::WINDOW);
        if self.stream.granted < full / 2 && self.stream.awaits(self.stream.id) {
            self.permit(self.stream.id, full - self.stream.granted);
            self.stream.granted = full;
        }
    }

    fn permit(&mut self, stream: u32, increment: i64) {
        let increment = (increment as u32).to_be_bytes();
        frame::put(&mut self.control, kind::WINDOW_UPDATE, 0, stream, &increment);
        self.control_is_urgent = true;
    }
}
