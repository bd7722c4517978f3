//! What can be wrong with the settings.

use std::{io, path::PathBuf};

/// Why the daemon does not know what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nobody says which.
    #[error("there is no build root: name it with --root, ONEWRITER_ROOT, or `root` in the file")]
    NoRoot,
    /// It is named, and cannot be read.
    #[error("cannot read the configuration file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or has a key or value that there is not.
    #[error("{}:{line}: {what}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there; names the key.
        what: String,
    },
    /// The policy has no meaning.
    #[error("{place}: {what}")]
    Policy {
        /// Which entry, counted from 0.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// Settings of the network contradict each other.
    #[error("{0}")]
    Network(&'static str),
    /// A secret lies where others can read it.
    #[error(
        "`{setting}`: {} lies in the build root, where whoever may read the tree reads it too; put it \
         into .onewriter/ or elsewhere, with what lies beside it",
        file.display()
    )]
    Exposed {
        /// Whose value it is.
        setting: &'static str,
        /// The secret.
        file: PathBuf,
    },
    /// No place where figures could be served.
    #[error("`metrics` is HOST:PORT, as in 127.0.0.1:9184, and not '{0}'")]
    Metrics(String),
    /// Settings of the content store contradict each other.
    #[error("{0}")]
    Store(&'static str),
    /// Settings of the collector contradict each other.
    #[error("{0}")]
    Collector(&'static str),
    /// Settings of the cluster contradict each other, or others.
    #[error("{0}")]
    Cluster(String),
    /// It is not known where relative paths begin.
    #[error("cannot find out the working directory")]
    Here(#[source] io::Error),
}
