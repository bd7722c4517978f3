//! A few threads of their own for the system calls of mutations.
//!
//! Handing a job to one costs a tenth of what the runtime's blocking pool does, and mutations are
//! bound by the filesystem: more than a few at a time only wait for each other there. But where
//! those few are held up (a large copy, a source on a filesystem that hangs), the others may not
//! wait for them: then the pool grows until they get on again.
//!
//! Jobs of one [`Lane`] run one after another, unless they are held up. It is for what the kernel
//! does one by one anyway, such as making names in one directory: threads that want it at the same
//! time wait there with a processor each.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

/// What jobs have in common that do not run at the same time; `None`: nothing.
pub(crate) type Lane = Option<u64>;

struct Job {
    lane: Lane,
    work: Box<dyn FnOnce() + Send>,
}

/// Jobs that wait so long, with none begun meanwhile, get one more thread. Most mutations take
/// less than a tenth of a millisecond.
const PATIENCE: Duration = Duration::from_millis(10);

/// The threads end when the pool is dropped and its queue is empty.
pub(crate) struct Pool {
    queue: Arc<Queue>,
}

struct Queue {
    name: &'static str,
    /// The most threads that there may be.
    most: usize,
    state: Mutex<State>,
    filled: Condvar,
    /// The watchman waits here for jobs that find no thread.
    crowded: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Jobs begun, ever.
    begun: u64,
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
    /// Those of them that are being woken up.
    called: usize,
    /// Lanes of the jobs under way.
    busy: Vec<u64>,
    /// Whether the watchman has an eye on the queue already.
    watched: bool,
    closed: bool,
}

impl State {
    /// Whether jobs wait that the sleeping threads are too few for, or may not take.
    fn is_crowded(&self) -> bool {
        self.jobs.len() > self.idle || (!self.jobs.is_empty() && self.first_free().is_none())
    }

    /// The first job whose lane is free.
    fn first_free(&self) -> Option<usize> {
        self.jobs.iter().position(|job| job.lane.is_none_or(|lane| !self.busy.contains(&lane)))
    }

    /// Takes the job at this place of the queue.
    fn begin(&mut self, at: usize) -> Option<Job> {
        let job = self.jobs.remove(at)?;
        self.busy.extend(job.lane);
        self.begun += 1;
        Some(job)
    }

    fn end(&mut self, lane: Lane) {
        if let Some(at) = self.busy.iter().position(|busy| Some(*busy) == lane) {
            self.busy.swap_remove(at);
        }
    }

    /// Whether to wake a thread up, since there is a job for it. The caller does so.
    fn call(&mut self) -> bool {
        let call = self.idle > self.called && self.first_free().is_some();
        self.called += usize::from(call);
        call
    }
}

impl Pool {
    /// Starts `threads` threads named `name`, and never more.
    pub(crate) fn new(name: &'static str, threads: usize) -> std::io::Result<Self> {
        let state = Mutex::new(State { threads, ..State::default() });
        let (filled, crowded) = (Condvar::new(), Condvar::new());
        let queue = Arc::new(Queue { name, most: threads, state, filled, crowded });
        Self::staff(queue, threads)
    }

    /// Starts `threads` threads named `name`, and up to `most` while those are held up.
    pub(crate) fn growing(
        name: &'static str,
        threads: usize,
        most: usize,
    ) -> std::io::Result<Self> {
        let state = Mutex::new(State { threads, ..State::default() });
        let (filled, crowded) = (Condvar::new(), Condvar::new());
        let pool = Self::staff(Arc::new(Queue { name, most, state, filled, crowded }), threads)?;
        let queue = Arc::clone(&pool.queue);
        thread::Builder::new().name(format!("{name}-watch")).spawn(move || queue.watch())?;
        Ok(pool)
    }

