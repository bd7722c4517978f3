//! The daemon: gRPC services around the core, listeners, lifecycle.

pub mod certs;
mod channel;
mod cluster;
pub mod config;
mod content;
mod corked;
pub mod daemon;
mod desk;
mod external;
mod gate;
mod handover;
mod held;
mod identity;
mod inherited;
pub mod launch;
mod lifecycle;
pub mod listener;
mod manager;
mod memory;
mod metrics;
mod peer;
mod presence;
mod process;
mod reload;
mod seldom;
mod services;
mod spans;
mod status;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod visitors;
