//! Reaching the disk together: requests that wait for their files at the same time share one
//! `syncfs` instead of an `fsync` each.
//!
//! A request joins the next round, never the one that runs: what a round promises is that all
//! that was written before it began is on the disk when it ends. Whoever is on the way to a round
//! says so ([`SyncGroup::join`]), and the round waits for them, a little.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use onewriter_tree::{Error, Tree};
use rustix::{
    fs::{fstat, fsync, syncfs},
    io::Errno,
};
use tokio::sync::oneshot;

use crate::pool::Pool;

/// Up to so many handles a round are synchronised one by one: `syncfs` also writes what others
/// (the build's own compilers) have dirty on the filesystem.
const FEW: usize = 3;

/// How long a round waits for its members.
#[derive(Clone, Copy)]
struct Patience {
    /// While none comes.
    pause: Duration,
    /// However many may come.
    most: Duration,
}

/// Most mutations take less than a tenth of a millisecond, but where compilers keep the processors
/// busy each may have to wait for its turn, which is some 3 ms. Whoever copies a large file is not
/// worth waiting for.
const PATIENCE: Patience =
    Patience { pause: Duration::from_millis(3), most: Duration::from_millis(20) };

/// What is asked to keep data through a power cut; tests put one that fails in its place.
pub(crate) struct Disk {
    /// The device that `filesystem` synchronises.
    pub(crate) device: u64,
    /// One file or directory.
    pub(crate) file: SyncFile,
    /// All of the root's filesystem.
    pub(crate) filesystem: SyncFilesystem,
}

type SyncFile = Box<dyn Fn(BorrowedFd<'_>) -> Result<(), Errno> + Send + Sync>;
type SyncFilesystem = Box<dyn Fn() -> Result<(), Errno> + Send + Sync>;

impl Disk {
    /// The one that a tree lies on.
    pub(crate) fn of(tree: &Arc<Tree>) -> Self {
        let staging = Arc::clone(tree.staging());
        Self {
            device: fstat(staging.handle()).map_or(0, |stat| stat.st_dev),
            file: Box::new(|handle| fsync(handle)),
            filesystem: Box::new(move || syncfs(staging.handle())),
        }
    }
}

/// Synchronises handles in rounds.
pub(crate) struct SyncGroup {
    disk: Arc<Disk>,
    queue: Arc<Queue>,
    thread: Pool,
    patience: Patience,
    rounds: Arc<AtomicU64>,
    requests: AtomicU64,
}

/// What waits for the next round.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// The round waits here for its members.
    complete: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    /// Whether a round will run that has not taken its requests yet.
    scheduled: bool,
    /// Those who wait for a round or are on their way to one.
    members: usize,
}

impl Waiting {
    fn is_complete(&self) -> bool {
        self.requests.len() >= self.members
    }
}

/// Somebody for whom rounds wait. Dropped by whoever has nothing more to synchronise.
pub(crate) struct Member {
    queue: Arc<Queue>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.members -= 1;
        self.queue.tell_if_complete(waiting);
    }
}

struct Request {
    handles: Vec<OwnedFd>,
    done: oneshot::Sender<Result<(), Errno>>,
}

impl SyncGroup {
    pub(crate) fn new(disk: Disk) -> std::io::Result<Self> {
        Self::patient(disk, PATIENCE)
    }

    fn patient(disk: Disk, patience: Patience) -> std::io::Result<Self> {
        Ok(Self {
            disk: Arc::new(disk),
            queue: Arc::default(),
            thread: Pool::new("sync", 1)?,
            patience,
            rounds: Arc::default(),
            requests: AtomicU64::new(0),
        })
    }

