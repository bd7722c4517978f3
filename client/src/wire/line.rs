//! What the client's own connections run over.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use super::tls::Tls;
use super::transport::{Readiness, Socket, Transport};

/// A socket, plain or with TLS over it.
#[derive(Debug)]
pub enum Line {
    /// To a daemon on this machine.
    Plain(Socket),
    /// To any other.
    Tls(Box<Tls>),
    /// One of these, at whose other end somebody may fall silent for good.
    Watched(Box<Watched>),
}

/// Knows whether it is worth to go on waiting.
pub trait Vigil: std::fmt::Debug {
    /// Whether the other end will never answer, though the connection stands.
    fn is_over(&mut self) -> bool;
}

/// A line that is given up where its vigil is over.
#[derive(Debug)]
pub struct Watched {
    line: Line,
    vigil: Box<dyn Vigil>,
}

/// How long the other end may be silent before the vigil is asked, each time.
const SILENCE: Duration = Duration::from_secs(1);

impl Watched {
    /// Has `vigil` asked while nothing comes over `line`.
    pub fn line(line: Line, vigil: impl Vigil + 'static) -> Line {
        Line::Watched(Box::new(Self { line, vigil: Box::new(vigil) }))
    }

    /// What `wait` returns; it is given a part of the time until the `deadline` again and again.
    fn patiently<T>(
        &mut self,
        deadline: Option<Instant>,
        mut wait: impl FnMut(&mut Line, Option<Instant>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let soon = Instant::now() + SILENCE;
            let until = deadline.map_or(soon, |deadline| deadline.min(soon));
            match wait(&mut self.line, Some(until)) {
                Err(error)
                    if error.kind() == io::ErrorKind::TimedOut
                        && deadline.is_none_or(|deadline| Instant::now() < deadline) =>
                {
                    if self.vigil.is_over() {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
                done => return done,
            }
        }
    }
}

impl Line {
    /// As [`Socket::widen`].
    pub fn widen(&self) {
        match self {
            Self::Plain(socket) => socket.widen(),
            Self::Tls(tls) => tls.widen(),
            Self::Watched(watched) => watched.line.widen(),
        }
    }
}

impl From<Socket> for Line {
    fn from(socket: Socket) -> Self {
        Self::Plain(socket)
    }
}

impl Transport for Line {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send(bytes),
            Self::Tls(tls) => tls.send(bytes),
            Self::Watched(watched) => watched.line.send(bytes),
        }
    }

    fn takes_files(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.takes_files(),
            Self::Tls(tls) => tls.takes_files(),
            Self::Watched(watched) => watched.line.takes_files(),
        }
    }

    fn send_file(&mut self, file: &File, at: &mut u64, count: usize) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send_file(file, at, count),
            Self::Tls(tls) => tls.send_file(file, at, count),
            Self::Watched(watched) => watched.line.send_file(file, at, count),
        }
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.recv(buffer, deadline),
            Self::Tls(tls) => tls.recv(buffer, deadline),
            Self::Watched(watched) => {
                watched.patiently(deadline, |line, until| line.recv(buffer, until))
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Readiness> {
        match self {
            Self::Plain(socket) => socket.wait(deadline),
            Self::Tls(tls) => tls.wait(deadline),
            Self::Watched(watched) => watched.patiently(deadline, |line, until| line.wait(until)),
        }
    }
}
