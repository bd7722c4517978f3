//! The programs from outside: real clients, real daemons, real makes, each test in a build root of
//! its own.
#![allow(
    clippy::disallowed_methods,
    reason = "tests set up, and look at, the tree behind its back"
)]
#![allow(unreachable_pub, missing_docs, reason = "nobody but these tests uses it")]

mod support;

mod account;
mod answers;
mod bad_input;
mod budget;
mod builds;
mod changes;
mod cluster;
mod command_lines;
mod contention;
mod deploy;
mod direct;
mod ending;
mod farm;
mod faults;
mod fetch;
mod inheritance;
mod inputs;
mod interrupted;
mod leases;
mod make;
mod modes;
mod power;
mod remote;
mod simple;
mod starting;
mod transactions;
mod versions;
mod watching;
mod worker;
