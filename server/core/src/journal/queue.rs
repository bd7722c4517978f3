//! The bounded queue between those who append and the one thread that writes.
//!
//! A short critical section under a std mutex; nobody does I/O inside it. Every entry is accepted
//! once and settled once (written or lost), in the same order, so "everything appended before" is
//! the comparison of two counters.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::builds::Note;
use super::store::Span;
use super::{Entry, Stats};

/// Entries in one transaction: past a thousand, a larger one is hardly any cheaper for each.
const BATCH: usize = 1024;

/// How long the first entry of a batch waits for company. As much as a crash may cost; short
/// enough that a reader finds the journal up to date without asking for a flush.
const LINGER: Duration = Duration::from_millis(50);

/// Notes that find room in a queue that is full, some KiB each: those of a few minutes of a large build.
const ROOM_FOR_NOTES: usize = 16_384;

/// What there is to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Entry(Entry),
    Note(Note),
}

#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// The writer waits here: for a first entry, for a full batch, between two attempts.
    work: Condvar,
    /// Appenders wait here for room.
    room: Condvar,
    /// `flush` and `close` wait here for entries to be settled.
    progress: Condvar,
    /// The same for `flushed`.
    settled: watch::Sender<u64>,
    /// The number of the newest record in the file, for those who read on.
    newest: watch::Sender<i64>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Instant, Item)>,
    /// When the oldest entry of the batch in the writer's hands came.
    in_flight: Option<Instant>,
    accepted: u64,
    settled: u64,
    /// Somebody waits for this many to be settled.
    flush_to: u64,
    /// Appenders that wait for room.
    blocked: usize,
    closing: bool,
    /// The writer is gone.
    ended: bool,
    /// Counters only; what follows from the fields above is filled in when asked.
    stats: Stats,
}

impl State {
    /// Whether somebody waits for what the writer has not done yet.
    fn is_urgent(&self) -> bool {
        self.must_not_wait() || self.flush_to > self.settled
    }

    /// Whether to wait longer for the disk would keep a build, or the daemon's end, waiting.
    fn must_not_wait(&self) -> bool {
        self.closing || self.blocked > 0
    }
}

impl Queue {
    pub(super) fn new(capacity: NonZeroUsize, span: Span) -> Queue {
        let stats = Stats { first_seq: span.first, last_seq: span.last, ..Stats::default() };
        Queue {
            capacity: capacity.get(),
            state: Mutex::new(State { stats, ..State::default() }),
            work: Condvar::new(),
            room: Condvar::new(),
            progress: Condvar::new(),
            settled: watch::Sender::new(0),
            newest: watch::Sender::new(span.last),
        }
    }

    /// Accepts an entry. Where there is no room, one that changed nothing is dropped, and any other waits.
    pub(super) fn push(&self, entry: Entry) {
        let mut state = self.lock();
        if state.closing || state.ended {
            state.stats.lost += 1;
            return;
        }
        if state.waiting.len() >= self.capacity {
            if entry.is_droppable() {
                state.stats.dropped_unchanged += 1;
                return;
            }
            state.blocked += 1;
            self.work.notify_one();
            while state.waiting.len() >= self.capacity && !state.ended {
                state = wait(&self.room, state);
            }
            state.blocked -= 1;
            if state.ended {
                state.stats.lost += 1;
                return;
            }
        }
        self.accept(state, Item::Entry(entry));
    }

    /// Accepts a note at once, or loses it: it comes from a thread that has others to serve.
    pub(super) fn note(&self, note: Note) {
        let mut state = self.lock();
        let is_full = state.waiting.len() >= self.capacity + ROOM_FOR_NOTES;
        if is_full || state.closing || state.ended {
            state.stats.lost += 1;
            return;
        }
        self.accept(state, Item::Note(note));
    }

    fn accept(&self, mut state: MutexGuard<'_, State>, item: Item) {
        state.waiting.push_back((Instant::now(), item));
        state.accepted += 1;
        // A wake-up is a system call: only when the writer would do something about it.
        if state.waiting.len() == 1 || state.waiting.len() == BATCH {
            self.work.notify_one();
        }
    }

