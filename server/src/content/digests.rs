//! Digests of files of the root that were found out before.
//!
//! One holds as long as nobody has written to the file, and its times tell whether anybody has: a write
//! sets both to the kernel's clock, which moves on every few milliseconds only. So a digest is kept
//! where the clock had moved on from the times before the file's content was looked at, or before
//! anybody else could reach it: then a later write has another time. (Who sets the modification time
//! back changes the other one, which nobody can set.) Nothing depends on locks.

use std::{
    fs::File,
    time::{Duration, Instant},
};

use onewriter_store::{Digest, Function, StoreError};
use onewriter_tree::Staged;
use rustix::{
    fs::fstat,
    io::Errno,
    time::{ClockId, clock_gettime},
};

use super::{known::Wanted, recent::Recent};

/// Of files that are smaller, in bytes, the content is looked at as fast as this table.
const LEAST: u64 = 64 << 10;

/// For files from this size on, in bytes, it is worth to wait until the clock moves on: to send them
/// takes ten times as long, and to hash them once more takes longer.
const WORTH_A_TICK: u64 = 64 << 20;

/// The longest time for which the clock may stand still.
const TICK: Duration = Duration::from_millis(20);

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Digests(Recent<(u64, u64), (Look, Function, [u8; 32])>);

/// What a file's attributes tell of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    fn at(file: &File) -> Result<Self, Errno> {
        let found = fstat(file)?;
        Ok(Self {
            device: found.st_dev,
            inode: found.st_ino,
            size: found.st_size as u64,
            modified: (found.st_mtime, found.st_mtime_nsec as i64),
            changed: (found.st_ctime, found.st_ctime_nsec as i64),
        })
    }

    /// Whether a write from now on would show.
    fn is_settled(&self) -> bool {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        self.modified.max(self.changed) < (now.tv_sec, now.tv_nsec)
    }
}

/// Content on its way from staging to its place.
#[derive(Debug)]
pub(crate) struct OnItsWay {
    file: File,
    /// How it looked when nobody else could reach it, if it is worth being remembered.
    settled: Option<Look>,
    content: Wanted,
}

impl Digests {
    /// The digest of all of an open file. Waits for the disk.
    pub(crate) fn of_file(&self, function: Function, file: &File) -> Result<Digest, StoreError> {
        let before = Look::at(file).ok().filter(|look| look.size >= LEAST);
        if let Some(hash) = before.and_then(|look| self.known(function, &look)) {
            let size = before.map_or(0, |look| look.size);
            return Ok(Digest { function, hash, size });
        }
        let settled = before.filter(Look::is_settled);
        let digest = Digest::of_file(function, file)?;
        if let Some(look) = settled.filter(|look| Look::at(file) == Ok(*look)) {
            self.remember(look, function, digest.hash);
        }
        Ok(digest)
    }

    /// Notes `content` in staging, all of which was seen, before it is put at its place.
    pub(crate) async fn on_its_way(&self, staged: &Staged, content: Wanted) -> Option<OnItsWay> {
        let file = staged.file().try_clone().ok()?;
        let look = Look::at(&file).ok().filter(|look| look.size >= LEAST)?;
        let begun = Instant::now();
        while look.size >= WORTH_A_TICK && !look.is_settled() && begun.elapsed() < TICK {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Some(OnItsWay { file, settled: look.is_settled().then_some(look), content })
    }

    /// Remembers it, now that it is there.
    pub(crate) fn arrived(&self, on_its_way: Option<OnItsWay>) {
        let Some(OnItsWay { file, settled: Some(before), content }) = on_its_way else { return };
        // Its new name has changed one of its times.
        if let Ok(now) = Look::at(&file)
            && (Look { changed: before.changed, ..now }) == before
        {
            self.remember(now, content.function, content.hash);
        }
    }

    fn known(&self, function: Function, look: &Look) -> Option<[u8; 32]> {
        let (seen, of, hash) = self.0.get((look.device, look.inode))?;
        (seen == *look && of == function).then_some(hash)
    }

    fn remember(&self, look: Look, function: Function, hash: [u8; 32]) {
        self.0.insert((look.device, look.inode), (look, function, hash));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Seek as _, Write as _},
        os::unix::fs::FileExt as _,
        time::SystemTime,
    };

    use super::*;

    const SIZE: usize = LEAST as usize;

    fn file(fill: u8) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![fill; SIZE]).unwrap();
        file.rewind().unwrap();
        file
    }

    fn settle(file: &File) {
        while !Look::at(file).unwrap().is_settled() {
            std::thread::yield_now();
        }
    }

    fn blake3(fill: u8) -> Digest {
        Digest::of(Function::Blake3, &vec![fill; SIZE])
    }

    /// What the table says without a look at the content.
    fn known(digests: &Digests, file: &File) -> bool {
        digests.known(Function::Blake3, &Look::at(file).unwrap()).is_some()
    }

    #[test]
    fn a_digest_is_remembered_until_somebody_writes() {
        let (digests, file) = (Digests::default(), file(1));
        settle(&file);
        let of = |file: &File| digests.of_file(Function::Blake3, file).unwrap();
        assert_eq!(of(&file), blake3(1));
        assert!(known(&digests, &file));
        assert_eq!(of(&file), blake3(1));
        let modified = file.metadata().unwrap().modified().unwrap();
        // At once, at the same size, and with the old time put back.
        file.write_all_at(&vec![2; SIZE], 0).unwrap();
        file.set_modified(modified).unwrap();
        assert!(!known(&digests, &file));
        assert_eq!(of(&file), blake3(2));
        assert_eq!(digests.of_file(Function::Sha256, &file).unwrap().function, Function::Sha256);
    }

    #[test]
    fn what_was_written_a_moment_ago_is_looked_at_again() {
        let (digests, file) = (Digests::default(), file(1));
        let ahead = SystemTime::now() + Duration::from_secs(60);
        file.set_modified(ahead).unwrap();
        assert_eq!(digests.of_file(Function::Blake3, &file).unwrap(), blake3(1));
        assert!(!known(&digests, &file));
    }
}
