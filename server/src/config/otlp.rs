//! Where spans go.

use std::{fmt, path::PathBuf, str::FromStr};

use super::{ConfigError, Settings, server_at::ServerAt};
use crate::tls::PeerFiles;

/// `https://HOST:PORT`, or `http://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpUrl(ServerAt);

impl FromStr for OtlpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: String| {
            format!(
                "a collector's address is https://HOST:PORT, on this machine also http://: {why}"
            )
        };
        let (rest, tls) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return Err(refuse(format!("'{text}' begins like none"))),
        };
        let place = rest.strip_suffix('/').unwrap_or(rest);
        ServerAt::parse(place, tls).map(Self).map_err(refuse)
    }
}

impl fmt::Display for OtlpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.0.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.0)
    }
}

as_text!(OtlpUrl);

/// A collector of spans.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) at: ServerAt,
    pub(crate) tls: PeerFiles,
}

impl Collector {
    /// `None`: nobody wants to know.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let ca: Option<PathBuf> = settings.otlp_tls_ca.clone();
        match &settings.otlp {
            None if ca.is_some() => {
                Err(ConfigError::Collector("`otlp-tls-ca` is for a collector: `otlp` names it"))
            }
            None => Ok(None),
            Some(OtlpUrl(at)) if ca.is_some() && !at.tls => {
                Err(ConfigError::Collector("`otlp-tls-ca` needs TLS: write `otlp` with https://"))
            }
            Some(OtlpUrl(at)) => {
                Ok(Some(Self { at: at.clone(), tls: PeerFiles { ca, own: None } }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_are_reached_in_clear_text_on_this_machine_only() {
        for text in ["http://127.0.0.1:4317", "http://[::1]:4317", "https://otel.example:4317"] {
            assert_eq!(text.parse::<OtlpUrl>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "otel.example:4317",
            "http://otel.example:4317",
            "https://otel.example",
            "https://otel.example:4317/v1/traces",
            "grpc://127.0.0.1:4317",
        ] {
            assert!(text.parse::<OtlpUrl>().is_err(), "{text}");
        }
    }
}
