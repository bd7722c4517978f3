//! A daemon that is one of several for one root.
//!
//! ```text
//! standby ── etcd gives it the root (membership.rs) ──▶ takes over (term.rs) ──▶ owner
//!    ▲                                                                            │
//!    └──── lease over, by our own clock (lease.rs); or somebody else's epoch ◀────┘
//! ```
//!
//! A standby listens and sends clients to the owner; it has opened neither journal nor engine. The owner's
//! right to write ends by itself (fence.rs), and is asked for before each act. What is on the disk of an
//! owner is in its epoch's own place: `.onewriter/epoch` (epoch.rs), the journal, the record of keys,
//! staging; so that one that was stopped keeps nobody waiting, and changes nothing when it goes on.

mod clock;
mod epoch;
mod etcd;
mod fence;
mod lease;
mod membership;
mod term;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use onewriter_core::{Engine, LOCK_FILE, Ownership};
use onewriter_tree::{Tree, path::STATE_DIR};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic_health::ServingStatus;

use self::{
    epoch::{EpochError, Epochs},
    etcd::{Etcd, EtcdError},
    membership::{Membership, Standing},
    term::Tenure,
};
use crate::{
    config::{Cluster, Config},
    daemon::{self, DaemonError},
    desk::Desk,
    gate::Gate,
    launch::in_one_line,
    lifecycle::Lifecycle,
    listener::{
        Host,
        tcp::{self, ListenError},
    },
    manager,
    metrics::Meters,
    reload, services,
    spans::Spans,
};

/// The most that one question to etcd may take, whatever the lease's life.
const LIMIT: Duration = Duration::from_secs(2);

/// How long connections get to end after their requests have.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a root that could not be taken over is left to others.
const AGAIN: Duration = Duration::from_secs(1);

const WAITS: &str = "it waits to own it";
const CUT: &str = "etcd, which says who owns it, does not answer";

