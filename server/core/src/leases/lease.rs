//! A lease in the hands of its holder, and its time to live.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{Token, table::Held};

/// How long a lease lives after the last sign of its holder, when the holder does not say.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15);

/// So late a timer is only when this process, or its machine, stood still: then nobody can tell
/// whether the holder gave signs meanwhile.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// A lease that is held. Dropped, it ends.
#[derive(Debug)]
pub struct Lease {
    held: Held,
    ttl: Duration,
    seen: Mutex<Instant>,
}

impl Lease {
    pub(crate) fn new(held: Held, ttl: Duration) -> Self {
        Self { held, ttl, seen: Mutex::new(Instant::now()) }
    }

    /// Its fencing token.
    pub fn token(&self) -> Token {
        self.held.token()
    }

    /// How long it lives without a sign of its holder.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The holder gives a sign of life.
    pub fn keep_alive(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns when there has been no sign of the holder for the time to live; the lease is then to
    /// be dropped. Safe to cancel.
    pub async fn expired(&self) {
        loop {
            let due = self.due();
            sleep_until(due).await;
            if self.due() > due {
                continue;
            }
            if due.elapsed() < STOOD_STILL {
                return;
            }
            self.keep_alive();
        }
    }

    fn due(&self) -> Instant {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) + self.ttl
    }
}
