//! The daemon: gRPC services around the core, listeners, lifecycle.

pub mod config;
mod content;
mod corked;
pub mod daemon;
mod handover;
mod identity;
mod inherited;
pub mod launch;
mod lifecycle;
pub mod listener;
mod manager;
mod metrics;
mod peer;
mod process;
mod services;
mod status;
#[cfg(test)]
mod tests;
