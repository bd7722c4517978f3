//! `onewriterd`, the daemon.

use std::process::ExitCode;

use clap::Parser as _;
use onewriter_server::{config::Config, launch};

fn main() -> ExitCode {
    launch::main(Config::parse())
}
