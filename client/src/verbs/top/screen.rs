//! The terminal: taken over, and given back as it was.

use std::time::Duration;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    stdio::{stdin, stdout},
    termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr},
};

use crate::failure::Failure;

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What a user may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Redraw,
}

/// A terminal in our hands until it is dropped.
pub(super) struct Screen {
    before: Termios,
}

impl Screen {
    /// `None` where there is no terminal.
    pub(super) fn open() -> Option<Self> {
        if !isatty(stdin()) || !isatty(stdout()) {
            return None;
        }
        let screen = Self { before: tcgetattr(stdin()).ok()? };
        screen.enter();
        Some(screen)
    }

    /// Takes the terminal: keys come at once and unseen, but still send their signals.
    pub(super) fn enter(&self) {
        let mut ours = self.before.clone();
        ours.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &ours);
        let _ = write(ENTER.as_bytes());
    }

    /// Gives it back.
    pub(super) fn leave(&self) {
        let _ = write(LEAVE.as_bytes());
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => (80, 24),
        }
    }

    /// Shows lines, in one piece so that it does not flicker.
    pub(super) fn show(&mut self, lines: &[String]) -> Result<(), Failure> {
        let mut text = String::from("\x1b[H");
        for (row, line) in lines.iter().enumerate() {
            text.push_str(if row == 0 { "" } else { "\r\n" });
            text.push_str(line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        write(text.as_bytes())
            .map_err(|e| Failure::Io(format!("cannot write to the terminal: {e}")))
    }

    /// Waits so long for a key that means something.
    pub(super) fn key(&self, limit: Duration) -> Option<Key> {
        let limit = Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() };
        let mut fds = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&limit)), Ok(1..)) {
            return None;
        }
        let mut keys = [0; 64];
        match rustix::io::read(stdin(), &mut keys) {
            // Whoever was at the terminal is gone.
            Ok(0) | Err(_) => Some(Key::Quit),
            Ok(n) if keys[..n].iter().any(|key| matches!(key, b'q' | b'Q' | 4)) => Some(Key::Quit),
            Ok(_) => Some(Key::Redraw),
        }
    }
}

fn write(mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(stdout(), bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}
