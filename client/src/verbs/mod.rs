//! The commands, one file each.

mod cat;
mod completions;
mod cp;
mod destination;
mod init;
mod install;
mod ln;
mod log;
mod mkdir;
mod mv;
mod publish;
mod rm;
mod stat;
mod stats;
mod status;
mod stop;
mod touch;

use crate::command::{Opt, Verb};

/// All of them, as the help lists them.
pub(crate) const ALL: &[&Verb] = &[
    &init::VERB,
    &mkdir::VERB,
    &publish::VERB,
    &cp::VERB,
    &install::VERB,
    &mv::VERB,
    &ln::VERB,
    &rm::VERB,
    &touch::VERB,
    &stat::VERB,
    &cat::VERB,
    &log::VERB,
    &status::VERB,
    &stats::VERB,
    &stop::VERB,
    &completions::VERB,
];

/// As many operands as one likes.
const MANY: usize = usize::MAX;

/// `-v`.
const VERBOSE: Opt = Opt::flag('v', "verbose", "Say what was done to each");
