//! A socket whose small writes go out together.
//!
//! HTTP/2 flushes its settings, their acknowledgement and an answer one by one, and each flush is
//! a system call that wakes the client. A client that makes one request is best woken once: a
//! flush is put off until the tasks that are ready have run, among them the one that answers. What
//! HTTP/2 says before the first answer, which is of no use to such a client, waits for that a little.
//!
//! And a socket that always has more to read lets other tasks run now and then: other clients, and
//! what is to be done with the content that has come.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// More than this is written as it comes, in bytes: content has no use for waiting.
const LARGE: usize = 4096;

/// How much is read at a stretch, in bytes. Without a bound a large stream would be read until its
/// window is used up, and then written while nothing more could come: a quarter longer in all.
const STRETCH: usize = 512 << 10;

/// How long a greeting waits for an answer. Clients of other makes wait for it before they ask.
const PATIENCE: Duration = Duration::from_millis(1);

/// The size of the header of an HTTP/2 frame, and the types of frames that are no part of an answer
/// (RFC 9113, 4.1 and 6).
const HEADER: usize = 9;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// The socket.
#[derive(Debug)]
pub(crate) struct Corked<S> {
    socket: S,
    /// How much was read since there was nothing to read, or others had their turn.
    stretch: usize,
    /// What was written and not sent.
    waiting: Vec<u8>,
    /// Whether a flush was put off already.
    put_off: bool,
    /// Until the greeting is sent.
    greeting: Greeting,
}

/// What a connection begins with.
#[derive(Debug)]
enum Greeting {
    /// Nothing was sent yet.
    Due,
    /// It waits for an answer to go with.
    Waits(Pin<Box<Sleep>>),
    Sent,
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, stretch: 0, waiting: Vec::new(), put_off: false, greeting: Greeting::Due }
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
        self.greeting = Greeting::Sent;
        // What encrypts keeps what it could not send.
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Whether only a greeting waits, whose time has not come. Then [`Corked::poll_read`] sends it, as
    /// nobody else would: a flush that is not done keeps a connection from hearing what is asked.
    fn holds_greeting(&mut self) -> bool {
        if matches!(self.greeting, Greeting::Sent) || !is_greeting(&self.waiting) {
            return false;
        }
        if let Greeting::Due = self.greeting {
            self.greeting = Greeting::Waits(Box::pin(sleep(PATIENCE)));
        }
        true
    }
}

/// Whether all frames are of those that come before any answer.
fn is_greeting(mut frames: &[u8]) -> bool {
    while let Some((&[a, b, c, kind, ..], _)) = frames.split_first_chunk::<HEADER>() {
        if !matches!(kind, SETTINGS | WINDOW_UPDATE) {
            return false;
        }
        let size = HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
        frames = frames.get(size..).unwrap_or_default();
    }
    frames.is_empty()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Greeting::Waits(patience) = &mut self.greeting
            && patience.as_mut().poll(cx).is_ready()
            && let Poll::Ready(Err(error)) = self.poll_send(cx)
        {
            return Poll::Ready(Err(error));
        }
        if self.stretch >= STRETCH {
            self.stretch = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, into);
        self.stretch =
            if read.is_ready() { self.stretch + into.filled().len() - before } else { 0 };
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
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
            return Pin::new(&mut self.socket).poll_flush(cx);
        }
        if self.holds_greeting() {
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
    };

    use super::*;

    const GREETING: [u8; 2 * HEADER] =
        [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0, 0, 0, 0, SETTINGS, 1, 0, 0, 0, 0];
    const ANSWER: [u8; HEADER] = [0, 0, 0, 1, 5, 0, 0, 0, 1];

    fn pair() -> (Corked<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Corked::new(ours), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_goes_with_the_first_answer() {
        let (mut ours, theirs) = pair();
        ours.write_all(&GREETING).await.unwrap();
        ours.flush().await.unwrap();
        let mut seen = [0; 64];
        assert_eq!(theirs.try_read(&mut seen).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for expected in [[&GREETING[..], &ANSWER].concat(), ANSWER.to_vec()] {
            ours.write_all(&ANSWER).await.unwrap();
            ours.flush().await.unwrap();
            theirs.readable().await.unwrap();
            let size = theirs.try_read(&mut seen).unwrap();
            assert_eq!(seen[..size], expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_does_not_wait_for_ever() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(&GREETING).await.unwrap();
        ours.flush().await.unwrap();
        let hears = tokio::spawn(async move { ours.read_u8().await });
        let mut seen = GREETING;
        let read = tokio::time::timeout(60 * PATIENCE, theirs.read_exact(&mut seen)).await;
        assert_eq!(read.expect("it comes").unwrap(), GREETING.len());
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(hears.await.unwrap().unwrap(), b'x');
    }

    #[tokio::test]
    async fn others_have_their_turn_while_there_is_more_to_read() {
        let mut endless = Corked::new(tokio::io::join(tokio::io::repeat(1), tokio::io::sink()));
        let mut read = 0;
        let others = async {};
        tokio::select! {
            biased;
            () = async {
                loop {
                    read += endless.read(&mut [0; 64 << 10]).await.unwrap();
                }
            } => {}
            () = others => {}
        }
        assert_eq!(read, STRETCH);
    }

    #[test]
    fn a_greeting_is_told_from_an_answer() {
        assert!(is_greeting(&GREETING) && is_greeting(&[0, 0, 1, WINDOW_UPDATE, 0, 0, 0, 0, 0, 7]));
        assert!(!is_greeting(&[&GREETING[..], &ANSWER].concat()));
        assert!(!is_greeting(&GREETING[..5]));
    }
}
