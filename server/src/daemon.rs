//! The daemon's whole life: own the root, serve, drain, end.

use std::{
    io,
    os::unix::{fs::MetadataExt as _, net::UnixListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_core::{Engine, LOCK_FILE, Ownership, OwnershipError, StartError};
use onewriter_tree::{Tree, path::STATE_DIR};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tonic_health::ServingStatus;

use crate::{
    cluster::{self, MembershipError},
    config::{Config, ConfigError},
    content::{Backing, Content, OwnStore},
    desk::Desk,
    external::External,
    gate::Gate,
    handover::{self, HandoverError, Offer},
    lifecycle::Lifecycle,
    listener::{
        Host, SOCKET,
        tcp::{self, ListenError},
        unix,
    },
    manager, memory, metrics, reload, services,
    spans::Spans,
    tls::TlsError,
    tokens::TokensError,
};

/// How often the daemon looks whether its root is still where it was.
const ROOT_CHECK: Duration = Duration::from_secs(2);

/// How long open connections get to end after their requests have.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a daemon that has handed over may hold the root after it said that it has ended.
const AFTERLIFE: Duration = Duration::from_secs(5);

/// What a service manager is told that listens for a daemon of a cluster.
const SOCKET_GIVEN: &str = "with `cluster` the owner makes the socket itself, since it belongs to whichever machine that is: \
     start the service without a socket unit";

/// Why the daemon cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The root cannot be opened.
    #[error("cannot open the build root")]
    Root(#[from] onewriter_tree::Error),
    /// Another daemon has it.
    #[error("cannot own {}", root.display())]
    Ownership {
        /// The root.
        root: PathBuf,
        /// Who has it, or why it cannot be locked.
        source: OwnershipError,
    },
    /// It belongs to a cluster, and this daemon to none.
    #[error(
        "{} is the build root '{name}' of a cluster: start with --cluster and --name {name} (clients: --server etcd://HOST:PORT/{name}); or, if that cluster is no more, remove .onewriter/epoch",
        root.display()
    )]
    Clustered {
        /// The root.
        root: PathBuf,
        /// What it is called there.
        name: String,
    },
    /// The root cannot be owned by this member.
    #[error("cannot be one of the daemons of {}", root.display())]
    Membership {
        /// The root.
        root: PathBuf,
        /// Why.
        source: MembershipError,
    },
    /// The core cannot start.
    #[error("cannot serve {}", root.display())]
    Start {
        /// The root.
        root: PathBuf,
        /// Why.
        source: StartError,
    },
    /// The socket cannot be made.
    #[error("cannot listen at {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon that serves the root goes on to do so.
    #[error("cannot take the place of the running daemon")]
    Handover(#[from] HandoverError),
    /// Nobody could fetch the figures.
    #[error("cannot serve figures at {address}")]
    Metrics {
        /// As it was configured.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The settings contradict each other.
    #[error("the configuration has no meaning")]
    Config(#[from] ConfigError),
    /// Other machines cannot be served.
    #[error("cannot serve other machines")]
    Network(#[from] ListenError),
    /// There are no tokens to know clients by.
    #[error("cannot tell clients by tokens")]
    Tokens(#[from] TokensError),
    /// It cannot be known who the external store is, or the store cannot know the daemon.
    #[error("cannot use the external content store")]
    Store(#[from] TlsError),
    /// It cannot be known who the collector is.
    #[error("cannot use the collector of spans")]
    Collector(#[source] TlsError),
}

/// Serves the root until `shutdown` ends, a client asks for the end, nobody has come for the idle
/// time, the root is gone, or another daemon takes its place. `ready` is called when clients can
/// connect; `socket` is where they do, if somebody else has bound it and will go on to keep it.
///
/// # Errors
/// [`DaemonError`], when it cannot begin to serve.
pub async fn run(
    config: Config,
    socket: Option<UnixListener>,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    if let Some(cluster) = config.cluster.clone() {
        return match socket {
            None => cluster::run(config, cluster, shutdown, ready).await,
            Some(_) => Err(ConfigError::Cluster(SOCKET_GIVEN.into()).into()),
        };
    }
    run_with(config, socket, shutdown, |_| ready()).await
}

/// [`run`], which shows the core to whoever waits for it.
pub(crate) async fn run_with(
    config: Config,
    socket: Option<UnixListener>,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Arc<Engine>),
) -> Result<(), DaemonError> {
    let tree = Arc::new(Tree::open(&config.root)?);
    let root = tree.path().to_owned();
    let state = root.join(STATE_DIR);
    let taken = if config.replace { handover::take(&tree).await? } else { None };
    let owned = own(&tree, taken.is_some())
        .await
        .map_err(|source| DaemonError::Ownership { root: root.clone(), source })?;
    check_alone(&tree).map_err(|error| *error)?;
    let journal = config.state.as_deref().unwrap_or(&state);
    let engine = Engine::start(Arc::clone(&tree), journal, config.durability)
        .map_err(|source| DaemonError::Start { root: root.clone(), source })?;
    let (engine, lifecycle) = (Arc::new(engine), Lifecycle::new());
    lifecycle.report(ServingStatus::Serving).await;
    let figures = metrics::Endpoint::bind(config.metrics.as_deref()).await.map_err(|source| {
        DaemonError::Metrics { address: config.metrics.clone().unwrap_or_default(), source }
    })?;
    let meters = figures.as_ref().map(metrics::Endpoint::meters);
    let gate = Gate::new(config.policy()?, reload::tokens(&config)?);
    let backing = backing(&config, &tree)?;
    let spans = spans(&config).map_err(DaemonError::Collector)?;
    let others = metrics::Others { spans: spans.clone(), store: backing.external() };
    let network = tcp::listen(config.network.as_ref(), &tree).await?;
    let reloads = reload::at_each_hangup(&config, &gate);
    let listening = |source| DaemonError::Listen { path: state.join(SOCKET), source };
    let is_kept = socket.is_some();
    let listener = match socket.or(taken) {
        Some(socket) => unix::adopt(socket).map_err(listening)?,
        None => unix::bind(&tree, SOCKET).map_err(listening)?,
    };
    let offer = Offer::bind(&tree, config.drain_timeout, is_kept || manager::is_there())
        .map_err(listening)?;
    tracing::info!(root = %root.display(), durability = ?engine.durability(), "serving");
    ready(&engine);
    manager::ready(&root);
    watch_over(&engine, &lifecycle);
    let quiet = Arc::clone(&lifecycle);
    tokio::spawn(async move { memory::give_back(&quiet).await });

    if let Some(figures) = figures {
        drop(figures.serve(&engine, &lifecycle, others));
    }
    let content = Content::new(Arc::clone(engine.tree()), backing);
    let routes = services::routes(&engine, &lifecycle, &content);
    let host = Host::new(&Desk::open(routes), &lifecycle, &gate, meters, spans.clone());
    let host = host.forwarding(config.store.is_some());
    let mut others = JoinSet::new();
    for socket in network {
        let host = host.clone();
        others.spawn(async move { host.listen(&socket).await });
    }
    let ending = watch_for_the_end(&lifecycle, &config, state.join(LOCK_FILE), shutdown);
    let watchers = async {
        tokio::select! {
            () = ending => None,
            handed = offer.taken(&listener) => {
                lifecycle.stop("another daemon takes over");
                Some(handed)
            }
        }
    };
    let serving = async { tokio::join!(host.listen(&listener), watchers, others.join_all()) };
    let ((), handed, _) = tokio::select! {
        done = serving => done,
        never = reloads => match never {},
    };
    manager::stopping();
    // Whoever still waits to be accepted is told that nobody listens, unless somebody else does.
    drop(listener);
    Offer::unbind(&tree);
    tcp::unlisten(&tree);
    if is_kept || handed.is_some() {
        // Clients go to another daemon's queue when they are told to leave, before any is refused.
        let _ = timeout(GOODBYE, lifecycle.close()).await;
    } else {
        // A client that finds no socket starts a daemon, which waits for the root to be free.
        unix::unbind(&tree, SOCKET);
    }
    let drained = wind_up(engine, &lifecycle, config.drain_timeout).await;
    if let Some(spans) = &spans {
        spans.flush(GOODBYE).await;
    }
    if drained {
        drop(owned);
    } else {
        // What still acts may act until the process ends; so long the root is not free.
        std::mem::forget((owned, handed));
    }
    tracing::info!("ended");
    Ok(())
}

/// Who is told of requests, if anybody is.
pub(crate) fn spans(config: &Config) -> Result<Option<Arc<Spans>>, TlsError> {
    config.collector.as_ref().map(Spans::to).transpose()
}

/// Who keeps content. An external store is asked who it is, and not waited for.
pub(crate) fn backing(config: &Config, tree: &Arc<Tree>) -> Result<Backing, TlsError> {
    Ok(match &config.store {
        None => Backing::Own(OwnStore::new(Arc::clone(tree), config.cas_size)),
        Some(settings) => {
            let store = External::new(settings)?;
            store.greet();
            Backing::External(store)
        }
    })
}

/// Refuses a root that a cluster decides about.
fn check_alone(tree: &Tree) -> Result<(), Box<DaemonError>> {
    let root = tree.path().to_owned();
    Err(Box::new(match cluster::name_of(tree).map_err(OwnershipError::Io) {
        Ok(None) => return Ok(()),
        Ok(Some(name)) => DaemonError::Clustered { root, name },
        Err(source) => DaemonError::Ownership { root, source },
    }))
}

/// Takes the root. After a hand-over its last owner may be a moment away from its end.
async fn own(tree: &Tree, handed_over: bool) -> Result<Ownership, OwnershipError> {
    let deadline = Instant::now() + if handed_over { AFTERLIFE } else { Duration::ZERO };
    loop {
        match Ownership::take(tree) {
            // Daemons of a cluster share it, as commands in a copy do.
            Err(OwnershipError::Copy) if matches!(cluster::name_of(tree), Ok(Some(_))) => {
                return Err(OwnershipError::Taken { owner: None });
            }
            Err(OwnershipError::Taken { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            taken => return taken,
        }
    }
}

/// Has the service manager's watchdog know how the engine is, until the daemon is over.
fn watch_over(engine: &Arc<Engine>, lifecycle: &Arc<Lifecycle>) {
    let (engine, lifecycle) = (Arc::clone(engine), Arc::clone(lifecycle));
    tokio::spawn(async move {
        tokio::select! {
            () = manager::watchdog(|| engine.pulse()) => {}
            () = lifecycle.ended() => {}
        }
    });
}

/// Finishes what is under way, for so many seconds; then connections end, whatever they wait for.
/// Whether all was finished.
pub(crate) async fn wind_up(engine: Arc<Engine>, lifecycle: &Lifecycle, limit: u64) -> bool {
    lifecycle.report(ServingStatus::NotServing).await;
    let drained = timeout(Duration::from_secs(limit), engine.drain()).await.is_ok();
    if !drained {
        tracing::warn!(seconds = limit, "requests under way did not end in time");
    }
    let _ = timeout(GOODBYE, lifecycle.close()).await;
    lifecycle.end();
    // It limits itself, but may wait for the disk.
    let _ = spawn_blocking(move || engine.journal().close()).await;
    drained
}

/// Returns when the daemon is to stop, whoever decided so.
pub(crate) async fn watch_for_the_end(
    lifecycle: &Lifecycle,
    config: &Config,
    lock: PathBuf,
    shutdown: impl Future<Output = ()>,
) {
    let idle = async {
        match config.idle_timeout() {
            Some(limit) => lifecycle.idle(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = lifecycle.stopped() => {}
        () = shutdown => lifecycle.stop("a signal"),
        () = idle => lifecycle.stop("idle"),
        () = root_lost(&lock) => lifecycle.stop("the build root was removed, moved or replaced"),
    }
}

/// Returns when the lock file that this daemon holds is not at its path any more: then clients do
/// not find this daemon, and may start another.
async fn root_lost(lock: &Path) {
    let identity = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let ours = identity(lock);
    loop {
        tokio::time::sleep(ROOT_CHECK).await;
        if identity(lock) != ours {
            return;
        }
    }
}
