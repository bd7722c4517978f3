//! A large file over TLS: one that the daemon has already against hashing it, a new one against a
//! TLS connection with nothing else to do.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use rustls::{ClientConnection, ServerConnection, Stream, pki_types::ServerName};

use super::team::{HOST, Team};
use crate::support::{Setup, each, median, rate, row, time, verdict};

/// In bytes.
const SIZE: usize = 1 << 30;

/// What an unchanged file may move in both directions, handshake included, in bytes.
const MOVED: u64 = 10 << 10;

pub(super) fn figures(setup: &Setup) {
    let team = Team::new(setup, 0, "");
    let (size, source) = (setup.rounds(SIZE), team.file("source"));
    fill(&source, size);
    unchanged(setup, &team, size);
    new(setup, &team, size);
}

fn fill(path: &Path, size: usize) {
    let mut file = File::create(path).expect("a source");
    let block: Vec<u8> =
        (0..1u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut left = size;
    while left > 0 {
        let piece = &block[..left.min(block.len())];
        file.write_all(piece).expect("a source");
        left -= piece.len();
    }
}

fn unchanged(setup: &Setup, team: &Team, size: usize) {
    let publish = |port| team.command(port, &["publish", "source", "target"]);
    time(&mut publish(team.address.port()));
    let counted = Counted::new(team.address);
    time(&mut publish(counted.port));
    let moved = counted.moved();
    let verdict = verdict(moved < MOVED);
    println!("  {:<44} {moved:>10} B   (under {MOVED}: {verdict})", "moved for an unchanged file");
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..setup.rounds(9).max(3) {
        times[0].push(time(&mut publish(team.address.port())));
        times[1].push(hash(&team.file("source")));
    }
    let [publish, hash] = times.map(|times| each(median(times), 1000));
    let what = format!("publish over TLS of {} MiB, unchanged", size >> 20);
    row(&what, publish, hash, "ms", "ms hashing it", Some(1.2));
}

/// As the client does it.
fn hash(path: &Path) -> Duration {
    let begun = Instant::now();
    let file = File::open(path).expect("a source");
    blake3::Hasher::new().update_reader(file).expect("it can be read").finalize();
    begun.elapsed()
}

fn new(setup: &Setup, team: &Team, size: usize) {
    let source = team.file("source");
    let target = team.root().join("target");
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..setup.rounds(9).max(2) {
        // Content that has never been there before.
        let mut file = File::options().write(true).open(&source).expect("a source");
        file.write_all(&(round as u64).to_le_bytes()).expect("a source");
        drop(file);
        for (kind, times) in times.iter_mut().enumerate() {
            let _ = fs::remove_file(&target);
            // What was written before must not be written back while this is measured.
            rustix::fs::sync();
            times.push(match kind {
                0 => time(&mut team.command(team.address.port(), &["publish", "source", "target"])),
                1 => bare(team, &source, Some(&target)),
                _ => bare(team, &source, None),
            });
        }
    }
    let [publish, kept, dropped] =
        times.map(|times| (size >> 20) as f64 / median(times).as_secs_f64());
    let what = format!("MiB of a new file of {} MiB over TLS", size >> 20);
    rate(&what, publish, kept, "bare TLS, file to file", Some(0.7));
    rate(&what, publish, dropped, "bare TLS, dropped at its end", None);
}

/// A file through one TLS connection, by threads that do nothing else: read, encrypted, and at the
/// other end decrypted and written to `target`. Chunks are as large as the client's.
fn bare(team: &Team, source: &Path, target: Option<&Path>) -> Duration {
    const CHUNK: usize = 128 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = team.server();
    let mut into: Box<dyn io::Write + Send> = match target {
        Some(target) => Box::new(File::create(target).expect("a target")),
        None => Box::new(io::sink()),
    };
    let begun = Instant::now();
    let receiver = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let mut session = ServerConnection::new(server).expect("TLS");
        let mut stream = Stream::new(&mut session, &mut socket);
        let mut buffer = vec![0; CHUNK];
        loop {
            match stream.read(&mut buffer).expect("content") {
                0 => break,
                n => into.write_all(&buffer[..n]).expect("room for it"),
            }
        }
        stream.write_all(b"done").expect("somebody waits");
    });
    let mut socket = TcpStream::connect(address).expect("a connection");
    let name = ServerName::try_from(HOST).expect("a name");
    let mut session = ClientConnection::new(team.tls(false), name).expect("TLS");
    session.set_buffer_limit(Some(2 * CHUNK));
    let mut stream = Stream::new(&mut session, &mut socket);
    let mut file = File::open(source).expect("a source");
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer).expect("a source") {
            0 => break,
            n => stream.write_all(&buffer[..n]).expect("it is taken"),
        }
    }
    stream.conn.send_close_notify();
    stream.flush().expect("it is taken");
    stream.read_exact(&mut [0; 4]).expect("it is done");
    receiver.join().expect("it is done");
    begun.elapsed()
}

/// A way to the daemon on which bytes are counted.
struct Counted {
    port: u16,
    bytes: Arc<AtomicU64>,
    over: std::sync::mpsc::Receiver<()>,
}

impl Counted {
    /// Of the next connection.
    fn new(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let bytes = Arc::new(AtomicU64::new(0));
        let (done, over) = std::sync::mpsc::channel();
        let counter = Arc::clone(&bytes);
        thread::spawn(move || {
            let (front, _) = listener.accept().expect("a connection");
            let back = TcpStream::connect(daemon).expect("the daemon listens");
            let (to, from) = (front.try_clone(), back.try_clone());
            let (counts, from) = (Arc::clone(&counter), from.expect("a socket"));
            let answers = thread::spawn(move || carry(from, to.expect("a socket"), &counts));
            carry(front, back, &counter);
            answers.join().expect("it ends");
            let _ = done.send(());
        });
        Self { port, bytes, over }
    }

    /// How many went both ways, when the connection has ended.
    fn moved(self) -> u64 {
        self.over.recv().expect("it ends");
        self.bytes.load(Relaxed)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, bytes: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        bytes.fetch_add(n as u64, Relaxed);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