    /// Rounds so far, and the requests that shared them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.rounds.load(Relaxed), self.requests.load(Relaxed))
    }

    /// Announces a caller of [`SyncGroup::sync`], so that the others wait for it.
    pub(crate) fn join(&self) -> Member {
        self.queue.lock().members += 1;
        Member { queue: Arc::clone(&self.queue) }
    }

    /// Returns when what the handles refer to is on the disk. A failure is told of `path`.
    pub(crate) async fn sync(&self, handles: Vec<OwnedFd>, path: &[u8]) -> Result<(), Error> {
        if handles.is_empty() {
            return Ok(());
        }
        self.requests.fetch_add(1, Relaxed);
        let (done, result) = oneshot::channel();
        if self.queue.push(Request { handles, done }) {
            self.start_round();
        }
        let result = result.await.unwrap_or(Err(Errno::IO));
        result.map_err(|errno| Error::io(path, "cannot synchronise it with the disk", errno))
    }

    fn start_round(&self) {
        let (queue, disk, rounds) =
            (Arc::clone(&self.queue), Arc::clone(&self.disk), Arc::clone(&self.rounds));
        let patience = self.patience;
        self.thread.start(move || {
            let requests = queue.gather(patience);
            rounds.fetch_add(1, Relaxed);
            round(requests, &disk);
        });
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a round has to be started for it.
    fn push(&self, request: Request) -> bool {
        let mut waiting = self.lock();
        waiting.requests.push(request);
        let first = !std::mem::replace(&mut waiting.scheduled, true);
        self.tell_if_complete(waiting);
        first
    }

    fn tell_if_complete(&self, waiting: MutexGuard<'_, Waiting>) {
        let tell = waiting.scheduled && waiting.is_complete();
        drop(waiting);
        if tell {
            self.complete.notify_one();
        }
    }

    /// Takes the requests of a round: when all members are there, or it has waited long enough.
    fn gather(&self, patience: Patience) -> Vec<Request> {
        let begun = Instant::now();
        let mut waiting = self.lock();
        while !waiting.is_complete() && begun.elapsed() < patience.most {
            let there = waiting.requests.len();
            let wait = self.complete.wait_timeout(waiting, patience.pause);
            waiting = wait.unwrap_or_else(PoisonError::into_inner).0;
            if waiting.requests.len() == there {
                break;
            }
        }
        waiting.scheduled = false;
        std::mem::take(&mut waiting.requests)
    }
}

fn round(requests: Vec<Request>, disk: &Disk) {
    let many = requests.iter().map(|request| request.handles.len()).sum::<usize>() > FEW;
    let together = many.then(|| (disk.filesystem)());
    for Request { handles, done } in requests {
        let result = match together {
            Some(result) => result.and_then(|()| {
                sync_each(disk, handles.iter().filter(|handle| is_elsewhere(disk, handle)))
            }),
            None => sync_each(disk, handles.iter()),
        };
        let _ = done.send(result);
    }
}

/// A mount below the root is a filesystem of its own.
fn is_elsewhere(disk: &Disk, handle: &OwnedFd) -> bool {
    fstat(handle).map_or(true, |stat| stat.st_dev != disk.device)
}

