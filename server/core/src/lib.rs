//! The daemon's core: lock table, mutation engine, durability, journal. It knows no gRPC.

mod admission;
mod engine;
pub mod journal;
pub mod locks;
mod ownership;
mod pool;
mod sync;
mod tally;

pub use crate::{
    engine::{Caller, DEFAULT_WAIT, Durability, Engine, Refusal, StartError},
    ownership::{LOCK_FILE, Ownership, OwnershipError},
    tally::{Counts, REFUSED},
};
