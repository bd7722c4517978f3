//! Standard input of a command that may have to run again: what it has read is to come again.

use std::os::fd::OwnedFd;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{
        FileType, SeekFrom, fstat,
        inotify::{CreateFlags, WatchFlags, add_watch, init},
        seek, tell,
    },
    io::{Errno, ioctl_fionread, read, retry_on_intr},
    stdio::stdin,
};

/// Where standard input stood before the command ran.
#[derive(Debug)]
pub(crate) enum Input {
    /// A terminal, /dev/null, none at all: it is not the worse for having been read.
    Endless,
    /// In a file.
    File(u64),
    /// What is read of it is gone.
    Stream {
        /// Tells whether anybody reads.
        reads: Option<OwnedFd>,
        level: Level,
    },
}

/// How full a pipe or socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    waiting: u64,
    /// Nobody writes to it any more.
    is_over: bool,
}

impl Input {
    pub(crate) fn now() -> Self {
        let Ok(found) = fstat(stdin()) else { return Self::Endless };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile | FileType::BlockDevice => {
                tell(stdin()).map_or(Self::Endless, Self::File)
            }
            kind @ (FileType::Fifo | FileType::Socket) => {
                let level = Level::now();
                // make gives such a pipe to all but one of its jobs.
                let is_at_end = level == Level { waiting: 0, is_over: true };
                let reads = (kind == FileType::Fifo && !is_at_end).then(watch);
                Self::Stream { reads: reads.and_then(Result::ok), level }
            }
            _ => Self::Endless,
        }
    }

    /// Has everything that the command has read come again. `false`: it cannot, or perhaps not.
    pub(crate) fn rewind(&self) -> bool {
        match self {
            Self::Endless => true,
            Self::File(at) => {
                tell(stdin()) == Ok(*at) || seek(stdin(), SeekFrom::Start(*at)).is_ok()
            }
            Self::Stream { reads: Some(reads), .. } => {
                retry_on_intr(|| read(reads, &mut [0; 256])) == Err(Errno::AGAIN)
            }
            Self::Stream { reads: None, level } => {
                // Somebody who still writes may have made up for what was read.
                *level == Level::now() && (level.is_over || level.waiting == 0)
            }
        }
    }
}

impl Level {
    fn now() -> Self {
        let waiting = ioctl_fionread(stdin()).unwrap_or(0);
        let input = stdin();
        let mut polled = [PollFd::new(&input, PollFlags::IN | PollFlags::RDHUP)];
        let _ = poll(&mut polled, Some(&Timespec::default()));
        let over = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
        Self { waiting, is_over: polled[0].revents().intersects(over) }
    }
}

/// Tells whether the pipe on standard input is read. A pipe does not count, and what is read may be
/// followed by more.
fn watch() -> Result<OwnedFd, Errno> {
    let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    add_watch(&watch, "/proc/self/fd/0", WatchFlags::ACCESS)?;
    Ok(watch)
}
