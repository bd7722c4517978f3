//! What runs a daemon for a team: figures, service managers, upgrades, packages.

mod exposition;
mod metrics;
