//! Connecting over TCP.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay,
    set_tcp_user_timeout, socket_error,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::transport::{Socket, Transport as _};

/// How long a peer may be silent, or leave what was sent unacknowledged, before the connection
/// counts as cut: a link that is gone says nothing by itself.
const SILENCE: Duration = Duration::from_secs(30);

/// Signs of life that are asked for in the second half of that time.
const PROBES: u32 = 3;

impl Socket {
    /// Connects to the TCP port at `address`. Past the deadline: [`io::ErrorKind::TimedOut`].
    pub fn connect_tcp(address: SocketAddr, deadline: Option<Instant>) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(family, SocketType::STREAM, flags, None)?;
        detect_cuts(&fd)?;
        let begun = connect(&fd, &address);
        let mut socket = Self::from(fd);
        match begun {
            Ok(()) => {}
            Err(Errno::INPROGRESS | Errno::INTR) => {
                socket.wait(deadline)?;
                socket_error(&socket)??;
            }
            Err(errno) => return Err(errno.into()),
        }
        Ok(socket)
    }
}

/// Small frames go at once, and a link that is cut is noticed.
fn detect_cuts(fd: &OwnedFd) -> io::Result<()> {
    let idle = SILENCE / 2;
    set_tcp_nodelay(fd, true)?;
    set_socket_keepalive(fd, true)?;
    set_tcp_keepidle(fd, idle)?;
    set_tcp_keepintvl(fd, idle / PROBES)?;
    set_tcp_keepcnt(fd, PROBES)?;
    set_tcp_user_timeout(fd, SILENCE.as_millis() as u32)?;
    Ok(())
}
