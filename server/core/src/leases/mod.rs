//! Leases: locks that clients hold across requests, with a time to live and a fencing token.
//!
//! A lease is on a [`Subject`]: a path (and all below it), or a name of the build root's own. What
//! is promised:
//!
//! * **First come, first served** among all that want overlapping subjects, mutations included.
//! * **A lease on a path is mandatory**: mutations of others there wait until it ends. How they
//!   meet the lock table is told in `engine/leasing.rs`.
//! * **A token is fencing**: it only grows, from one grant to the next and from one daemon to the
//!   next. A mutation that brings one pins it while it acts, and whoever comes after that lease is
//!   served only when nothing pins it any more: a holder that was paused cannot write into its
//!   successor's time.
//! * **No deadlock stays**: whoever would close a circle of waits is refused, and nobody else.
//! * **Nothing is left behind**: dropping a future or a guard, at any moment, leaves the table.
//!
//! Why this is no [`LockTable`](crate::locks::LockTable): a lease is taken while others are held,
//! so there are deadlocks to be found, which takes one consistent view of who waits for whom. Hence
//! one list behind one mutex, in which a request gets all that it wants at once or nothing. Leases
//! are few, and where there are none mutations never come here.

mod lease;
mod order;
mod report;
mod state;
mod subject;
mod table;
#[cfg(test)]
mod tests;

pub use self::{
    lease::{DEFAULT_TTL, Lease},
    report::{LeaseHolding, LeaseStatus, LeaseWaiting},
    subject::{Claim, Subject},
};
pub(crate) use self::{
    report::LeaseError,
    subject::Claims,
    table::{Held, LeaseTable, Pins, Wanted},
};

/// A fencing token: no two leases of a build root ever have the same, and a later one has the
/// greater.
pub type Token = u64;

/// The most tokens that a request may bring: leases are hardly ever nested three deep.
pub const MAX_TOKENS: usize = 64;
