//! Who keeps content by its digest.

use std::{path::PathBuf, time::Duration};

use super::{ConfigError, Settings, StoreUrl};
use crate::tls::PeerFiles;

/// How long an external store may be silent where nobody says how long, in seconds.
pub(super) const PATIENCE: u64 = 30;

/// An external store, and how the daemon shows it who it is.
#[derive(Clone, Debug)]
pub(crate) struct StoreSettings {
    pub(crate) url: StoreUrl,
    pub(crate) tls: PeerFiles,
    pub(crate) token: Option<PathBuf>,
    /// How long it may be silent.
    pub(crate) patience: Duration,
}

impl StoreSettings {
    /// `None`: the daemon keeps content itself.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let refuse = |why| Err(ConfigError::Store(why));
        let Settings { cas_tls_ca: ca, cas_tls_cert: certificate, cas_tls_key: key, .. } = settings;
        let Some(url) = settings.cas.clone() else {
            let token = settings.cas_token_file.is_some();
            return match token || [ca, certificate, key].into_iter().any(Option::is_some) {
                true => refuse(
                    "`cas-tls-…` and `cas-token-file` are for an external store: `cas` names it",
                ),
                false => Ok(None),
            };
        };
        if settings.cas_size.is_some() {
            return refuse(
                "`cas-size` bounds the daemon's own store, and with `cas` there is none: leave one out",
            );
        }
        if certificate.is_some() != key.is_some() {
            return refuse("`cas-tls-cert` and `cas-tls-key` go together");
        }
        if !url.at().tls && [ca, certificate, key].into_iter().any(Option::is_some) {
            return refuse("`cas-tls-…` needs TLS: write `cas` with grpcs://");
        }
        let patience = match settings.cas_timeout.unwrap_or(PATIENCE) {
            0 => return refuse("`cas-timeout` is a second at least"),
            seconds => Duration::from_secs(seconds),
        };
        let own = certificate.clone().zip(key.clone());
        let tls = PeerFiles { ca: ca.clone(), own };
        Ok(Some(Self { url, tls, token: settings.cas_token_file.clone(), patience }))
    }
}
