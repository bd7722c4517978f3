//! Reaching the disk together: requests that wait for their files at the same time share one
//! `syncfs` instead of an `fsync` each.
//!
//! A request joins the next round, never the one that runs: what a round promises is that all
//! that was written before it began is on the disk when it ends.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use onewriter_tree::{Error, Reason, Tree};
use rustix::{
    fs::{fstat, fsync, syncfs},
    io::Errno,
};
use tokio::sync::oneshot;

use crate::pool::Pool;

/// Up to so many handles a round are synchronised one by one: `syncfs` also writes what others
/// (the build's own compilers) have dirty on the filesystem.
const FEW: usize = 3;

/// Synchronises handles in rounds.
pub(crate) struct SyncGroup {
    tree: Arc<Tree>,
    waiting: Arc<Mutex<Waiting>>,
    thread: Pool,
    rounds: Arc<AtomicU64>,
    requests: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    /// Whether a round will run that has not taken its requests yet.
    scheduled: bool,
}

struct Request {
    handles: Vec<OwnedFd>,
    done: oneshot::Sender<Result<(), Errno>>,
}

impl SyncGroup {
    pub(crate) fn new(tree: Arc<Tree>) -> std::io::Result<Self> {
        Ok(Self {
            tree,
            waiting: Arc::default(),
            thread: Pool::new("sync", 1)?,
            rounds: Arc::default(),
            requests: AtomicU64::new(0),
        })
    }

    /// Rounds so far, and the requests that shared them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.rounds.load(Relaxed), self.requests.load(Relaxed))
    }

    /// Returns when what the handles refer to is on the disk.
    pub(crate) async fn sync(&self, handles: Vec<OwnedFd>) -> Result<(), Error> {
        if handles.is_empty() {
            return Ok(());
        }
        self.requests.fetch_add(1, Relaxed);
        let (done, result) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.requests.push(Request { handles, done });
            !std::mem::replace(&mut waiting.scheduled, true)
        };
        if first {
            let (waiting, tree, rounds) =
                (Arc::clone(&self.waiting), Arc::clone(&self.tree), Arc::clone(&self.rounds));
            self.thread.start(move || {
                rounds.fetch_add(1, Relaxed);
                round(&waiting, &tree);
            });
        }
        let result = result.await.unwrap_or(Err(Errno::IO));
        result.map_err(|errno| {
            let what = format!("cannot synchronise with the disk: {}", std::io::Error::from(errno));
            Error { errno: Some(errno), ..Error::new(Reason::Io, b".", what) }
        })
    }
}

fn round(waiting: &Mutex<Waiting>, tree: &Tree) {
    let requests = {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.scheduled = false;
        std::mem::take(&mut waiting.requests)
    };
    let handles = requests.iter().map(|request| request.handles.len()).sum::<usize>();
    let together = if handles > FEW { Some(sync_filesystem(tree)) } else { None };
    for Request { handles, done } in requests {
        let result = match together {
            Some((device, result)) => result.and_then(|()| sync_each(&handles, Some(device))),
            None => sync_each(&handles, None),
        };
        let _ = done.send(result);
    }
}

/// Synchronises the root's own filesystem; its device, and how it went.
fn sync_filesystem(tree: &Tree) -> (u64, Result<(), Errno>) {
    let device = fstat(tree.staging().handle()).map_or(0, |stat| stat.st_dev);
    (device, syncfs(tree.staging().handle()))
}

/// Synchronises the handles that do not lie on the device that is done already.
fn sync_each(handles: &[OwnedFd], done: Option<u64>) -> Result<(), Errno> {
    for handle in handles {
        if done.is_none() || fstat(handle)?.st_dev != done.unwrap_or_default() {
            fsync(handle)?;
        }
    }
    Ok(())
}
