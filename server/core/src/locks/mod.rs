//! The lock table: who may change which place below the build root, and who waits for it.
//!
//! A request names every place that it will touch in one [`LockSet`] and takes all of them with
//! [`LockTable::acquire`]; the [`LockGuard`] that it gets back gives them up when it is dropped.
//!
//! What is promised:
//!
//! * **Exclusive is alone.** While a key is held [`Access::Exclusive`], nobody else holds it, nor
//!   any key below it: a set holds the ancestors of all its keys [`Access::Shared`].
//! * **First come, first served**, key by key. Nobody overtakes, not even a shared request that
//!   would fit beside the present holders, so nobody starves.
//! * **No deadlock between requests.** Every set is taken in the one order of [`Key`], so whoever
//!   holds a key waits only for greater ones. This holds as long as a request takes *one* set: to
//!   ask for a second while holding a first is a mistake, which only a deadline ends.
//! * **Nothing is left behind.** A request that is dropped at any moment (waiting, granted but not
//!   yet resumed, with half of its set) gives up all that it had, and those behind it proceed. The
//!   table has an entry only for keys that somebody holds or waits for.
//! * **Every wait can be seen and ends**: [`LockTable::snapshot`] lists holders and waiters, and a
//!   wait that meets its deadline fails with [`LockError::TimedOut`], which names the holders.
//!
//! The table knows keys, not files: that a key is the real place of a path, with its symlinks
//! resolved, is up to the caller.

mod key;
mod meters;
mod queue;
mod report;
mod set;
mod table;

#[cfg(test)]
mod tests;

pub use key::Key;
pub use report::{Counters, Holding, KeyStatus, LockError, Owner, Waiting};
pub use set::{Access, LockSet};
pub use table::{LockGuard, LockTable};
