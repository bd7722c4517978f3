//! Commands under a wrapper that is not to be noticed.
//!
//! A wrapper owns its process, with all its children and signals. So each test starts this program
//! again, which then is the wrapper (see `wrapper`), and looks at it from outside.
#![allow(clippy::disallowed_methods, reason = "tests set up trees to work in")]

mod plain;
mod sandboxed;
mod support;
mod terminal;
mod wrapper;

use libtest_mimic::{Arguments, Trial};

fn main() {
    if let Some(code) = wrapper::run() {
        std::process::exit(code);
    }
    let tests = [plain::TESTS, sandboxed::TESTS, terminal::TESTS].concat();
    let trial = |(name, test): (&'static str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = tests.into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    support::remove_copy();
    conclusion.exit();
}
