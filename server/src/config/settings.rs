//! The table of settings.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use onewriter_core::Durability;
use serde::{Deserialize, Serialize};

use super::{
    OtlpUrl, Size, StoreUrl,
    policy::{LimitEntry, RuleEntry},
};

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

    /// Keep content by its digest, and results of actions, in this store of the Remote Execution API
    /// (bazel-remote, NativeLink, Buildbarn, BuildGrid, another onewriterd) instead of below
    /// ROOT/.onewriter: grpcs://HOST:PORT[/INSTANCE], or grpc:// for one on this machine
    #[arg(long, value_name = "URL", env = "ONEWRITER_CAS")]
    pub cas: Option<StoreUrl>,

    /// Whom to trust as that store: authorities (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "ONEWRITER_CAS_TLS_CA")]
    pub cas_tls_ca: Option<PathBuf>,

    /// The certificate that the daemon shows to the store (PEM)
    #[arg(long, value_name = "FILE", env = "ONEWRITER_CAS_TLS_CERT")]
    pub cas_tls_cert: Option<PathBuf>,

    /// Its key (PEM)
    #[arg(long, value_name = "FILE", env = "ONEWRITER_CAS_TLS_KEY")]
    pub cas_tls_key: Option<PathBuf>,

    /// A file that holds the token by which the store knows the daemon, and nothing else
    #[arg(long, value_name = "FILE", env = "ONEWRITER_CAS_TOKEN_FILE")]
    pub cas_token_file: Option<PathBuf>,

    /// How long the store may be silent before a request that needs it fails, in seconds [default: 30]
    #[arg(long, value_name = "SECONDS", env = "ONEWRITER_CAS_TIMEOUT")]
    pub cas_timeout: Option<u64>,

    /// Serve figures for Prometheus at this address, without encryption and to whoever asks: name
    /// one that only the right machines reach, as in 127.0.0.1:9467
    #[arg(long, value_name = "HOST:PORT", env = "ONEWRITER_METRICS")]
    pub metrics: Option<String>,

    /// Tell this collector of OpenTelemetry (OTLP by gRPC, port 4317 mostly) of every request, in a span:
    /// https://HOST:PORT, or http:// for one on this machine
    #[arg(long, value_name = "URL", env = "ONEWRITER_OTLP")]
    pub otlp: Option<OtlpUrl>,

    /// Whom to trust as that collector: authorities (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "ONEWRITER_OTLP_TLS_CA")]
    pub otlp_tls_ca: Option<PathBuf>,

    /// What a line of the log is [default: text]
    #[arg(long, value_enum, env = "ONEWRITER_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Serve other machines there, too; may be given more than once. Port 0 has the kernel choose:
    /// ROOT/.onewriter/listening says what
    #[arg(long, value_name = "HOST:PORT", env = "ONEWRITER_LISTEN", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<String>,

    /// The daemon's certificate, and those between it and its authority (PEM)
    #[arg(long, value_name = "FILE", env = "ONEWRITER_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// Its key (PEM)
    #[arg(long, value_name = "FILE", env = "ONEWRITER_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// The authorities whose certificates clients may show (PEM). A client is `cert:NAME` then, by
    /// the first URI or DNS name of its certificate, else its common name
    #[arg(long, value_name = "FILE", env = "ONEWRITER_TLS_CLIENT_CA")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whom a bearer token names: `NAME = "sha256:DIGEST"`, one a line. A client is `token:NAME` then
    #[arg(long, value_name = "FILE", env = "ONEWRITER_TOKENS")]
    pub tokens: Option<PathBuf>,

    /// Listen without TLS, which only the loopback interface allows. Whoever comes is `loopback`,
    /// unless there are tokens
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub insecure_loopback: Option<bool>,

    /// Let this identity read and write everything: `cert:NAME`, `token:NAME`, `uid:1000`, `loopback`;
    /// `*` at the end stands for any rest. More than that is for `[[rules]]` in the configuration file
    #[arg(long, value_name = "WHO")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,

    /// Connections that other machines may have open, all together [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    pub max_connections: Option<usize>,

    /// How long a client on another machine may take to begin: TLS, and again its first words of
    /// HTTP/2, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub handshake_timeout: Option<u64>,

    /// Ask a connection from another machine so often whether it still lives, in seconds, and end it
    /// when it has not said so after as long again [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub keep_alive: Option<u64>,

    /// End a connection from another machine that has asked for nothing for so long, in seconds; 0:
    /// never [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub idle_connection: Option<u64>,

    /// Be one of several daemons for the root, one of which owns it, as etcd says: its members, as in
    /// etcd://10.0.0.1:2379,10.0.0.2:2379. They see one shared filesystem
    #[arg(long, value_name = "ETCD", env = "ONEWRITER_CLUSTER")]
    pub cluster: Option<String>,

    /// What the root is called in the cluster
    #[arg(long, value_name = "NAME", env = "ONEWRITER_NAME")]
    pub name: Option<String>,

    /// What clients are told to connect to, as in https://build.example:7443 [default: where the
    /// daemon listens first]
    #[arg(long, value_name = "URL", env = "ONEWRITER_ADVERTISE")]
    pub advertise: Option<String>,

    /// How long an owner lives without etcd, in seconds: so long after one has died, another one
    /// follows [default: 10]
    #[arg(long, value_name = "SECONDS", env = "ONEWRITER_CLUSTER_TTL")]
    pub cluster_ttl: Option<u64>,

    /// Names for several identities.
    #[arg(skip)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,

    /// Who may do what.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,

    /// How much of it.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitEntry>,
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
            cas: self.cas.or(others.cas),
            cas_tls_ca: self.cas_tls_ca.or(others.cas_tls_ca),
            cas_tls_cert: self.cas_tls_cert.or(others.cas_tls_cert),
            cas_tls_key: self.cas_tls_key.or(others.cas_tls_key),
            cas_token_file: self.cas_token_file.or(others.cas_token_file),
            cas_timeout: self.cas_timeout.or(others.cas_timeout),
            metrics: self.metrics.or(others.metrics),
            otlp: self.otlp.or(others.otlp),
            otlp_tls_ca: self.otlp_tls_ca.or(others.otlp_tls_ca),
            log_format: self.log_format.or(others.log_format),
            listen: first(self.listen, others.listen),
            tls_cert: self.tls_cert.or(others.tls_cert),
            tls_key: self.tls_key.or(others.tls_key),
            tls_client_ca: self.tls_client_ca.or(others.tls_client_ca),
            tokens: self.tokens.or(others.tokens),
            insecure_loopback: self.insecure_loopback.or(others.insecure_loopback),
            allow: first(self.allow, others.allow),
            max_connections: self.max_connections.or(others.max_connections),
            handshake_timeout: self.handshake_timeout.or(others.handshake_timeout),
            keep_alive: self.keep_alive.or(others.keep_alive),
            idle_connection: self.idle_connection.or(others.idle_connection),
            cluster: self.cluster.or(others.cluster),
            name: self.name.or(others.name),
            advertise: self.advertise.or(others.advertise),
            cluster_ttl: self.cluster_ttl.or(others.cluster_ttl),
            groups: others.groups,
            rules: first(self.rules, others.rules),
            limits: first(self.limits, others.limits),
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
        let Self { root, state, tls_cert, tls_key, tls_client_ca, tokens, .. } = self;
        let Self { cas_tls_ca, cas_tls_cert, cas_tls_key, cas_token_file, otlp_tls_ca, .. } = self;
        let paths = [root, state, tls_cert, tls_key, tls_client_ca, tokens];
        let of_others = [cas_tls_ca, cas_tls_cert, cas_tls_key, cas_token_file, otlp_tls_ca];
        paths.into_iter().chain(of_others).flatten()
    }
}

fn first<T>(these: Vec<T>, others: Vec<T>) -> Vec<T> {
    if these.is_empty() { others } else { these }
}
