//! Several daemons for one root, and etcd with a thousand roots.
//!
//! The first row is of real daemons. The others simulate what 1,000 roots with two daemons each ask of
//! one etcd, by the messages that daemons send: a lease for each daemon, renewed three times in its
//! life; the owner's key, taken in a transaction; a watch of each standby.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use onewriter_proto::etcd::etcdserverpb::{
    Compare, LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RequestOp, TxnRequest,
    WatchCreateRequest, WatchRequest,
    compare::{CompareResult, CompareTarget, TargetUnion},
    kv_client::KvClient,
    lease_client::LeaseClient,
    request_op::Request,
    watch_client::WatchClient,
    watch_request::RequestUnion,
};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Setup, median, verdict};

/// Of the root that real daemons serve, in seconds.
const TTL: u64 = 3;

const ROOTS: usize = 1000;

/// Machines on which those lie, each with as many owners as standbys.
const MACHINES: usize = 10;

/// Of their leases, in seconds, as daemons have it if nobody says.
const SIMULATED_TTL: u64 = 10;

pub(crate) fn figures(setup: &Setup) {
    let Some(etcd) = Etcd::start() else { return };
    failover(setup, &etcd);
    drop(etcd);
    let Some(etcd) = Etcd::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let roots = if setup.quick { ROOTS / 10 } else { ROOTS };
    runtime.expect("a runtime").block_on(simulate(&etcd, roots));
}

struct Etcd {
    child: Child,
    address: String,
    _dir: TempDir,
}

impl Etcd {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temp directory");
        let (log, peer) = (dir.path().join("log"), "unix://peer:1");
        let child = Command::new("etcd")
            .current_dir(dir.path())
            .args(["--data-dir", "data", "--listen-client-urls", "http://127.0.0.1:0"])
            .args(["--advertise-client-urls", "http://127.0.0.1:0", "--listen-peer-urls", peer])
            .args(["--initial-advertise-peer-urls", peer])
            .args(["--initial-cluster", "default=unix://peer:1"])
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn();
        let Ok(child) = child else {
            println!("  not measured: there is no etcd (Debian: etcd-server)");
            return None;
        };
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let said = text.split_once("serving insecure client requests on ");
            if let Some(address) = said.and_then(|(_, rest)| rest.split(',').next()) {
                return Some(Self { child, address: address.to_owned(), _dir: dir });
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "etcd starts: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn owner(&self, name: &str) -> String {
        let got = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", self.address))
            .args(["get", "--print-value-only", &format!("/onewriter/roots/{name}/owner")])
            .output();
        String::from_utf8_lossy(&got.expect("etcdctl can be run").stdout).into_owned()
    }

