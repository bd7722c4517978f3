//! What the daemon is told: flags, over the environment, over the file, over the defaults.
//!
//! [`Settings`] is one table for all three, so that a setting cannot exist in one and not in the
//! others. What holds in the end is a [`Config`], in which every path is absolute.

#[macro_use]
mod text;

mod cluster;
mod error;
mod file;
mod network;
mod otlp;
mod policy;
mod server_at;
mod settings;
mod size;
mod store;
mod store_url;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Parser, Subcommand};
use onewriter_core::Durability;
use onewriter_tree::path::STATE_DIR;

pub(crate) use self::{
    cluster::Cluster, network::Network, otlp::Collector, server_at::ServerAt, store::StoreSettings,
};
pub use self::{
    error::ConfigError,
    otlp::OtlpUrl,
    policy::{LimitEntry, RuleEntry},
    settings::{LogFormat, Settings},
    size::Size,
    store_url::StoreUrl,
};
use crate::certs::Certs;

/// The configuration file in `.onewriter/`, which is read where no other is named. (The client's
/// settings of `onewriter make` are another file, `.onewriter.toml` at the root.)
pub const CONFIG_FILE: &str = "daemon.toml";

/// Why a daemon of a cluster does not hand over.
const REPLACE: &str =
    "`--replace` is for a daemon without `cluster`: stop the owner, and a standby follows";

/// How much content may be kept by its digest where nobody says how much, in bytes.
const CAS_SIZE: u64 = 10 << 30;

/// Owns every change of one build root, and makes them for clients, one at a time for each path.
///
/// Clients start it by themselves; run it by hand to watch it, or to set what follows. Whatever has
/// a value can be in the configuration file, too, under the same name without `--`. Flags come
/// before the environment, that before the file, and that before the defaults.
#[derive(Clone, Debug, Parser)]
#[command(name = "onewriterd", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Flags {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Settings on the command line or in the environment.
    #[command(flatten)]
    pub settings: Settings,

    /// The configuration file (TOML); paths in it are relative to its directory
    /// [default: ROOT/.onewriter/daemon.toml, if there]
    #[arg(long, value_name = "FILE", env = "ONEWRITER_CONFIG")]
    pub config: Option<PathBuf>,

    /// Print the settings that hold, or what is wrong with them, and exit
    #[arg(long)]
    pub check_config: bool,

    /// Go to the background, and return when clients can connect. A daemon that serves the root
    /// already is as good
    #[arg(long)]
    pub detach: bool,

    /// Take the place of the daemon that serves the root, without a client noticing: it hands its
    /// socket over, ends what is under way, and ends. Where none runs, start
    #[arg(long)]
    pub replace: bool,

    /// Set for the background process itself
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// What else the daemon's program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an authority, and certificates and tokens of it, to try a server with
    Certs(Certs),
}

/// What holds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The build root.
    pub root: PathBuf,
    /// When a change may be called done.
    pub durability: Durability,
    /// Seconds without a client after which the daemon ends; 0: never.
    pub idle_timeout: u64,
    /// The directory of the journal; `None`: `.onewriter`.
    pub state: Option<PathBuf>,
    /// Seconds that requests under way may take to end when the daemon stops.
    pub drain_timeout: u64,
    /// How much content may be kept by its digest, in bytes.
    pub cas_size: u64,
    /// Who keeps it instead of the daemon.
    pub(crate) store: Option<StoreSettings>,
    /// Where spans go.
    pub(crate) collector: Option<Collector>,
    /// Where figures are served, as `HOST:PORT`.
    pub metrics: Option<String>,
    /// What a line of the log is.
    pub log_format: LogFormat,
    /// How other machines are served; `None`: not at all.
    pub(crate) network: Option<Network>,
    /// Who decides which daemon owns the root; `None`: nobody, there is one.
    pub(crate) cluster: Option<Cluster>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Whether to take the place of a daemon that runs.
    pub replace: bool,
    /// Whether this process is one in the background.
    pub detached: bool,
    /// All that was set, wherever it was.
    pub settings: Settings,
    /// Where it came from, to be read again.
    flags: Option<Flags>,
}