/// Why a daemon cannot be one of several.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The root belongs to another cluster, or etcd's address is none.
    #[error(transparent)]
    Refused(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl From<EpochError> for MembershipError {
    fn from(error: EpochError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<EtcdError> for MembershipError {
    fn from(error: EtcdError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// What the root is called in the cluster that it belongs to, if it does.
pub(crate) fn name_of(tree: &Tree) -> io::Result<Option<String>> {
    epoch::name(tree)
}

/// Owns the root whenever etcd says so, until `shutdown` ends or a client asks for the end.
pub(crate) async fn run(
    config: Config,
    cluster: Cluster,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    let tree = Tree::open(&config.root)?;
    let root = tree.path().to_owned();
    let failed = |source: MembershipError| DaemonError::Membership { root: root.clone(), source };
    let shared = Ownership::share(&tree)
        .map_err(|source| DaemonError::Ownership { root: root.clone(), source })?;
    let epochs = Epochs::open(&tree, &cluster.name).map_err(|error| failed(error.into()))?;
    let gate = Gate::new(config.policy()?, reload::tokens(&config)?);
    let Some(network) = &config.network else { return Ok(()) };
    let (sockets, urls) = tcp::listen_at(network).await.map_err(|error| failed(error.into()))?;
    let limit = (cluster.ttl / 4).min(LIMIT);
    let etcd = Etcd::new(&cluster.endpoints, limit).map_err(|error| failed(error.into()))?;
    let address = cluster.advertise.clone().unwrap_or_else(|| advertised(&urls));
    let membership = Membership::new(etcd, &cluster.name, (address, cluster.ttl), Arc::new(epochs));
    let lifecycle = Lifecycle::new();
    lifecycle.report(ServingStatus::NotServing).await;
    let member = Member {
        desk: Desk::closed(services::health(&lifecycle), WAITS),
        meters: config.metrics.is_some().then(Arc::<Meters>::default),
        spans: daemon::spans(&config).map_err(DaemonError::Collector)?,
        config,
        membership,
        lifecycle,
        tree,
        engine: Mutex::default(),
    };
    let host = Host::new(
        &member.desk,
        &member.lifecycle,
        &gate,
        member.meters.clone(),
        member.spans.clone(),
    )
    .forwarding(member.config.store.is_some());
    let mut listening = JoinSet::new();
    for socket in sockets {
        let host = host.clone();
        listening.spawn(async move { host.listen(&socket).await });
    }
    let reloads = reload::at_each_hangup(&member.config, &gate);
    tracing::info!(root = %root.display(), name = cluster.name, "standing by");
    ready();
    manager::ready(&root);
    let tenure = tokio::select! {
        tenure = member.serve(&host, shutdown) => tenure,
        never = reloads => match never {},
        () = manager::watchdog(|| member.pulse()) => None,
    };
    manager::stopping();
    listening.shutdown().await;
    member.end(tenure).await;
    drop(shared);
    tracing::info!("ended");
    Ok(())
}

/// The first address that is listened at, as others may reach it.
fn advertised(urls: &str) -> String {
    let first = urls.lines().next().unwrap_or_default();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    first.replace("//0.0.0.0:", &format!("//{host}:")).replace("//[::]:", &format!("//{host}:"))
}

/// This daemon, as long as it runs.
pub(super) struct Member {
    config: Config,
    membership: Membership,
    desk: Arc<Desk>,
    lifecycle: Arc<Lifecycle>,
    meters: Option<Arc<Meters>>,
    spans: Option<Arc<Spans>>,
    tree: Tree,
    /// What works for the root, as long as this daemon owns it.
    engine: Mutex<Weak<Engine>>,
}

impl Member {
    /// For the service manager's watchdog.
    pub(super) fn owns(&self, engine: &Arc<Engine>) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(engine);
    }

    /// Whether it gets on. One that waits does.
    async fn pulse(&self) -> bool {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        match engine {
            Some(engine) if !engine.is_draining() => engine.pulse().await,
            _ => true,
        }
    }

    /// Owns the root again and again, until the daemon is to end; then what it owns at that moment.
    async fn serve(&self, host: &Host, shutdown: impl Future<Output = ()>) -> Option<Tenure> {
        let lock = self.tree.path().join(STATE_DIR).join(LOCK_FILE);
        let mut ending = std::pin::pin!(daemon::watch_for_the_end(
            &self.lifecycle,
            &self.config,
            lock,
            shutdown
        ));
        loop {
            let term = tokio::select! {
                term = self.membership.elected(|standing| self.stand_by(standing)) => term,
                () = &mut ending => return None,
            };
            let epoch = term.epoch;
            tracing::info!(epoch, "taking the build root over");
            let tenure = match Tenure::begin(self, term, host).await {
                Ok(tenure) => tenure,
                Err(error) => {
                    let cause = in_one_line(&*error);
                    tracing::error!(epoch, cause, "the build root cannot be taken over");
                    sleep(AGAIN).await;
                    continue;
                }
            };
            self.lifecycle.report(ServingStatus::Serving).await;
            tracing::info!(epoch, root = %self.tree.path().display(), "serving");
            tokio::select! {
                () = tenure.over() => {}
                () = &mut ending => return Some(tenure),
            }
            tracing::warn!(epoch, "the build root is lost: nothing is written any more");
            self.lifecycle.report(ServingStatus::NotServing).await;
            self.stand_by(Standing::Vacant);
            self.desk.hang_up();
            tenure.abandon(self.config.drain_timeout);
        }
    }

    fn stand_by(&self, standing: Standing) {
        let (owner, why) = match standing {
            Standing::Cut => (None, CUT),
            Standing::Following(owner) => {
                tracing::info!(owner, "another daemon owns the build root");
                (Some(owner), WAITS)
            }
            Standing::Vacant => (None, WAITS),
        };
        self.desk.send_away(services::health(&self.lifecycle), owner, why);
    }

    /// Lets what is under way end, and the root go.
    async fn end(self, tenure: Option<Tenure>) {
        let spans = self.spans.clone();
        match tenure {
            Some(tenure) => tenure.end(&self.lifecycle, self.config.drain_timeout).await,
            None => {
                let _ = timeout(GOODBYE, self.lifecycle.close()).await;
                self.lifecycle.end();
            }
        }
        if let Some(spans) = spans {
            spans.flush(GOODBYE).await;
        }
    }
}
