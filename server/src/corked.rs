//! A socket whose small writes go out together.
//!
//! HTTP/2 flushes its settings, their acknowledgement and an answer one by one, and each flush is
//! a system call that wakes the client. A client that makes one request is best woken once: a
//! flush is put off until the tasks that are ready have run, among them the one that answers.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};

/// More than this is written as it comes, in bytes: content has no use for waiting.
const LARGE: usize = 4096;

/// The socket.
#[derive(Debug)]
pub(crate) struct Corked {
    socket: UnixStream,
    /// What was written and not sent.
    waiting: Vec<u8>,
    /// Whether a flush was put off already.
    put_off: bool,
}

impl Corked {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket, waiting: Vec::new(), put_off: false }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        while sent < self.waiting.len() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.waiting[sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => sent += n,
                other => {
                    self.waiting.drain(..sent);
                    return other.map_ok(drop);
                }
            }
        }
        self.waiting.clear();
        self.put_off = false;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Corked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl AsyncWrite for Corked {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let size = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if self.waiting.len() + size <= LARGE {
            pieces.iter().for_each(|piece| self.waiting.extend_from_slice(piece));
            return Poll::Ready(Ok(size));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !std::mem::replace(&mut self.put_off, true) {
            // Behind the tasks that are ready now.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