    /// Seconds of processor time that it has used, and its memory in MiB.
    fn usage(&self) -> (f64, u64) {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        let pages = fields.get(21).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        ((ticks(11) + ticks(12)) / 100.0, (pages * 4096) >> 20)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon that is killed when this is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long nobody serves a root whose owner was killed.
fn failover(setup: &Setup, etcd: &Etcd) {
    let dir = tempfile::tempdir().expect("a temp directory");
    let client = |args: &[&str]| {
        let mut command = Command::new(setup.bin.join("onewriter"));
        command.args(args).current_dir(dir.path()).stdout(Stdio::null());
        command
    };
    assert!(client(&["init"]).status().expect("onewriter can be run").success());
    let start = |number: usize| {
        let log = File::create(dir.path().join(format!("log-{number}"))).expect("a log");
        let daemon = Command::new(setup.bin.join("onewriterd"))
            .args(["--cluster", &format!("etcd://{}", etcd.address), "--name", "bench"])
            .args(["--cluster-ttl", &TTL.to_string(), "--listen", "127.0.0.1:0", "--root"])
            .arg(dir.path())
            .args(["--insecure-loopback", "--allow", "*"])
            .stderr(log)
            .spawn();
        Daemon(daemon.expect("onewriterd can be run"))
    };
    let server = format!("etcd://{}/bench", etcd.address);
    let touch = |name: &str| client(&["--server", &server, "touch", name]);
    let (mut owner, mut moved, mut resumed) = (start(0), Vec::new(), Vec::new());
    assert!(touch("f").status().expect("onewriter can be run").success());
    for round in 1..=setup.rounds(10).max(2) {
        let standby = start(round);
        // It is registered and waits.
        let log = dir.path().join(format!("log-{round}"));
        while !fs::read_to_string(&log).unwrap_or_default().contains("another daemon owns") {
            std::thread::sleep(Duration::from_millis(5));
        }
        let before = etcd.owner("bench");
        drop(owner);
        let killed = Instant::now();
        let mut waiting = touch("f").spawn().expect("onewriter can be run");
        while [String::new(), before.clone()].contains(&etcd.owner("bench")) {
            std::thread::sleep(Duration::from_millis(5));
        }
        moved.push(killed.elapsed());
        assert!(waiting.wait().expect("it ends").success(), "the client resumes by itself");
        resumed.push(killed.elapsed());
        owner = standby;
    }
    let limit = TTL as f64 + 1.0;
    for (what, mut times) in
        [("owned by another daemon", moved), ("a waiting client served", resumed)]
    {
        times.sort_unstable();
        let worst = times.last().expect("rounds").as_secs_f64();
        let verdict = verdict(worst <= limit);
        let median = median(times).as_secs_f64();
        println!(
            "  owner killed (lease of {TTL} s): {what:<24} {median:>5.2} s, {worst:.2} s at most  (at most {limit}: {verdict})"
        );
    }
}

/// A simulated daemon.
#[derive(Clone)]
struct Member {
    channel: Channel,
    root: String,
    alive: Arc<AtomicBool>,
}

impl Member {
    async fn lease(&self) -> i64 {
        let grant = LeaseGrantRequest { ttl: SIMULATED_TTL as i64, id: 0 };
        let lease = LeaseClient::new(self.channel.clone()).lease_grant(grant).await;
        lease.expect("a lease").into_inner().id
    }

    /// Renews the lease for as long as it lives; how long that took each time.
    async fn renew(self, lease: i64, offset: Duration) -> Vec<Duration> {
        let mut took = Vec::new();
        sleep(offset).await;
        while self.alive.load(Relaxed) {
            let begun = Instant::now();
            let once = tokio_stream::once(LeaseKeepAliveRequest { id: lease });
            let kept = LeaseClient::new(self.channel.clone()).lease_keep_alive(once).await;
            kept.expect("etcd answers").into_inner().message().await.expect("it is renewed");
            took.push(begun.elapsed());
            sleep(Duration::from_secs(SIMULATED_TTL) / 3).await;
        }
        took
    }

    /// Owns the root, if nobody does.
    async fn claim(&self, lease: i64) -> bool {
        let (owner, epoch) = (format!("{}/owner", self.root), format!("{}/epoch", self.root));
        let vacant = Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: owner.clone().into(),
            target_union: Some(TargetUnion::ModRevision(0)),
        };
        let put = |key: String, lease| {
            let value = b"https://host.example:7443\nhost pid 12345\n".to_vec();
            let put = PutRequest { key: key.into(), value, lease };
            RequestOp { request: Some(Request::RequestPut(put)) }
        };
        let success = vec![put(owner, lease), put(epoch, 0)];
        let request = TxnRequest { compare: vec![vacant], success, failure: Vec::new() };
        let done = KvClient::new(self.channel.clone()).txn(request).await;
        done.expect("etcd answers").into_inner().succeeded
    }

    /// Waits until nobody owns the root any more, and owns it then.
    async fn follow(self, lease: i64) -> Instant {
        let key = format!("{}/owner", self.root).into_bytes();
        let create = WatchCreateRequest { key, ..WatchCreateRequest::default() };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        let watch = WatchClient::new(self.channel.clone()).watch(requests).await;
        let mut watch = watch.expect("etcd answers").into_inner();
        while watch.message().await.expect("a watch").expect("a word").events.is_empty() {}
        assert!(self.claim(lease).await, "there is one standby");
        Instant::now()
    }
}

async fn simulate(etcd: &Etcd, roots: usize) {
    let mut channels = Vec::new();
    for _ in 0..MACHINES {
        let endpoint = Endpoint::from_shared(format!("http://{}", etcd.address));
        channels.push(endpoint.expect("an address").connect().await.expect("etcd is there"));
    }
    let alive: Vec<_> = (0..MACHINES).map(|_| Arc::new(AtomicBool::new(true))).collect();
    let member = |root: usize, machine: usize| Member {
        channel: channels[machine % MACHINES].clone(),
        root: format!("/onewriter/roots/tree-{root:04}"),
        alive: Arc::clone(&alive[machine % MACHINES]),
    };
    // Each machine owns a part of the roots, and stands by for the next machine's.
    let begun = Instant::now();
    let mut owners = JoinSet::new();
    for root in 0..roots {
        let owner = member(root, root % MACHINES);
        owners.spawn(async move {
            let lease = owner.lease().await;
            assert!(owner.claim(lease).await, "nobody else wants it");
            (owner, lease)
        });
    }
    let owners = owners.join_all().await;
    let acquired = begun.elapsed();
    let (mut renewing, mut following) = (JoinSet::new(), JoinSet::new());
    let life = Duration::from_secs(SIMULATED_TTL) / 3;
    for (index, (owner, lease)) in owners.into_iter().enumerate() {
        renewing.spawn(owner.renew(lease, life * index as u32 / roots as u32));
    }
    for root in 0..roots {
        let standby = member(root, root + 1);
        let lease = standby.lease().await;
        renewing.spawn(standby.clone().renew(lease, life * root as u32 / roots as u32));
        if root % MACHINES == 0 {
            following.spawn(standby.follow(lease));
        } else {
            // It waits as well, for nothing.
            tokio::spawn(standby.follow(lease));
        }
    }
    let ((before, _), calm) = (etcd.usage(), Instant::now());
    sleep(Duration::from_secs(2 * SIMULATED_TTL)).await;
    let ((after, memory), calm) = (etcd.usage(), calm.elapsed());
    // A machine dies with all that it owns.
    alive[0].store(false, Relaxed);
    let died = Instant::now();
    let moved: Vec<_> = following.join_all().await.iter().map(|at| *at - died).collect();
    alive.iter().for_each(|alive| alive.store(false, Relaxed));
    let mut renewed: Vec<_> = renewing.join_all().await.concat();
    renewed.sort_unstable();
    let (rate, worst) = (2 * roots * 3 / SIMULATED_TTL as usize, moved.iter().max());
    let ms = |time: &Duration| time.as_secs_f64() * 1e3;
    println!(
        "  {roots} roots on {MACHINES} machines, {} daemons, leases of {SIMULATED_TTL} s:",
        2 * roots
    );
    println!(
        "    all roots acquired in {:.2} s ({:.0} a second)",
        acquired.as_secs_f64(),
        roots as f64 / acquired.as_secs_f64()
    );
    println!(
        "    {rate} renewals a second: median {:.2} ms, 99 of 100 within {:.2} ms",
        ms(&renewed[renewed.len() / 2]),
        ms(&renewed[renewed.len() * 99 / 100])
    );
    println!(
        "    etcd: {:.0} % of a processor, {memory} MiB",
        (after - before) / calm.as_secs_f64() * 100.0
    );
    println!(
        "    a machine dies: its {} roots owned by others after {:.2} s (median), {:.2} s at most",
        moved.len(),
        median(moved.clone()).as_secs_f64(),
        worst.expect("it owned some").as_secs_f64()
    );
}
