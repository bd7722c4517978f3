//! Several daemons for one root, of which etcd says who owns it.

use std::time::Duration;

use super::{ConfigError, Settings};

/// How long a lease lives where nobody says, in seconds: an owner that died is followed after so long.
const TTL: u64 = 10;

/// The longest name of a root, in bytes.
const NAME_MAX: usize = 128;

/// Who decides, and what this daemon is among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// `HOST:PORT` of etcd's members.
    pub(crate) endpoints: Vec<String>,
    /// What the root is called there.
    pub(crate) name: String,
    /// What clients are told to connect to; `None`: where this daemon listens first.
    pub(crate) advertise: Option<String>,
    /// How long it owns the root without hearing from etcd.
    pub(crate) ttl: Duration,
}

impl Cluster {
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let refuse = |why: String| Err(ConfigError::Cluster(why));
        let Some(cluster) = &settings.cluster else {
            return match (&settings.name, &settings.advertise, settings.cluster_ttl) {
                (None, None, None) => Ok(None),
                _ => refuse("`name`, `advertise` and `cluster-ttl` need `cluster`".into()),
            };
        };
        let hosts = cluster.strip_prefix("etcd://").filter(|hosts| !hosts.contains('/'));
        let endpoints: Vec<String> =
            hosts.into_iter().flat_map(|hosts| hosts.split(',')).map(str::to_owned).collect();
        if endpoints.is_empty() || !endpoints.iter().all(|endpoint| is_endpoint(endpoint)) {
            return refuse(format!("`cluster` is etcd://HOST:PORT[,HOST:PORT], not '{cluster}'"));
        }
        let Some(name) = settings.name.clone().filter(|name| is_name(name)) else {
            return refuse(
                "`cluster` needs `name`, what the root is called there: letters, digits, '.', '_' \
                 and '-', at most 128"
                    .into(),
            );
        };
        if settings.listen.is_empty() {
            return refuse("`cluster` needs `listen`: clients come from other machines".into());
        }
        if settings.state.is_some() {
            return refuse(
                "`cluster` does not go with `state`: the next owner needs the journal, which is \
                 therefore kept in the root"
                    .into(),
            );
        }
        let ttl = settings.cluster_ttl.unwrap_or(TTL);
        if !(1..=600).contains(&ttl) {
            return refuse(format!("`cluster-ttl` is 1 to 600 seconds, not {ttl}"));
        }
        if let Some(address) = &settings.advertise
            && !["https://", "http://"]
                .iter()
                .any(|scheme| address.strip_prefix(scheme).is_some_and(is_endpoint))
        {
            return refuse(format!("`advertise` is https://HOST:PORT, not '{address}'"));
        }
        let advertise = settings.advertise.clone();
        Ok(Some(Self { endpoints, name, advertise, ttl: Duration::from_secs(ttl) }))
    }
}

fn is_endpoint(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    text.rsplit_once(':').is_some_and(|(name, number)| host(name) && port(number))
}

fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_good)
}
