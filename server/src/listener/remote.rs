//! What connections from other machines have to bear with: they may say nothing, read nothing, or
//! stand idle for ever, and there is an end to what the daemon has for them.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::sleep,
};

use crate::{peer::Address, presence::Presence};

/// What HTTP/2 begins with, in bytes (RFC 9113, 3.4). From then on it looks itself whether the other
/// end still answers.
const PREFACE: usize = 24;

/// How long the daemon waits for the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For its first words, after TLS.
    pub(crate) handshake: Duration,
    /// Between two questions whether it still lives, and for the answer.
    pub(crate) keep_alive: Duration,
    /// For a request.
    pub(crate) idle: Option<Duration>,
}

/// A connection from another machine.
pub(crate) struct Remote {
    address: Address,
    patience: Patience,
    begun: Arc<Begun>,
    _place: OwnedSemaphorePermit,
}

/// What has come on it.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    /// Requests that are under way.
    pub(crate) requests: Arc<Presence>,
    /// Bytes, as far as they are of the beginning.
    heard: AtomicUsize,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// It has not begun: there is nobody to tell.
    Silent,
    /// Nobody asks for anything.
    Idle,
}

impl Remote {
    /// It keeps its `place` among all connections until it ends.
    pub(crate) fn new(address: IpAddr, patience: Patience, place: OwnedSemaphorePermit) -> Self {
        // A socket for both kinds of addresses has those of the old one in the new one's form.
        let address = Address(address.to_canonical());
        Self { address, patience, begun: Arc::default(), _place: place }
    }

    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn begun(&self) -> Arc<Begun> {
        Arc::clone(&self.begun)
    }

    /// Notes when its first words come over `socket`.
    pub(crate) fn heard_on<S>(&self, socket: S) -> Heard<S> {
        Heard { socket, begun: self.begun() }
    }

    /// Returns when it has to end.
    pub(crate) async fn exceeded(&self) -> Exceeded {
        sleep(self.patience.handshake).await;
        if self.begun.heard.load(Relaxed) < PREFACE {
            return Exceeded::Silent;
        }
        match self.patience.idle {
            Some(limit) => self.begun.requests.idle(limit).await,
            None => std::future::pending().await,
        }
        Exceeded::Idle
    }
}

/// A socket that notes how much of its beginning has come.
pub(crate) struct Heard<S> {
    socket: S,
    begun: Arc<Begun>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, into);
        let heard = self.begun.heard.load(Relaxed);
        if heard < PREFACE {
            self.begun.heard.store(heard + into.filled().len() - before, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
