//! What the client's own connections run over.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::tls::Tls;
use super::transport::{Readiness, Socket, Transport};

/// A socket, plain or with TLS over it.
#[derive(Debug)]
pub enum Line {
    /// To a daemon on this machine.
    Plain(Socket),
    /// To any other.
    Tls(Box<Tls>),
}

impl Line {
    /// As [`Socket::widen`].
    pub fn widen(&self) {
        match self {
            Self::Plain(socket) => socket.widen(),
            Self::Tls(tls) => tls.widen(),
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
        }
    }

    fn takes_files(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.takes_files(),
            Self::Tls(tls) => tls.takes_files(),
        }
    }

    fn send_file(&mut self, file: &File, at: &mut u64, count: usize) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send_file(file, at, count),
            Self::Tls(tls) => tls.send_file(file, at, count),
        }
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.recv(buffer, deadline),
            Self::Tls(tls) => tls.recv(buffer, deadline),
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Readiness> {
        match self {
            Self::Plain(socket) => socket.wait(deadline),
            Self::Tls(tls) => tls.wait(deadline),
        }
    }
}
