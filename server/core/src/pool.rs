//! A few threads of their own for the system calls of mutations.
//!
//! Handing a job to one costs a tenth of what the runtime's blocking pool does, and mutations are
//! bound by the filesystem: more than a few at a time only wait for each other there.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The threads end when the pool is dropped and its queue is empty.
pub(crate) struct Pool {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// Starts `threads` threads named `name`.
    pub(crate) fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(name.to_owned()).spawn(move || queue.serve())?;
        }
        Ok(Self { queue })
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
    fn push(&self, job: Job) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).jobs.push_back(job);
        self.filled.notify_one();
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a mutation panicked; its locks are released");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.queue.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_costs_one_job_and_no_thread() {
        let pool = Pool::new("test", 1).unwrap();
        let lost: Option<()> = pool.run(|| panic!("on purpose")).await;
        assert!(lost.is_none());
        assert_eq!(pool.run(|| 7).await, Some(7));
    }
}
