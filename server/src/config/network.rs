//! How other machines are served.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use onewriter_tree::path::STATE_DIR;

use super::{ConfigError, Settings};
use crate::tls::TlsFiles;

/// What is said where clients from other machines are to come, and nobody says what they may do.
pub(super) const NO_POLICY: &str = "`listen` needs a policy: nobody says what those who connect may do; add [[rules]] to the \
     configuration file, as in `who = [\"cert:*\"]`, `paths = [\".\"]`, `may = [\"read\"]`, or \
     `--allow 'cert:*'` to let each of them do everything";

/// What is said of a file that is read again, and is empty or half written.
pub(super) const GONE: &str = "the daemon listens for other machines, and `listen` is not there any more: the file is gone or not \
     complete (to listen no more takes a restart)";

/// Where to listen, and what connections keep to.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) listen: Vec<String>,
    /// `None`: in clear text, on the loopback interface.
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) tokens: Option<PathBuf>,
    pub(crate) max_connections: usize,
    pub(crate) handshake: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) idle: Option<Duration>,
}

impl Network {
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        if settings.listen.is_empty() {
            return Ok(None);
        }
        let seconds = |given: Option<u64>, default| Duration::from_secs(given.unwrap_or(default));
        let idle = seconds(settings.idle_connection, 3600);
        Ok(Some(Self {
            listen: settings.listen.clone(),
            tls: tls(settings)?,
            tokens: settings.tokens.clone(),
            max_connections: settings.max_connections.unwrap_or(4096),
            handshake: seconds(settings.handshake_timeout, 10),
            keep_alive: seconds(settings.keep_alive, 30),
            idle: (!idle.is_zero()).then_some(idle),
        }))
    }
}

/// Refuses secrets that lie in the tree, where all who may read it read them too.
pub(super) fn check_secrets(settings: &Settings, root: &Path) -> Result<(), ConfigError> {
    let Ok(root) = root.canonicalize() else { return Ok(()) };
    for (setting, file) in [
        ("tls-key", &settings.tls_key),
        ("cas-tls-key", &settings.cas_tls_key),
        ("cas-token-file", &settings.cas_token_file),
    ] {
        let Some(file) = file else { continue };
        // Where it cannot be found, whoever reads it says so.
        let Ok(real) = file.canonicalize() else { continue };
        if real.starts_with(&root) && !real.starts_with(root.join(STATE_DIR)) {
            return Err(ConfigError::Exposed { setting, file: file.clone() });
        }
    }
    Ok(())
}

fn tls(settings: &Settings) -> Result<Option<TlsFiles>, ConfigError> {
    let refuse = |why| Err(ConfigError::Network(why));
    let insecure = settings.insecure_loopback.unwrap_or(false);
    let (certificate, key) = match (&settings.tls_cert, &settings.tls_key) {
        (Some(_), Some(_)) if insecure => {
            return refuse("`insecure-loopback` is for a daemon without `tls-cert` and `tls-key`");
        }
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (None, None) if insecure => return Ok(None),
        (None, None) => {
            return refuse(
                "`listen` needs `tls-cert` and `tls-key`: nothing goes in clear text (`onewriterd \
                 certs DIR` makes some for a first try; `insecure-loopback` does without on this \
                 machine)",
            );
        }
        _ => return refuse("`tls-cert` and `tls-key` go together"),
    };
    let (client_ca, tokens) = (settings.tls_client_ca.clone(), settings.tokens.is_some());
    if client_ca.is_none() && !tokens {
        return refuse(
            "`listen` needs `tls-client-ca` or `tokens`: else nobody could say who he is",
        );
    }
    Ok(Some(TlsFiles { certificate, key, client_ca, tokens }))
}
