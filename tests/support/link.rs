//! A network that can be cut, between clients and the daemon of a root.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use super::Root;

/// A port of this machine behind which lies the socket of a root's daemon. Dropped, it is closed.
pub struct Link {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    behind: PathBuf,
    ends: AtomicBool,
    /// Whether nothing comes back, and nobody gets a new connection.
    is_silent: AtomicBool,
    /// How many more connections lose what the daemon answers, and then break.
    losses: AtomicUsize,
    /// Pieces of the daemon's answers that come through before the loss.
    spared: AtomicUsize,
    /// Bytes that clients have sent.
    sent: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// To the daemon of `root`, which must run.
    pub fn to(root: &Root) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            behind: root.at(".onewriter/daemon.sock"),
            ends: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            losses: AtomicUsize::new(0),
            spared: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for front in listener.incoming() {
                if shared.ends.load(SeqCst) {
                    break;
                }
                if shared.is_silent.load(SeqCst) {
                    continue;
                }
                // A daemon that is not there just now is one that closes at once.
                if let (Ok(front), Ok(back)) = (front, UnixStream::connect(&shared.behind)) {
                    shared.carry(front, back);
                }
            }
        });
        Self { address, state }
    }

    /// As `--server` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `connections` break when the daemon answers, after `spared` pieces of its answer:
    /// it has done what it was asked, and nobody hears of it.
    pub fn lose_answers(&self, connections: usize, spared: usize) {
        self.state.spared.store(spared, SeqCst);
        self.state.losses.store(connections, SeqCst);
    }

    /// From now on nothing that the daemon says comes through, and new connections break at once; or
    /// no more.
    pub fn silence(&self, silent: bool) {
        self.state.is_silent.store(silent, SeqCst);
    }

    /// How many bytes clients have sent in all.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(SeqCst)
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        for connection in self.state.open().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.ends.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        self.cut();
    }
}

impl State {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(self: &Arc<Self>, front: TcpStream, back: UnixStream) {
        let clones =
            || Some((front.try_clone().ok()?, front.try_clone().ok()?, back.try_clone().ok()?));
        let Some((to_cut, asking, asked)) = clones() else { return };
        let _ = front.set_nodelay(true);
        self.open().push(to_cut);
        let loses = self.losses.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let spared = if loses { self.spared.load(SeqCst) } else { usize::MAX };
        let state = Arc::clone(self);
        thread::spawn(move || {
            pass(Counted(asking, &state.sent), &asked, usize::MAX, || false);
            let _ = asked.shutdown(Shutdown::Write);
        });
        let state = Arc::clone(self);
        thread::spawn(move || {
            pass(back, &front, spared, || state.is_silent.load(SeqCst));
            let _ = front.shutdown(Shutdown::Both);
        });
    }
}

/// What comes from a client.
struct Counted<'a>(TcpStream, &'a AtomicU64);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.fetch_add(n as u64, SeqCst);
        Ok(n)
    }
}

/// Passes on so many pieces of what comes, until the end, but for those that are lost.
fn pass(mut from: impl Read, mut to: impl Write, pieces: usize, is_lost: impl Fn() -> bool) {
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..pieces {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(_) if is_lost() => {}
            Ok(n) if to.write_all(&buffer[..n]).is_err() => return,
            Ok(_) => {}
        }
    }
    let _ = from.read(&mut buffer);
}