fn sync_each<'h>(disk: &Disk, mut handles: impl Iterator<Item = &'h OwnedFd>) -> Result<(), Errno> {
    handles.try_for_each(|handle| (disk.file)(handle.as_fd()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        sync::{Condvar, atomic::AtomicUsize},
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[derive(Default)]
    struct Gate {
        open: Mutex<bool>,
        opened: Condvar,
        entered: AtomicUsize,
    }

    impl Gate {
        fn pass(&self) -> Result<(), Errno> {
            self.entered.fetch_add(1, Relaxed);
            let open = self.open.lock().unwrap();
            let (open, _) = self.opened.wait_timeout_while(open, LIMIT, |open| !*open).unwrap();
            if *open { Ok(()) } else { Err(Errno::TIMEDOUT) }
        }
    }

    fn handle() -> OwnedFd {
        File::open(std::env::temp_dir()).unwrap().into()
    }

    /// Twenty requests: one is under way when the others come.
    async fn twenty(device: u64) -> (SyncGroup, Arc<Gate>, usize) {
        let (gate, whole) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let (files, filesystem) = (Arc::clone(&gate), Arc::clone(&whole));
        let group = SyncGroup::new(Disk {
            device,
            file: Box::new(move |_| files.pass()),
            filesystem: Box::new(move || {
                filesystem.fetch_add(1, Relaxed);
                Ok(())
            }),
        });
        let group = Arc::new(group.unwrap());
        let start = || {
            let group = Arc::clone(&group);
            tokio::spawn(async move { group.sync(vec![handle()], b"f").await })
        };
        let mut tasks = vec![start()];
        wait_for(|| gate.entered.load(Relaxed) == 1).await;
        tasks.extend((1..20).map(|_| start()));
        wait_for(|| group.counts().1 == 20).await;
        *gate.open.lock().unwrap() = true;
        gate.opened.notify_all();
        for task in tasks {
            tokio::time::timeout(LIMIT, task).await.unwrap().unwrap().unwrap();
        }
        (Arc::into_inner(group).unwrap(), gate, whole.load(Relaxed))
    }

    async fn wait_for(mut holds: impl FnMut() -> bool) {
        let waited = tokio::time::timeout(LIMIT, async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap();
    }

    /// A group of this patience, on a disk that does nothing.
    fn patient(pause: Duration) -> Arc<SyncGroup> {
        let disk = Disk { device: 0, file: Box::new(|_| Ok(())), filesystem: Box::new(|| Ok(())) };
        Arc::new(SyncGroup::patient(disk, Patience { pause, most: LIMIT }).unwrap())
    }

    fn start(group: &Arc<SyncGroup>) -> tokio::task::JoinHandle<Result<(), Error>> {
        let group = Arc::clone(group);
        tokio::spawn(async move { group.sync(vec![handle()], b"f").await })
    }

    async fn ended(task: tokio::task::JoinHandle<Result<(), Error>>) {
        tokio::time::timeout(LIMIT / 2, task).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_round_waits_for_those_who_are_on_their_way() {
        let group = patient(LIMIT);
        let _members = [group.join(), group.join()];
        let first = start(&group);
        wait_for(|| group.counts().1 == 1).await;
        let second = start(&group);
        ended(first).await;
        ended(second).await;
        assert_eq!(group.counts(), (1, 2));
    }

    #[tokio::test]
    async fn a_round_does_not_wait_for_those_who_have_gone() {
        let group = patient(LIMIT);
        let (_stays, goes) = (group.join(), group.join());
        let task = start(&group);
        wait_for(|| group.counts().1 == 1).await;
        drop(goes);
        ended(task).await;
    }

    #[tokio::test]
    async fn a_round_does_not_wait_long_for_those_who_do_not_come() {
        let group = patient(Duration::from_millis(1));
        let _members = [group.join(), group.join()];
        ended(start(&group)).await;
    }

    #[tokio::test]
    async fn those_who_wait_share_the_next_round() {
        let (group, gate, whole) = twenty(fstat(handle()).unwrap().st_dev).await;
        assert_eq!(group.counts(), (2, 20));
        assert_eq!(gate.entered.load(Relaxed), 1, "the first had its own");
        assert_eq!(whole, 1, "the others shared one");
    }

    #[tokio::test]
    async fn what_lies_on_another_filesystem_is_synchronised_itself() {
        let (group, gate, whole) = twenty(u64::MAX).await;
        assert_eq!(group.counts(), (2, 20));
        assert_eq!((gate.entered.load(Relaxed), whole), (20, 1));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_of_its_round_and_to_none_of_the_next() {
        let failing = Arc::new(AtomicUsize::new(1));
        let left = Arc::clone(&failing);
        let fail = move || match left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)) {
            Ok(_) => Err(Errno::IO),
            Err(_) => Ok(()),
        };
        let group = SyncGroup::new(Disk {
            device: fstat(handle()).unwrap().st_dev,
            file: Box::new(|_| Ok(())),
            filesystem: Box::new(fail),
        });
        let group = group.unwrap();
        let handles = || (0..=FEW).map(|_| handle()).collect::<Vec<_>>();
        let error = group.sync(handles(), b"a/f").await.unwrap_err();
        assert_eq!((error.errno, &error.path[..]), (Some(Errno::IO), &b"a/f"[..]));
        group.sync(handles(), b"a/f").await.unwrap();
    }
}
