//! The daemon's core: lock table, mutation engine, durability, journal. It knows no gRPC.

pub mod locks;
