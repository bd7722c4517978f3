//! A few threads of their own for the system calls of mutations.
//!
//! Handing a job to one costs a tenth of what the runtime's blocking pool does, and mutations are
//! bound by the filesystem: more than a few at a time only wait for each other there. But where
//! those few are held up (a large copy, a source on a filesystem that hangs), the others may not
//! wait for them: then the pool grows until they get on again.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

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
    /// Whether the watchman has an eye on the queue already.
    watched: bool,
    closed: bool,
}

impl State {
    fn is_crowded(&self) -> bool {
        self.jobs.len() > self.idle
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
        let (done, result) = oneshot::channel();
        self.start(move || {
            let _ = done.send(work());
        });
        result.await.ok()
    }

    /// Runs `work` on one of the threads, for its effect.
    pub(crate) fn start(&self, work: impl FnOnce() + Send + 'static) {
        self.queue.push(Box::new(work));
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        // A wake-up is a system call: one for each time that the queue begins to be crowded.
        let watch = state.is_crowded() && !state.watched && self.most > state.threads;
        state.watched |= watch;
        drop(state);
        self.filled.notify_one();
        if watch {
            self.crowded.notify_one();
        }
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            self.perform(job);
        }
    }

    fn perform(&self, job: Job) {
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!(pool = self.name, "a job panicked; what it held is released");
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.begun += 1;
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// What an additional thread does: the jobs that there are, and no waiting for more.
    fn help(&self) {
        loop {
            let mut state = self.lock();
            let Some(job) = state.jobs.pop_front() else {
                state.threads -= 1;
                return;
            };
            state.begun += 1;
            drop(state);
            self.perform(job);
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
