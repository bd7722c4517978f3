//! The daemon's whole life: own the root, serve, drain, end.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_core::{Engine, LOCK_FILE, Ownership, OwnershipError, StartError};
use onewriter_tree::{Tree, path::STATE_DIR};
use tokio::{sync::watch, time::timeout};
use tonic_health::ServingStatus;

use crate::{config::Config, listener, services};

/// How often the daemon looks whether its root is still where it was.
const ROOT_CHECK: Duration = Duration::from_secs(2);

/// How long open connections get to end after their requests have.
const GOODBYE: Duration = Duration::from_secs(1);

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
}

/// What the parts of a running daemon know of each other: who is connected, whether to stop.
pub(crate) struct Lifecycle {
    started: Instant,
    connections: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    health: tonic_health::server::HealthReporter,
}

/// An open connection; it counts until it is dropped.
pub(crate) struct Connected(Arc<Lifecycle>);

impl Lifecycle {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            connections: watch::Sender::default(),
            stop: watch::Sender::default(),
            health: tonic_health::server::HealthReporter::new(),
        })
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.send_modify(|n| *n += 1);
        Connected(Arc::clone(self))
    }

    pub(crate) fn health(&self) -> &tonic_health::server::HealthReporter {
        &self.health
    }

    /// Begins the end, for a `reason` that the log tells.
    pub(crate) fn stop(&self, reason: &str) {
        tracing::info!(reason, "stopping");
        self.stop.send_replace(true);
    }

    pub(crate) async fn stopped(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Returns when nobody has been connected for `limit`.
    async fn idle(&self, limit: Duration) {
        let mut connections = self.connections.subscribe();
        loop {
            let _ = connections.wait_for(|n| *n == 0).await;
            if timeout(limit, connections.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.send_modify(|n| *n -= 1);
    }
}

/// Serves the root until `shutdown` ends, a client asks for the end, nobody has come for the idle
/// time, or the root is gone. `ready` is called when clients can connect.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    let tree = Arc::new(Tree::open(&config.root)?);
    let root = tree.path().to_owned();
    let state = root.join(STATE_DIR);
    let owned = Ownership::take(&tree)
        .map_err(|source| DaemonError::Ownership { root: root.clone(), source })?;
    let journal = config.state.as_deref().unwrap_or(&state);
    let engine = Engine::start(Arc::clone(&tree), journal, config.durability())
        .map_err(|source| DaemonError::Start { root: root.clone(), source })?;
    let (engine, lifecycle) = (Arc::new(engine), Lifecycle::new());
    lifecycle.health.set_service_status("", ServingStatus::Serving).await;
    let listener = listener::bind(&tree)
        .map_err(|source| DaemonError::Listen { path: state.join(listener::SOCKET), source })?;
    tracing::info!(root = %root.display(), durability = ?engine.durability(), "serving");
    ready();

    let routes = services::routes(&engine, &lifecycle);
    let watchers = watch_for_the_end(&lifecycle, &config, state.join(LOCK_FILE), shutdown);
    let (connections, ()) = tokio::join!(listener::serve(listener, routes, &lifecycle), watchers);

    // A client that finds no socket starts a daemon, which waits for the root to be free.
    listener::unbind(&tree);
    lifecycle.health.set_service_status("", ServingStatus::NotServing).await;
    let limit = Duration::from_secs(config.drain_timeout);
    if timeout(limit, engine.drain()).await.is_err() {
        tracing::warn!(?limit, "requests under way did not end in time");
    }
    let _ = timeout(GOODBYE, connections.shutdown()).await;
    drop(owned);
    tracing::info!("ended");
    Ok(())
}

/// Returns when the daemon is to stop, whoever decided so.
async fn watch_for_the_end(
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