impl Config {
    /// What holds under `flags`.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file, line and key, or the flag.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let mut settings = flags.settings.clone();
        let here = file::here()?;
        settings.make_absolute(&here);
        let named = flags.config.as_deref().map(std::path::absolute).transpose();
        let named = named.map_err(ConfigError::Here)?;
        let file = named.clone().or_else(|| default_file(settings.root.as_deref()?));
        if let Some(file) = &file {
            settings = settings.over(file::read(file)?);
        }
        if flags.replace && settings.cluster.is_some() {
            return Err(ConfigError::Cluster(REPLACE.into()));
        }
        let mut config = Self::of(settings)?;
        (config.file, config.detached) = (file, flags.detached);
        config.replace = flags.replace;
        // The working directory may be another one when it is read again.
        let mut flags = Flags { config: named, ..flags.clone() };
        flags.settings.make_absolute(&here);
        config.flags = Some(flags);
        Ok(config)
    }

    /// What holds now, if that is anything else.
    ///
    /// # Errors
    /// Those of [`Config::load`], and [`ConfigError::Network`] where a daemon that listens would have
    /// no policy any more: an empty file is well-formed, and locks everybody out.
    pub fn reload(&self) -> Result<Self, ConfigError> {
        let again = match &self.flags {
            Some(flags) => Self::load(flags)?,
            None => Self::of(self.settings.clone())?,
        };
        match (&self.network, &again.network) {
            (Some(_), None) => Err(ConfigError::Network(network::GONE)),
            _ => Ok(again),
        }
    }

    /// Who may do what.
    ///
    /// # Errors
    /// [`ConfigError::Policy`], which names the entry.
    pub(crate) fn policy(&self) -> Result<onewriter_core::policy::Policy, ConfigError> {
        policy::policy(&self.settings)
    }

    /// What holds by `settings` and the defaults.
    ///
    /// # Errors
    /// [`ConfigError`], where they contradict each other or themselves.
    pub fn of(settings: Settings) -> Result<Self, ConfigError> {
        let root = settings.root.clone().ok_or(ConfigError::NoRoot)?;
        let (network, cluster) = (Network::of(&settings)?, Cluster::of(&settings)?);
        network::check_secrets(&settings, &root)?;
        if let Some(place) = &settings.metrics
            && place.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err())
        {
            return Err(ConfigError::Metrics(place.clone()));
        }
        let store = StoreSettings::of(&settings)?;
        let collector = Collector::of(&settings)?;
        let policy = policy::policy(&settings)?;
        if network.is_some() && policy.rules.is_empty() {
            return Err(ConfigError::Network(network::NO_POLICY));
        }
        // Another machine goes on with what is on the disk.
        let durability = if cluster.is_some() { Durability::Power } else { Durability::Process };
        // A server that others use does not go because nobody came for a while.
        let idle_timeout = if network.is_some() { 0 } else { 600 };
        Ok(Self {
            root,
            durability: settings.durability.map_or(durability, Into::into),
            idle_timeout: settings.idle_timeout.unwrap_or(idle_timeout),
            state: settings.state.clone(),
            drain_timeout: settings.drain_timeout.unwrap_or(10),
            cas_size: settings.cas_size.map_or(CAS_SIZE, |size| size.0),
            store,
            collector,
            metrics: settings.metrics.clone(),
            log_format: settings.log_format.unwrap_or_default(),
            network,
            cluster,
            file: None,
            replace: false,
            detached: false,
            settings,
            flags: None,
        })
    }

    /// All settings, defaults too, as a configuration file has them.
    pub fn shown(&self) -> String {
        let settings = Settings {
            root: Some(self.root.clone()),
            durability: Some(self.durability.into()),
            idle_timeout: Some(self.idle_timeout),
            drain_timeout: Some(self.drain_timeout),
            cas_size: self.store.is_none().then_some(Size(self.cas_size)),
            cas_timeout: self.store.as_ref().map(|store| store.patience.as_secs()),
            log_format: Some(self.log_format),
            ..self.settings.clone()
        };
        let from = match &self.file {
            Some(file) => format!("# {}, environment and flags", file.display()),
            None => "# No configuration file; environment and flags".to_owned(),
        };
        format!("{from}\n{}", settings.shown())
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        (self.idle_timeout > 0).then(|| Duration::from_secs(self.idle_timeout))
    }
}

/// The root's own file, if there.
fn default_file(root: &Path) -> Option<PathBuf> {
    let file = root.join(STATE_DIR).join(CONFIG_FILE);
    file.exists().then_some(file)
}
