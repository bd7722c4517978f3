//! `onewriterd`, the daemon.

use std::process::ExitCode;

use clap::Parser as _;
use onewriter_server::{config::Flags, launch};

/// musl's allocator maps and unmaps memory for every connection.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    launch::main(Flags::parse())
}
