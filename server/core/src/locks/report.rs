//! What the lock table tells people: who asks, who holds, who waits, for how long.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Access, Key};

/// Who asks for locks, in words that a person can act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// What is being done: `publish`, `mkdir`, …
    pub method: &'static str,
    /// The build that it is part of; empty if none.
    pub build: String,
    /// The target that it is done for; empty if none.
    pub target: String,
    /// The client's process.
    pub pid: u32,
    /// The client's user.
    pub uid: u32,
    /// Who asks, as in `cert:builder-7`; `None`: somebody on this machine, whom `pid` and `uid` name.
    pub identity: Option<Arc<str>>,
    /// From which machine; `None`: this one, or one that is not known any more.
    pub address: Option<IpAddr>,
}

/// `pid 123 (publish for target 'foo.o')`
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{identity} ({}", self.method)?,
            None => write!(f, "pid {} ({}", self.pid, self.method)?,
        }
        if !self.target.is_empty() {
            write!(f, " for target '{}'", self.target.escape_debug())?;
        }
        f.write_str(")")
    }
}

/// One holder of a key.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Who holds it.
    pub owner: Arc<Owner>,
    /// How.
    pub access: Access,
    /// For how long.
    pub held_for: Duration,
}

/// `pid 123 (publish for target 'foo.o') for 31.2 s`
impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:.1} s", self.owner, self.held_for.as_secs_f64())
    }
}

/// One who waits for a key.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Who waits.
    pub owner: Arc<Owner>,
    /// How it wants the key.
    pub access: Access,
    /// How long it has waited for this key.
    pub waited: Duration,
}

/// One key that somebody holds.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// The key.
    pub key: Key,
    /// Who holds it, in the order in which they came. Somebody always does.
    pub holders: Vec<Holding>,
    /// Who waits for it, next one first.
    pub waiters: Vec<Waiting>,
}

/// The table's figures, counted in requests, not in keys. Each is exact; they are read one after
/// the other, so they may be a moment apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that have got their whole set, ever.
    pub acquisitions: u64,
    /// Requests that had to wait, ever, whatever became of them.
    pub waited: u64,
    /// How long those waited, all together; waits that go on are not in it yet.
    pub total_wait: Duration,
    /// Requests that hold their whole set now.
    pub holders: u64,
    /// Requests that wait now.
    pub waiters: u64,
}

/// Why a request did not get its locks.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LockError {
    /// The deadline came first. The request holds nothing any more.
    #[error("waited {:.1} s for '{key}', held by {}", .waited.as_secs_f64(), Holders(.holders))]
    TimedOut {
        /// The key that it waited for in the end.
        key: Key,
        /// How long the request has waited: for this key, and for others of its set before.
        waited: Duration,
        /// Who held the key when the time was up.
        holders: Vec<Holding>,
    },
}

/// The first holder, and how many more there are.
struct Holders<'a>(&'a [Holding]);

impl fmt::Display for Holders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nobody"),
            [only] => only.fmt(f),
            [first, second] => write!(f, "{first} and {second}"),
            [first, others @ ..] => write!(f, "{first} and {} others", others.len()),
        }
    }
}
