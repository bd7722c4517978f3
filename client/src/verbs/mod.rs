//! The commands, one file each.

mod batch;
mod cat;
mod completions;
mod cp;
mod destination;
pub(crate) mod fetch;
mod init;
mod install;
mod ln;
mod lock;
mod log;
pub(crate) mod make;
mod mkdir;
mod mv;
mod once;
mod publish;
mod publish_afar;
mod publish_group;
mod publish_input;
mod report;
mod rm;
pub(crate) mod run;
mod shims;
mod simple;
mod spelling;
pub(crate) mod stat;
mod stats;
mod status;
mod stop;
mod top;
mod touch;
mod wait;
mod watch;
mod workers;

use std::path::PathBuf;

use crate::{
    command::{Opt, Verb},
    failure::Failure,
};

/// All of them, as the help lists them.
pub(crate) const ALL: &[&Verb] = &[
    &init::VERB,
    &mkdir::VERB,
    &publish::VERB,
    &batch::VERB,
    &run::VERB,
    &make::VERB,
    &cp::VERB,
    &install::VERB,
    &mv::VERB,
    &ln::VERB,
    &rm::VERB,
    &touch::VERB,
    &simple::VERB,
    &shims::VERB,
    &stat::VERB,
    &cat::VERB,
    &fetch::VERB,
    &lock::VERB,
    &once::VERB,
    &wait::VERB,
    &watch::VERB,
    &log::VERB,
    &report::VERB,
    &status::VERB,
    &workers::VERB,
    &stats::VERB,
    &top::VERB,
    &stop::VERB,
    &completions::VERB,
];

/// This program's own file.
fn this_program() -> Result<PathBuf, Failure> {
    let found = std::env::current_exe();
    found.map_err(|e| Failure::Io(format!("this program itself cannot be found: {e}")))
}

/// As many operands as one likes.
const MANY: usize = usize::MAX;

/// `-v`.
const VERBOSE: Opt = Opt::flag('v', "verbose", "Say what was done to each");
