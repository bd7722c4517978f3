//! `onewriter`, the client.
//!
//! Started thousands of times in a build, it does without the start-up of Rust's runtime and takes
//! its memory from an arena: see `entry` and `arena` in the library.

#![no_main]

use onewriter_client::arena::Arena;

#[global_allocator]
static MEMORY: Arena = Arena::new();

onewriter_client::entry_point!();
