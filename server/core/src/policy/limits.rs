//! How much one identity may ask for at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rights::{Denial, Refused, Rights};

/// Limits for whoever is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// See [`super::Rule::who`].
    pub who: Vec<String>,
    /// Each for itself.
    pub limits: Limits,
}

/// The least that [`Limits::queued_bytes`] may be: some chunks of a stream, in bytes.
pub const LEAST_QUEUED: usize = 4 << 20;

/// What one identity may use. `None`: another limit says, or nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests that are served at once, and as many streams of content each way. More wait for their
    /// turn, in the order in which they came.
    pub requests: Option<usize>,
    /// Requests that may wait for their turn.
    pub waiting: Option<usize>,
    /// Content that has arrived and waits for the disk, in bytes.
    pub queued_bytes: Option<usize>,
    /// Content that it may put in place in a window, in bytes.
    pub bytes: Option<u64>,
    /// Names that it may make in a window.
    pub files: Option<u64>,
    /// The window's length in seconds.
    pub window: Option<u64>,
}

impl Limits {
    /// Where nobody says anything: enough for a machine that builds with all its cores, and for many
    /// of them not too much.
    pub const DEFAULT: Self = Self {
        requests: Some(64),
        waiting: Some(4096),
        queued_bytes: Some(64 << 20),
        bytes: None,
        files: None,
        window: Some(86_400),
    };

    /// These, and where they say nothing, `others`.
    pub(super) fn or(self, others: &Self) -> Self {
        Self {
            requests: self.requests.or(others.requests),
            waiting: self.waiting.or(others.waiting),
            queued_bytes: self.queued_bytes.or(others.queued_bytes),
            bytes: self.bytes.or(others.bytes),
            files: self.files.or(others.files),
            window: self.window.or(others.window),
        }
    }
}

/// Where the requests of one identity wait for their turn.
#[derive(Debug)]
pub(super) struct Turnstile {
    requests: usize,
    queued_bytes: usize,
    turns: Arc<Semaphore>,
    /// For streams of content, which may take as long as their clients like: those that send, and
    /// those that receive. What one receives another may send on, so neither waits for the other.
    sending: Arc<Semaphore>,
    receiving: Arc<Semaphore>,
    waiting: AtomicUsize,
    room: Arc<Semaphore>,
}

/// A turn; over when it is dropped.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

/// Room for content that arrived; free again when it is dropped.
#[derive(Debug)]
pub struct Room {
    _held: OwnedSemaphorePermit,
    is_scarce: bool,
}

impl Room {
    /// Whether more than half of all was taken: then it should not be kept longer than it must.
    pub fn is_scarce(&self) -> bool {
        self.is_scarce
    }
}

/// One who waits, until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Why there is no turn.
pub(crate) struct NoTurn(pub(crate) Refused);

impl Turnstile {
    pub(super) fn new(limits: &Limits) -> Self {
        let (requests, queued_bytes) = sizes(limits);
        Self {
            requests,
            queued_bytes,
            turns: Arc::new(Semaphore::new(requests)),
            sending: Arc::new(Semaphore::new(requests)),
            receiving: Arc::new(Semaphore::new(requests)),
            waiting: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(queued_bytes)),
        }
    }

    /// Whether it is as large as `limits` say.
    pub(super) fn fits(&self, limits: &Limits) -> bool {
        (self.requests, self.queued_bytes) == sizes(limits)
    }
}

fn sizes(limits: &Limits) -> (usize, usize) {
    let at_most = |wanted: Option<usize>| wanted.unwrap_or(usize::MAX).clamp(1, MOST);
    (at_most(limits.requests), at_most(limits.queued_bytes))
}

/// What one semaphore can count, and a request for it.
const MOST: usize = if Semaphore::MAX_PERMITS < u32::MAX as usize {
    Semaphore::MAX_PERMITS
} else {
    u32::MAX as usize
};

impl Rights {
    /// A turn, when it comes.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<Slot, NoTurn> {
        self.one_of(&self.turnstile.turns, deadline).await
    }

    /// A turn to send content, beside those of other requests.
    pub(crate) async fn turn_to_send(&self, deadline: Instant) -> Result<Slot, NoTurn> {
        self.one_of(&self.turnstile.sending, deadline).await
    }

    /// A turn to receive content, beside those of other requests.
    pub(crate) async fn turn_to_receive(&self, deadline: Instant) -> Result<Slot, NoTurn> {
        self.one_of(&self.turnstile.receiving, deadline).await
    }

    async fn one_of(&self, turns: &Arc<Semaphore>, deadline: Instant) -> Result<Slot, NoTurn> {
        let stile = &self.turnstile;
        if let Ok(turn) = Arc::clone(turns).try_acquire_owned() {
            return Ok(Slot(turn));
        }
        let most = self.limits().waiting.unwrap_or(usize::MAX);
        let before = stile.waiting.fetch_add(1, Relaxed);
        let _waits = Waits(&stile.waiting);
        let refused = |what: String, limit: String| Refused {
            denial: Denial {
                identity: Arc::clone(self.who()),
                rule: limit,
                cure: "ask for less at a time, or have whoever runs the daemon raise the limit in \
                       its configuration ([[limits]])"
                    .to_owned(),
            },
            what,
        };
        let who = self.who();
        if before >= most {
            let what = format!("{most} requests of {who} wait for their turn already");
            return Err(NoTurn(refused(what, format!("waiting = {most}"))));
        }
        let turn = Arc::clone(turns).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(turn) => Ok(Slot(turn.expect("it is never closed"))),
            Err(_) => {
                let most = stile.requests;
                let what = format!("{most} other requests of {who} were served all the time");
                Err(NoTurn(refused(what, format!("requests = {most}"))))
            }
        }
    }

    /// Room for so many bytes of content, when there is some.
    pub async fn room(&self, bytes: usize) -> Room {
        let stile = &self.turnstile;
        let bytes = u32::try_from(bytes.min(stile.queued_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&stile.room).acquire_many_owned(bytes).await;
        let is_scarce = stile.room.available_permits() < stile.queued_bytes / 2;
        Room { _held: room.expect("it is never closed"), is_scarce }
    }
}
