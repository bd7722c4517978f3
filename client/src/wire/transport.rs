//! The byte stream under a connection.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{OFlags, fcntl_setfl, sendfile};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, recv, send, sendmsg, socket_with,
};

use crate::process::Unpiped;

/// A reliable stream of bytes in both directions: a socket, or something laid over one.
///
/// Sending never waits and receiving does, because that is what a call needs: while its bytes do
/// not fit, the peer may be waiting for this side to read.
pub trait Transport {
    /// Sends as many of `bytes` as fit now. None do: [`io::ErrorKind::WouldBlock`].
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether [`Transport::send_file`] can be called.
    fn takes_files(&self) -> bool {
        false
    }

    /// As [`Transport::send`], of at most `count` bytes of a file from `at` on, which it moves. 0: the
    /// file ends there.
    fn send_file(&mut self, _file: &File, _at: &mut u64, _count: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits for at least one byte and reads what there is. 0: the peer has closed the stream.
    /// Past the deadline: [`io::ErrorKind::TimedOut`].
    fn recv(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize>;

    /// Waits until there is something to read or room to send. Past the deadline:
    /// [`io::ErrorKind::TimedOut`].
    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Readiness>;
}

/// What a [`Transport`] can do at once.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// There is something to read, be it the end.
    pub readable: bool,
    /// There is room to send.
    pub writable: bool,
}

/// A connected stream socket.
///
/// Nothing that is asked of the socket itself ever waits (`MSG_DONTWAIT`), and it has no timeouts:
/// where there is something to wait for, `ppoll` waits, up to the deadline. So the usual one-shot
/// call is `socket`, `connect`, `send`, `ppoll`, `recv`, with two more for each further part in
/// which the answer comes. Blocking reads under `SO_RCVTIMEO` would have needed two `setsockopt`
/// (the other bounds `connect`) to save one `ppoll` a part: no gain before the third part, and most
/// answers come in one or two.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    /// Whether the last read left something behind, so that the next need not wait first.
    more: bool,
}

impl Socket {
    /// Connects to the Unix socket at `path`.
    ///
    /// Of the kernel's answers, `ENOENT` (no socket), `ECONNREFUSED` (nobody listens any more) and
    /// `EAGAIN` (the listener's queue stayed full for all of `timeout`) tell a caller what to do.
    pub fn connect_unix(path: &Path, timeout: Option<Duration>) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match connect(&fd, &address) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                // There is no polling for room in the queue: the kernel has to wait for it, as long
                // as the timeout for sends allows (which socket(7) does not say of connect).
                fcntl_setfl(&fd, OFlags::empty())?;
                let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
                set_socket_timeout(&fd, Timeout::Send, timeout)?;
                retry_on_intr(|| connect(&fd, &address))?;
            }
            Err(err) => return Err(err.into()),
        }
        Ok(fd.into())
    }

    /// Lets up to a megabyte be on its way, where the system does: with less, the two sides wait for
    /// each other in turn.
    pub fn widen(&self) {
        let _ = set_socket_send_buffer_size(&self.fd, 1 << 20);
    }

    /// As [`Transport::send`], from several places in one system call.
    pub(super) fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        Ok(retry_on_intr(|| sendmsg(&self.fd, slices, &mut nothing, SEND))?)
    }

    fn poll(&self, wanted: PollFlags, deadline: Option<Instant>) -> io::Result<PollFlags> {
        loop {
            let left = time_left(deadline)?.map(|left| Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut fds = [PollFd::new(&self.fd, wanted)];
            match rustix::event::poll(&mut fds, left.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(fds[0].revents()),
                Err(err) => return Err(err.into()),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Any connected stream socket will do, of whichever family.
impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, more: false }
    }
}

impl Transport for Socket {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| send(&self.fd, bytes, SEND))?)
    }

    fn takes_files(&self) -> bool {
        true
    }

    fn send_file(&mut self, file: &File, at: &mut u64, count: usize) -> io::Result<usize> {
        // There is no MSG_NOSIGNAL for it.
        let unpiped = Unpiped::new();
        let sent = retry_on_intr(|| sendfile(&self.fd, file, Some(at), count));
        drop(unpiped);
        match sent {
            // A filesystem that has no pages to give.
            Err(Errno::INVAL | Errno::NOSYS) => {
                let mut buffer = vec![0; count.min(READ)];
                let count = file.read_at(&mut buffer, *at)?;
                let count = if count == 0 { 0 } else { self.send(&buffer[..count])? };
                *at += count as u64;
                Ok(count)
            }
            sent => Ok(sent?),
        }
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        loop {
            if self.more {
                time_left(deadline)?;
            } else {
                self.poll(PollFlags::IN, deadline)?;
            }
            match retry_on_intr(|| recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT)) {
                Ok((count, _)) => {
                    self.more = count == buffer.len();
                    return Ok(count);
                }
                Err(Errno::AGAIN) => self.more = false,
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Readiness> {
        // The peer's end and errors are met by reading and by sending alike.
        let ready = self.poll(PollFlags::IN | PollFlags::OUT, deadline)?;
        Ok(Readiness { readable: ready != PollFlags::OUT, writable: ready != PollFlags::IN })
    }
}

/// How much of a file is read at once where it cannot be sent as it is, in bytes.
const READ: usize = 64 << 10;

/// A daemon that died must be an error of one call, not a SIGPIPE to the whole client.
const SEND: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// What is left until a deadline; an error once that is nothing.
fn time_left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(Some(left)),
    }
}