    /// The next entries to write, as soon as there are enough of them, or the first has waited
    /// long enough, or somebody waits for them; none where none came for as long as `patience`.
    /// `None` when all is done and the queue is closed.
    pub(super) fn next_batch(&self, patience: Option<Duration>) -> Option<Vec<Item>> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut state = self.lock();
        loop {
            let Some((oldest, _)) = state.waiting.front() else {
                if state.closing && state.blocked == 0 {
                    return None;
                }
                let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                state = match left {
                    Some(Duration::ZERO) => return Some(Vec::new()),
                    Some(left) => wait_for(&self.work, state, left),
                    None => wait(&self.work, state),
                };
                continue;
            };
            let left = LINGER.saturating_sub(oldest.elapsed());
            if left.is_zero() || state.waiting.len() >= BATCH || state.is_urgent() {
                break;
            }
            state = wait_for(&self.work, state, left);
        }
        let size = state.waiting.len().min(BATCH);
        state.in_flight = state.waiting.front().map(|(since, _)| *since);
        let batch = state.waiting.drain(..size).map(|(_, item)| item).collect();
        if state.blocked > 0 {
            self.room.notify_all();
        }
        Some(batch)
    }

    /// The batch was written; the journal now holds `span`.
    pub(super) fn written(&self, count: usize, span: Span) {
        let mut state = self.lock();
        state.stats.written += count as u64;
        state.stats.transactions += 1;
        state.stats.first_seq = span.first;
        state.stats.last_seq = span.last;
        // Before anybody who waits for a flush asks for the position.
        self.newest.send_if_modified(|newest| {
            let has_grown = span.last > *newest;
            *newest = span.last.max(*newest);
            has_grown
        });
        self.settle(state, count);
    }

    pub(super) fn newest(&self) -> i64 {
        *self.newest.borrow()
    }

    /// Hears of each batch with a record in it.
    pub(super) fn follow(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    pub(super) fn followers(&self) -> usize {
        self.newest.receiver_count()
    }

    /// The batch was given up.
    pub(super) fn lost(&self, count: usize) {
        let mut state = self.lock();
        state.stats.lost += count as u64;
        self.settle(state, count);
    }

    fn settle(&self, mut state: MutexGuard<'_, State>, count: usize) {
        state.in_flight = None;
        state.settled += count as u64;
        self.settled.send_replace(state.settled);
        self.progress.notify_all();
    }

    /// An attempt to write the batch failed: whether there is time to wait for a better moment.
    pub(super) fn attempt_failed(&self) -> bool {
        let mut state = self.lock();
        state.stats.failed_attempts += 1;
        !state.must_not_wait()
    }

    /// Waits for `delay`, or until it would keep somebody waiting.
    pub(super) fn back_off(&self, delay: Duration) {
        let deadline = Instant::now() + delay;
        let mut state = self.lock();
        while !state.must_not_wait() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = wait_for(&self.work, state, left);
        }
    }

    pub(super) fn flush(&self) {
        let mut state = self.lock();
        let ticket = self.ask_for_flush(&mut state);
        while state.settled < ticket {
            state = wait(&self.progress, state);
        }
    }

    pub(super) async fn flushed(&self) {
        let mut settled = self.settled.subscribe();
        let ticket = self.ask_for_flush(&mut self.lock());
        // The sender is ours, so the channel is open for as long as we wait.
        let _ = settled.wait_for(|settled| *settled >= ticket).await;
    }

    /// Tells the writer not to linger; how many must be settled for all that came before.
    fn ask_for_flush(&self, state: &mut State) -> u64 {
        state.flush_to = state.accepted;
        self.work.notify_one();
        state.flush_to
    }

    /// Refuses further entries and waits until the writer has ended; false if it takes longer
    /// than `limit`.
    pub(super) fn close(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        state.closing = true;
        self.work.notify_one();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = wait_for(&self.progress, state, left);
        }
        true
    }

    /// The writer ends, for whatever reason: nobody may wait for it any more.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.waiting.clear();
        let unsettled = state.accepted - state.settled;
        state.stats.lost += unsettled;
        self.room.notify_all();
        self.settle(state, unsettled as usize);
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let oldest = state.in_flight.or(state.waiting.front().map(|(since, _)| *since));
        Stats {
            queued: state.accepted - state.settled,
            lag: oldest.map_or(Duration::ZERO, |since| since.elapsed()),
            ..state.stats.clone()
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    on.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'a>(
    on: &Condvar,
    state: MutexGuard<'a, State>,
    limit: Duration,
) -> MutexGuard<'a, State> {
    on.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
}
