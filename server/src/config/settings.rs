//! The table of settings.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use onewriter_core::Durability;
use serde::{Deserialize, Serialize};

use super::Size;

/// What can be set, by a flag, in most cases by the environment, and by the configuration file, in
/// which a name has no dashes before it. `None`: it is not.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// The build root; `onewriter init` makes one
    #[arg(long, value_name = "DIR", env = "ONEWRITER_ROOT")]
    pub root: Option<PathBuf>,

    /// When a change may be called done: when the kernel has it (it survives the end of any
    /// process), or when the disk has it (it survives a power cut) [default: process]
    #[arg(long, value_enum, env = "ONEWRITER_DURABILITY")]
    pub durability: Option<DurabilityArg>,

    /// End after so many seconds without a client; 0 means never [default: 600]
    #[arg(long, value_name = "SECONDS", env = "ONEWRITER_IDLE_TIMEOUT")]
    pub idle_timeout: Option<u64>,

    /// The directory of the journal, on a local disk, where the root lies on a network filesystem
    /// [default: ROOT/.onewriter]
    #[arg(long, value_name = "DIR", env = "ONEWRITER_STATE")]
    pub state: Option<PathBuf>,

    /// How long requests under way may take to end when the daemon stops, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub drain_timeout: Option<u64>,

    /// How much content to keep by its digest, below ROOT/.onewriter/cas: bytes, or a number with K,
    /// M, G or T behind it. What was not used for the longest time goes first [default: 10G]
    #[arg(long, value_name = "SIZE", env = "ONEWRITER_CAS_SIZE")]
    pub cas_size: Option<Size>,

    /// Serve figures for Prometheus at this address, without encryption and to whoever asks: name
    /// one that only the right machines reach, as in 127.0.0.1:9467
    #[arg(long, value_name = "HOST:PORT", env = "ONEWRITER_METRICS")]
    pub metrics: Option<String>,

    /// What a line of the log is [default: text]
    #[arg(long, value_enum, env = "ONEWRITER_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// `--durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DurabilityArg {
    /// Survives the end of any process
    Process,
    /// Survives a power cut
    Power,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// A JSON object, for programs
    Json,
}

impl From<DurabilityArg> for Durability {
    fn from(arg: DurabilityArg) -> Self {
        match arg {
            DurabilityArg::Process => Self::Process,
            DurabilityArg::Power => Self::Power,
        }
    }
}

impl From<Durability> for DurabilityArg {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Process => Self::Process,
            Durability::Power => Self::Power,
        }
    }
}

impl Settings {
    /// These, and where they say nothing, `others`.
    pub(super) fn over(self, others: Self) -> Self {
        Self {
            root: self.root.or(others.root),
            durability: self.durability.or(others.durability),
            idle_timeout: self.idle_timeout.or(others.idle_timeout),
            state: self.state.or(others.state),
            drain_timeout: self.drain_timeout.or(others.drain_timeout),
            cas_size: self.cas_size.or(others.cas_size),
            metrics: self.metrics.or(others.metrics),
            log_format: self.log_format.or(others.log_format),
        }
    }

    /// Has every path begin at `base`, unless it is absolute.
    pub(super) fn make_absolute(&mut self, base: &Path) {
        self.paths().for_each(|path| *path = base.join(&*path));
    }

    /// As a file has them. What is not UTF-8 cannot be in one.
    pub(super) fn shown(mut self) -> String {
        self.paths().for_each(|path| *path = path.to_string_lossy().into_owned().into());
        toml::to_string(&self).expect("settings of text can be written")
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.root, &mut self.state].into_iter().flatten()
    }
}
