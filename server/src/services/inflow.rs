//! Content on its way into staging: what arrives is gathered while what arrived before is written.
//!
//! A thread is occupied only while it writes, never while the client takes its time: any number of
//! streams may stand still.

use std::{fs::File, io::Write as _};

use bytes::Bytes;
use onewriter_tree::Staged;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

/// What may wait for the disk, in bytes, before the network has to wait too.
const AHEAD: usize = 1 << 20;

/// A file in staging that grows.
pub(super) struct Inflow {
    /// Chunks that arrived while others are written.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    writing: JoinHandle<std::io::Result<Sink>>,
}

struct Sink {
    file: File,
    hasher: Option<blake3::Hasher>,
    size: u64,
}

impl Inflow {
    /// Writes to `staged`, and finds out the digest where it is `wanted`.
    pub(super) fn new(staged: &Staged, wanted: bool) -> Result<Self, Errno> {
        let file = staged.file().try_clone().map_err(errno)?;
        let sink = Sink { file, hasher: wanted.then(blake3::Hasher::new), size: 0 };
        let writing = tokio::spawn(std::future::ready(Ok(sink)));
        Ok(Self { waiting: Vec::new(), waiting_bytes: 0, writing })
    }

    /// Takes one more chunk. Fails if an earlier one could not be written.
    pub(super) async fn push(&mut self, chunk: Bytes) -> Result<(), Errno> {
        self.waiting_bytes += chunk.len();
        self.waiting.push(chunk);
        if self.waiting_bytes >= AHEAD || self.writing.is_finished() {
            self.turn().await?;
        }
        Ok(())
    }

    /// The number of bytes written in all, and their digest (of nothing, where it is not wanted).
    pub(super) async fn end(mut self) -> Result<(u64, blake3::Hash), Errno> {
        self.turn().await?;
        let sink = done(&mut self.writing).await?;
        Ok((sink.size, sink.hasher.unwrap_or_default().finalize()))
    }

    /// Begins to write what waits, when what is being written is done.
    async fn turn(&mut self) -> Result<(), Errno> {
        let sink = done(&mut self.writing).await?;
        let chunks = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.writing = spawn_blocking(move || sink.write(&chunks));
        Ok(())
    }
}

impl Sink {
    fn write(mut self, chunks: &[Bytes]) -> std::io::Result<Self> {
        for chunk in chunks {
            self.file.write_all(chunk)?;
            self.size += chunk.len() as u64;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(chunk);
            }
        }
        Ok(self)
    }
}

async fn done(writing: &mut JoinHandle<std::io::Result<Sink>>) -> Result<Sink, Errno> {
    writing.await.map_err(|_| Errno::IO)?.map_err(errno)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
