//! The client: a library of plain Rust in and out, and the commands of the onewriter program.

pub mod wire;
