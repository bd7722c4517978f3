//! How the daemon is told what to do.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use onewriter_core::Durability;

/// Owns every change of one build root, and makes them for clients, one at a time for each path.
///
/// Clients start it by themselves; run it by hand to watch it, or to set what follows.
#[derive(Clone, Debug, Parser)]
#[command(name = "onewriterd", version, max_term_width = 100)]
pub struct Config {
    /// The build root; `onewriter init` makes one
    #[arg(long, value_name = "DIR", env = "ONEWRITER_ROOT")]
    pub root: PathBuf,

    /// When a change may be called done: when the kernel has it (it survives the end of any
    /// process), or when the disk has it (it survives a power cut)
    #[arg(long, value_enum, default_value = "process", env = "ONEWRITER_DURABILITY")]
    pub durability: DurabilityArg,

    /// End after so many seconds without a client; 0 means never
    #[arg(long, value_name = "SECONDS", default_value_t = 600, env = "ONEWRITER_IDLE_TIMEOUT")]
    pub idle_timeout: u64,

    /// The directory of the journal, on a local disk, where the root lies on a network filesystem
    /// [default: ROOT/.onewriter]
    #[arg(long, value_name = "DIR", env = "ONEWRITER_STATE")]
    pub state: Option<PathBuf>,

    /// How long requests under way may take to end when the daemon stops, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub drain_timeout: u64,

    /// Go to the background, and return when clients can connect. A daemon that serves the root
    /// already is as good
    #[arg(long)]
    pub detach: bool,

    /// Set for the background process itself
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// `--durability`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DurabilityArg {
    /// Survives the end of any process
    Process,
    /// Survives a power cut
    Power,
}

impl DurabilityArg {
    /// As it is spelled on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

impl Config {
    pub(crate) fn durability(&self) -> Durability {
        match self.durability {
            DurabilityArg::Process => Durability::Process,
            DurabilityArg::Power => Durability::Power,
        }
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        (self.idle_timeout > 0).then(|| Duration::from_secs(self.idle_timeout))
    }
}
