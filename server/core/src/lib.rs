//! The daemon's core: lock table, mutation engine, durability, journal. It knows no gRPC.

pub mod account;
mod admission;
mod course;
mod engine;
pub mod epochs;
pub mod histogram;
pub mod journal;
mod keys;
pub mod leases;
pub mod locks;
mod ownership;
pub mod policy;
mod pool;
mod recipes;
mod sync;
mod tally;
pub mod transactions;

pub use crate::{
    course::{Course, Stations},
    engine::{
        Arrived, Caller, DEFAULT_WAIT, Durability, Engine, OnceKey, Refusal, Run, Sight,
        StartError, Turn, Wait,
    },
    ownership::{LOCK_FILE, Ownership, OwnershipError},
    recipes::{RecipeLine, RunningRecipe},
    tally::{Counts, REFUSED},
};
