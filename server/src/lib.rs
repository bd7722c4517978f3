//! The daemon: gRPC services around the core, listeners, lifecycle.

pub mod config;
pub mod daemon;
mod inherited;
pub mod launch;
pub mod listener;
mod peer;
mod services;
mod status;
