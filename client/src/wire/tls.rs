//! TLS over a socket.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::transport::{Readiness, Socket, Transport};

/// What may be encrypted and wait for the network, in bytes.
const AHEAD: usize = 256 << 10;

/// A TLS session over a socket. An error of TLS itself is an [`io::Error`] around a
/// [`rustls::Error`].
#[derive(Debug)]
pub struct Tls {
    socket: Socket,
    session: ClientConnection,
}

impl Tls {
    /// Shakes hands with the server `name` at the other end. A server that does not like the
    /// client's certificate says so only later, where its first answer is awaited.
    pub fn connect(
        socket: Socket,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        deadline: Option<Instant>,
    ) -> io::Result<Self> {
        let mut session = ClientConnection::new(config, name).map_err(broken)?;
        session.set_buffer_limit(Some(AHEAD));
        let mut tls = Self { socket, session };
        while tls.session.is_handshaking() {
            if !tls.fetch(deadline)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(tls)
    }

    /// Gives a server the time to refuse the client's certificate: when it accepts one it sends
    /// tickets, if it has any. One that refuses, and closes while a request is on its way to it, may
    /// not be heard any more.
    pub fn await_welcome(&mut self, deadline: Instant) -> io::Result<()> {
        match self.fetch(Some(deadline)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// As [`Socket::widen`].
    pub(super) fn widen(&self) {
        self.socket.widen();
    }

    /// How many bytes can be read without waiting.
    fn readable(&mut self) -> io::Result<usize> {
        let state = self.session.process_new_packets().map_err(broken)?;
        Ok(state.plaintext_bytes_to_read())
    }

    /// Sends what is encrypted already, as far as it fits now.
    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Outlet(&mut self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for something from the server and decrypts it; `false` at the end. What waits to be
    /// sent goes meanwhile.
    fn fetch(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        // The server may have closed after it said why: that is still to be read.
        let unsent = self.flush().err();
        while unsent.is_none() && self.session.wants_write() {
            let ready = self.socket.wait(deadline)?;
            if ready.readable {
                break;
            }
            self.flush()?;
        }
        let mut inlet = Inlet { socket: &mut self.socket, deadline };
        if self.session.read_tls(&mut inlet)? == 0 {
            return unsent.map_or(Ok(false), Err);
        }
        if let Err(error) = self.session.process_new_packets() {
            // The server is told what is wrong with it.
            let _ = self.flush();
            return Err(broken(error));
        }
        Ok(true)
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Transport for Tls {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        if self.session.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.session.writer().write(bytes)?;
        self.flush()?;
        Ok(count)
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An end that the server did not announce is one all the same: HTTP/2 knows by
                // itself whether it was told everything.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                count => return count,
            }
            if !self.fetch(deadline)? {
                return Ok(0);
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Readiness> {
        if self.readable()? > 0 {
            return Ok(Readiness { readable: true, writable: false });
        }
        self.socket.wait(deadline)
    }
}

/// The socket as TLS writes to it.
struct Outlet<'a>(&'a mut Socket);

impl io::Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    /// Records are of 16 KiB: a call for each would cost as much as to encrypt it.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_slices(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The socket as TLS reads from it.
struct Inlet<'a> {
    socket: &'a mut Socket,
    deadline: Option<Instant>,
}

impl io::Read for Inlet<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer, self.deadline)
    }
}
