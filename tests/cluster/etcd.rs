//! A real etcd, and the way from a daemon to it, which can be cut.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    thread,
};

use crate::support::until;

/// One member of etcd on the loopback interface. Dropped, it is killed.
pub(super) struct Etcd {
    child: Child,
    pub(super) address: SocketAddr,
    _dir: tempfile::TempDir,
}

/// What etcd says when it serves clients.
const SERVING: &str = "serving insecure client requests on ";

impl Etcd {
    /// `None`, and a word of it, where etcd is not installed.
    pub(super) fn start() -> Option<Self> {
        let dir =
            tempfile::Builder::new().prefix("onewriter-etcd-").tempdir().expect("a directory");
        let log = dir.path().join("log");
        // Ports are the kernel's to choose. Its elections are short, as leases are in these tests.
        let peer = "unix://peer:1";
        let child = Command::new("etcd")
            .current_dir(dir.path())
            .args(["--data-dir", "data", "--unsafe-no-fsync"])
            .args(["--listen-client-urls", "http://127.0.0.1:0"])
            .args(["--advertise-client-urls", "http://127.0.0.1:0"])
            .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            .args(["--initial-cluster", "default=unix://peer:1"])
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!(
                    "nothing is tested: etcd cannot be started (Debian: etcd-server): {error}"
                );
                return None;
            }
        };
        let address = || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let (_, rest) = text.split_once(SERVING)?;
            rest.split(',').next()?.parse().ok()
        };
        until("etcd serves", || address().is_some());
        let address = address().expect("an address");
        Some(Self { child, address, _dir: dir })
    }

    /// What it holds under `key`.
    pub(super) fn get(&self, key: &str) -> String {
        let got = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", self.address))
            .args(["get", "--print-value-only", key])
            .output()
            .expect("etcdctl (Debian: etcd-client)");
        String::from_utf8_lossy(&got.stdout).into_owned()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The way from one daemon to etcd.
pub(super) struct Way {
    pub(super) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: SocketAddr,
    how: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
}

const CLEAR: u8 = 0;
const CUT: u8 = 1;
const STALLED: u8 = 2;
const OVER: u8 = 3;

impl Way {
    pub(super) fn to(etcd: &Etcd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(State { to: etcd.address, how: AtomicU8::new(CLEAR), open: Mutex::default() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for front in listener.incoming() {
                match (shared.how.load(SeqCst), front) {
                    (OVER, _) => break,
                    // Who connects waits, and never hears anything.
                    (STALLED, Ok(front)) => shared.open().push(front),
                    (CLEAR, Ok(front)) => shared.carry(front),
                    _ => {}
                }
            }
        });
        Self { address, state }
    }

    /// Nothing goes through any more.
    pub(super) fn cut(&self) {
        self.set(CUT);
    }

    /// Connections come about, and nothing ever comes back.
    pub(super) fn stall(&self) {
        self.set(STALLED);
    }

    pub(super) fn heal(&self) {
        self.set(CLEAR);
    }

    fn set(&self, how: u8) {
        self.state.how.store(how, SeqCst);
        for connection in self.state.open().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.set(OVER);
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, front: TcpStream) {
        let Ok(back) = TcpStream::connect(self.to) else { return };
        let clone = |socket: &TcpStream| socket.try_clone().expect("a descriptor");
        self.open().extend([clone(&front), clone(&back)]);
        for (from, to) in [(clone(&front), clone(&back)), (back, front)] {
            thread::spawn(move || pass(from, to));
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The log of a daemon.
pub(super) fn read(log: &PathBuf) -> String {
    fs::read_to_string(log).unwrap_or_default()
}