    fn staff(queue: Arc<Queue>, threads: usize) -> std::io::Result<Self> {
        let pool = Self { queue };
        for _ in 0..threads {
            let queue = Arc::clone(&pool.queue);
            thread::Builder::new().name(queue.name.to_owned()).spawn(move || queue.serve())?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads. It runs to its end even if nobody waits for it any more.
    /// `None` if it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.run_in(None, work).await
    }

    /// [`Pool::run`], behind what runs or waits in the same lane.
    pub(crate) async fn run_in<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let _ = done.send(work());
        };
        self.queue.push(Job { lane, work: Box::new(work) });
        result.await.ok()
    }

    /// Runs `work` on one of the threads, for its effect.
    pub(crate) fn start(&self, work: impl FnOnce() + Send + 'static) {
        self.queue.push(Job { lane: None, work: Box::new(work) });
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        // A wake-up is a system call: only of threads that sleep, and of the watchman once for each
        // time that the queue begins to be crowded.
        let call = state.call();
        let watch = state.is_crowded() && !state.watched && self.most > state.threads;
        state.watched |= watch;
        drop(state);
        if call {
            self.filled.notify_one();
        }
        if watch {
            self.crowded.notify_one();
        }
    }

    fn serve(&self) {
        let mut lane = None;
        while let Some(job) = self.next(lane) {
            lane = job.lane;
            self.perform(job.work);
        }
    }

    fn perform(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!(pool = self.name, "a job panicked; what it held is released");
        }
    }

    /// The next job for a thread whose last one ran in the lane `left`.
    fn next(&self, left: Lane) -> Option<Job> {
        let mut state = self.lock();
        state.end(left);
        loop {
            if let Some(at) = state.first_free() {
                let job = state.begin(at);
                // Those that waited for the lane may be more than this thread's.
                let call = state.call();
                drop(state);
                if call {
                    self.filled.notify_one();
                }
                return job;
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            let wait = self.filled.wait_while(state, |state| state.called == 0 && !state.closed);
            state = wait.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            state.called = state.called.saturating_sub(1);
        }
    }

    /// What an additional thread does: the jobs that there are, whatever their lanes, and no waiting
    /// for more.
    fn help(&self) {
        loop {
            let mut state = self.lock();
            let Some(job) = state.begin(0) else {
                state.threads -= 1;
                return;
            };
            drop(state);
            self.perform(job.work);
            self.lock().end(job.lane);
        }
    }

    /// Adds a thread whenever jobs wait and none has been begun for a while.
    fn watch(self: Arc<Self>) {
        let mut state = self.lock();
        while !state.closed {
            if !state.is_crowded() {
                state.watched = false;
                state = self.crowded.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.watched = true;
            let begun = state.begun;
            let wait = self.crowded.wait_timeout_while(state, PATIENCE, |state| !state.closed);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
            if state.begun == begun && state.is_crowded() && state.threads < self.most {
                state.threads += 1;
                let queue = Arc::clone(&self);
                let name = format!("{}-more", self.name);
                if thread::Builder::new().name(name).spawn(move || queue.help()).is_err() {
                    state.threads -= 1;
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.filled.notify_all();
        self.queue.crowded.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn a_panic_costs_one_job_and_no_thread() {
        let pool = Pool::new("test", 1).unwrap();
        let lost: Option<()> = pool.run(|| panic!("on purpose")).await;
        assert!(lost.is_none());
        assert_eq!(pool.run(|| 7).await, Some(7));
    }

    #[tokio::test]
    async fn jobs_of_one_lane_run_one_after_another() {
        let pool = Arc::new(Pool::new("test", 4).unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut jobs = tokio::task::JoinSet::new();
        for n in 0..200 {
            let (pool, order) = (Arc::clone(&pool), Arc::clone(&order));
            let note = move |what| order.lock().unwrap().push((n, what));
            jobs.spawn(async move {
                let job = pool.run_in(Some(n % 2), move || {
                    note("begun");
                    thread::yield_now();
                    note("done");
                });
                job.await.unwrap();
            });
        }
        jobs.join_all().await;
        let order = order.lock().unwrap();
        for lane in 0..2 {
            let seen = order.iter().filter(|(n, _)| n % 2 == lane).copied();
            let expected = (0..200).filter(|n| n % 2 == lane);
            assert!(seen.eq(expected.flat_map(|n| [(n, "begun"), (n, "done")])), "{order:?}");
        }
    }

    #[tokio::test]
    async fn a_lane_holds_up_no_other_and_itself_not_for_long() {
        let pool = Pool::growing("test", 2, 16).unwrap();
        let (go_on, wait) = std::sync::mpsc::channel();
        let first = pool.run_in(Some(1), move || wait.recv_timeout(Duration::from_secs(20)));
        let others = async {
            assert_eq!(pool.run_in(Some(2), || 2).await, Some(2));
            assert_eq!(pool.run(|| 3).await, Some(3));
            assert_eq!(pool.run_in(Some(1), || 1).await, Some(1));
            go_on.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(first, others);
        first.unwrap().expect("the others did not wait for it");
    }

    #[tokio::test]
    async fn jobs_that_are_held_up_do_not_hold_up_the_others() {
        let pool = Pool::growing("test", 2, 16).unwrap();
        let all = Arc::new(Barrier::new(9));
        for _ in 0..8 {
            let all = Arc::clone(&all);
            pool.start(move || {
                all.wait();
            });
        }
        let last = pool.run(move || all.wait().is_leader());
        tokio::time::timeout(Duration::from_secs(20), last).await.unwrap().unwrap();
        tokio::time::timeout(Duration::from_secs(20), async {
            while pool.queue.lock().threads > 2 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the additional threads end when they are not needed");
    }
}
