//! Content on its way into staging: what arrives is gathered while what arrived before is written.
//!
//! A thread is occupied only while it writes, never while the client takes its time: any number of
//! streams may stand still.

use std::{fs::File, io::Write as _};

use bytes::Bytes;
use onewriter_core::policy::Room;
use onewriter_store::{Digest, Function, Hasher};
use onewriter_tree::Staged;
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use tokio::task::{JoinHandle, spawn_blocking};

/// What may wait for the disk, in bytes, before the network has to wait too. With a quarter of it, the two
/// wait for each other so often that a large stream takes a tenth longer.
const AHEAD: usize = 4 << 20;

/// Content that is larger than this, in bytes, gets its room on the disk in pieces of this size,
/// before it is written: to find some for each page takes ext4 a fifth of the time of it all.
const ROOM: u64 = 16 << 20;

/// A file in staging that grows.
pub(crate) struct Inflow {
    /// Chunks that arrived while others are written.
    waiting: Vec<Chunk>,
    waiting_bytes: usize,
    writing: JoinHandle<std::io::Result<Sink>>,
}

/// Content, and the room that it takes of what its sender may have waiting.
type Chunk = (Bytes, Option<Room>);

struct Sink {
    file: File,
    hasher: Option<Hasher>,
    size: u64,
    /// Where the room that was made ahead ends; 0 if none was.
    room: u64,
}

impl Inflow {
    /// Writes to `staged`, and finds out the digest by this function, if any.
    pub(crate) fn new(staged: &Staged, wanted: Option<Function>) -> Result<Self, Errno> {
        let file = staged.file().try_clone().map_err(errno)?;
        let sink = Sink { file, hasher: wanted.map(Hasher::new), size: 0, room: 0 };
        let writing = tokio::spawn(std::future::ready(Ok(sink)));
        Ok(Self { waiting: Vec::new(), waiting_bytes: 0, writing })
    }

    /// Takes one more chunk. Fails if an earlier one could not be written.
    pub(crate) async fn push(&mut self, chunk: Bytes, room: Option<Room>) -> Result<(), Errno> {
        self.waiting_bytes += chunk.len();
        // Others wait for room, and this client may take its time with its next chunk.
        let is_awaited = room.as_ref().is_some_and(Room::is_scarce);
        self.waiting.push((chunk, room));
        if self.waiting_bytes >= AHEAD || self.writing.is_finished() || is_awaited {
            self.turn(Ok).await?;
        }
        Ok(())
    }

    /// The number of bytes written in all, and their digest, where it is wanted.
    pub(crate) async fn end(mut self) -> Result<(u64, Option<Digest>), Errno> {
        self.turn(Sink::trim).await?;
        let sink = done(&mut self.writing).await?;
        Ok((sink.size, sink.hasher.map(Hasher::finish)))
    }

    /// Begins to write what waits, when what is being written is done, and `then` what is to follow.
    async fn turn(&mut self, then: fn(Sink) -> std::io::Result<Sink>) -> Result<(), Errno> {
        let sink = done(&mut self.writing).await?;
        let chunks = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.writing = spawn_blocking(move || sink.write(chunks).and_then(then));
        Ok(())
    }
}

impl Sink {
    fn write(mut self, chunks: Vec<Chunk>) -> std::io::Result<Self> {
        for (chunk, _room) in chunks {
            self.make_room(chunk.len() as u64);
            self.file.write_all(&chunk)?;
            self.size += chunk.len() as u64;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&chunk);
            }
        }
        Ok(self)
    }

    /// Makes room for the next of a large content, and more. Where that fails, the write will tell
    /// whether it matters.
    fn make_room(&mut self, next: u64) {
        if self.size >= ROOM && self.size + next > self.room {
            let from = self.size.max(self.room);
            let made = fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, ROOM);
            self.room = if made.is_ok() { from + ROOM } else { u64::MAX };
        }
    }

    /// Gives back the room that was not needed.
    fn trim(self) -> std::io::Result<Self> {
        if self.room > self.size {
            self.file.set_len(self.size)?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use onewriter_tree::Tree;

    use super::*;

    #[tokio::test]
    async fn large_content_arrives_whole_and_keeps_no_room_that_it_does_not_need() {
        let dir = tempfile::tempdir().unwrap();
        Tree::init(dir.path()).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let staged = tree.staging().create_own().unwrap();
        let mut inflow = Inflow::new(&staged, Some(Function::Blake3)).unwrap();
        let mut whole = Hasher::new(Function::Blake3);
        let chunks = (2 * ROOM + ROOM / 4) / AHEAD as u64;
        for n in 0..chunks {
            let chunk = Bytes::from(vec![n as u8; AHEAD]);
            whole.update(&chunk);
            inflow.push(chunk, None).await.unwrap();
        }
        let size = chunks * AHEAD as u64;
        let whole = whole.finish();
        assert_eq!(inflow.end().await.unwrap(), (size, Some(whole)));

        let stat = staged.file().metadata().unwrap();
        assert_eq!(stat.len(), size);
        assert!(stat.blocks() * 512 < size + ROOM / 4, "{} blocks", stat.blocks());
        let path = dir.path().join(".onewriter/staging").join(staged.name().unwrap());
        let file = std::fs::File::open(path).unwrap();
        assert_eq!(Digest::of_file(Function::Blake3, &file).unwrap(), whole);
    }
}
