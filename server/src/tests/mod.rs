//! The daemon, run in this process on roots of its own and asked over its socket.

#![expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]

mod awaiting;
mod builds;
mod content;
mod following;
mod hostile;
mod leases;
mod lifecycle;
mod mutations;
mod publishing;
mod reading;
mod remote;
mod remote_transactions;
mod serving;
mod spans;
mod transactions;
mod waiting;
mod workers;

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use onewriter_core::{Caller, Engine, locks::Owner};
use onewriter_proto::v1::{
    self, administration_client::AdministrationClient, mutations_client::MutationsClient,
    reading_client::ReadingClient,
};
use onewriter_tree::{
    Fault, Last, RelPath, Tree,
    mutation::{Access, Claim, Deed, Effects, Mutation},
};
use tokio::{
    net::UnixStream,
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};
use tonic::{Code, Status, body::Body, codegen::Service};
use tonic_types::StatusExt as _;

use crate::{
    config::{Config, Settings},
    daemon::{DaemonError, run_with},
    listener::SOCKET,
};

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(60);

/// A daemon on a root that goes away with it.
struct Daemon {
    root: tempfile::TempDir,
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), DaemonError>>,
}

fn new_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    Tree::init(root.path()).unwrap();
    root
}

fn config(root: &Path) -> Config {
    Config::of(Settings {
        root: Some(root.to_owned()),
        idle_timeout: Some(0),
        drain_timeout: Some(30),
        ..Settings::default()
    })
    .unwrap()
}

impl Daemon {
    async fn start() -> Self {
        Self::with(new_root(), |_| {}).await
    }

    async fn with(root: tempfile::TempDir, adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(root.path());
        adjust(&mut config);
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // A dropped sender is no wish to stop.
            if stopped.await.is_err() {
                std::future::pending().await
            }
        };
        let task = tokio::spawn(run_with(config, None, shutdown, |engine| {
            let _ = ready.send(Arc::clone(engine));
        }));
        Self { root, engine: started.await.expect("the daemon starts"), stop, task }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn socket(&self) -> PathBuf {
        self.path(".onewriter").join(SOCKET)
    }

    fn staging(&self) -> usize {
        self.engine.tree().staging().waiting().unwrap().len()
    }

    /// A connection, and what cuts it without a word.
    async fn connect(&self) -> (Wire, Cord) {
        let socket = UnixStream::connect(self.socket()).await.unwrap().into_std().unwrap();
        let cord = Cord(socket.try_clone().unwrap());
        let socket = TokioIo::new(UnixStream::from_std(socket).unwrap());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        (Wire(sender), cord)
    }

    async fn wire(&self) -> Wire {
        self.connect().await.0
    }

    async fn mutations(&self) -> MutationsClient<Wire> {
        client(self.wire().await)
    }

    async fn reading(&self) -> ReadingClient<Wire> {
        ReadingClient::with_origin(self.wire().await, ORIGIN.parse().unwrap())
    }

    async fn administration(&self) -> AdministrationClient<Wire> {
        AdministrationClient::with_origin(self.wire().await, ORIGIN.parse().unwrap())
    }

    /// Holds `path` until told to let go; the core is asked directly.
    async fn hold(&self, path: &str) -> Held {
        self.hold_as(path, false).await
    }

    /// The same, as a commit does in the middle of its steps.
    async fn hold_half_done(&self, path: &str) -> Held {
        self.hold_as(path, true).await
    }

    async fn hold_as(&self, path: &str, is_half_done: bool) -> Held {
        let (enter, entered) = channel();
        let (go_on, wait) = channel();
        let owner = Owner { target: "holder".into(), pid: 7, ..Owner::default() };
        let caller = Caller { owner, ..Caller::default() };
        let path = RelPath::parse(path.as_bytes()).unwrap();
        let hold = Hold { path, is_half_done, enter, wait };
        let engine = Arc::clone(&self.engine);
        let task = tokio::spawn(async move { engine.run(caller, Box::new(hold)).await });
        spawn_blocking(move || entered.recv_timeout(LIMIT)).await.unwrap().unwrap();
        Held { go_on, task }
    }

    /// The key that somebody waits for.
    fn waiting(&self) -> Vec<String> {
        let keys = self.engine.locks().snapshot().into_iter();
        keys.filter(|key| !key.waiters.is_empty()).map(|key| key.key.to_string()).collect()
    }

    /// Stops it; it must end by itself.
    async fn end(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        ended(self.task).await.unwrap();
        self.root
    }
}

const ORIGIN: &str = "http://onewriter";

fn client(wire: Wire) -> MutationsClient<Wire> {
    MutationsClient::with_origin(wire, ORIGIN.parse().unwrap())
}

/// One HTTP/2 connection. Unlike tonic's own channel it leaves deadlines to the daemon.
#[derive(Clone)]
struct Wire(SendRequest<Body>);

impl Service<http::Request<Body>> for Wire {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// The other end of a connection's life.
struct Cord(std::os::unix::net::UnixStream);

impl Cord {
    fn cut(self) {
        self.0.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

struct Held {
    go_on: Sender<()>,
    task: JoinHandle<Result<Vec<onewriter_tree::mutation::Change>, onewriter_core::Refusal>>,
}

impl Held {
    async fn let_go(self) {
        self.go_on.send(()).unwrap();
        ended(self.task).await.unwrap();
    }
}

/// A mutation that changes nothing, as long as a test wants.
struct Hold {
    path: RelPath,
    is_half_done: bool,
    enter: Sender<()>,
    wait: std::sync::mpsc::Receiver<()>,
}

impl Mutation for Hold {
    fn method(&self) -> &'static str {
        "hold"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim {
            path: &mut self.path,
            access: Access::Exclusive,
            last: Last::Keep,
            deed: Deed::Touch,
        }]
    }

    fn is_stepwise(&self) -> bool {
        self.is_half_done
    }

    fn apply(&mut self, _: &Tree, _: &mut Effects) -> Result<(), Fault> {
        let _ = self.enter.send(());
        let _ = self.wait.recv_timeout(LIMIT);
        Ok(())
    }
}

async fn ended<T>(task: JoinHandle<T>) -> T {
    tokio::time::timeout(LIMIT, task).await.expect("it ends in time").unwrap()
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("it ends in time")
}

/// Runs a test in a runtime that has no more than eight threads for blocking work, where another
/// has 512 to lose.
fn with_few_threads(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.max_blocking_threads(8).enable_all().build().unwrap().block_on(test);
}

/// Waits for what must come true.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(LIMIT, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Code, reason and the metadata's `key` of a status.
fn told(status: &Status, key: &str) -> (Code, String, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no info: {status:?}"));
    assert_eq!(info.domain, "onewriter");
    let value = info.metadata.get(key).cloned().unwrap_or_default();
    (status.code(), info.reason, value)
}

fn mkdir(paths: &[&str]) -> v1::MakeDirectoriesRequest {
    let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let make = v1::MakeDirectories { paths, ..Default::default() };
    v1::MakeDirectoriesRequest { context: context("test"), make: Some(make) }
}

fn context(target: &str) -> Option<v1::Context> {
    Some(v1::Context { build: "b1".into(), target: target.into(), ..Default::default() })
}

fn to(path: &str) -> Option<v1::Publication> {
    Some(v1::Publication { path: path.into(), ..Default::default() })
}

/// The outcomes of an answer, by path.
fn outcomes(answer: v1::MutationResponse) -> Vec<(String, v1::Outcome)> {
    let change = |c: v1::Change| (String::from_utf8(c.path.clone()).unwrap(), c.outcome());
    answer.changes.into_iter().map(change).collect()
}
