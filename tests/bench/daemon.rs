//! Mutations a second: the daemon's, over one connection and over many, against the same system
//! calls made in this process.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper_util::rt::TokioIo;
use onewriter_proto::v1::{
    MakeDirectories, MakeDirectoriesRequest, Publication, PublishLocal, PublishLocalRequest,
    mutations_client::MutationsClient,
};
use onewriter_tree::{
    RelPath, Tree,
    mutation::{self, Effects, MakeDirectory, Mutation, Publish, Source},
};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::support::{Root, Setup, median, rate};

/// Requests under way at a time.
pub(crate) const IN_FLIGHT: usize = 64;

/// One thing that is done many times.
#[derive(Clone, Copy)]
enum Work {
    Existing,
    New,
    Unchanged,
    Changed,
}

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "process");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    prepare(root.path());
    let direct = tempfile::tempdir().expect("a temp directory");
    Tree::init(direct.path()).expect("a root");
    let tree = Tree::open(direct.path()).expect("a root");
    prepare(direct.path());

    let one = runtime.block_on(connect(&root.socket(), 1));
    let eight = runtime.block_on(connect(&root.socket(), 8));
    for (what, work, target) in [
        ("mkdir, existing", Work::Existing, None),
        ("mkdir, new", Work::New, Some(0.7)),
        ("publish 4 KiB, unchanged", Work::Unchanged, None),
        ("publish 4 KiB, changed", Work::Changed, Some(0.7)),
    ] {
        let count = setup.rounds(if matches!(work, Work::Existing | Work::Unchanged) {
            20_000
        } else {
            4_000
        });
        let mut times: [Vec<Duration>; 3] = Default::default();
        for round in 0..5 {
            times[0].push(in_process(&tree, work, round, count));
            times[1].push(runtime.block_on(requests(&one, root.path(), work, round * 2, count)));
            times[2].push(runtime.block_on(requests(
                &eight,
                root.path(),
                work,
                round * 2 + 1,
                count,
            )));
        }
        let [here, one, eight] = times.map(|times| count as f64 / median(times).as_secs_f64());
        rate(&format!("{what}: 64 at a time, 1 connection"), one, here, "in-process", target);
        rate(&format!("{what}: 64 at a time, 8 connections"), eight, here, "in-process", None);
    }
}

fn prepare(root: &Path) {
    fs::create_dir(root.join("there")).expect("a directory");
    for n in 0..2 {
        fs::write(root.join(format!("source.{n}")), content(n)).expect("a source");
    }
    for n in 0..IN_FLIGHT {
        fs::write(root.join(format!("same.{n}")), content(0)).expect("a file");
    }
}

fn content(seed: u8) -> Vec<u8> {
    (0..4096u32).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

/// The path and, for a publish, the source of the `n`th request of a round. Changed files are
/// written in turn by one source in even and the other in odd passes over them.
fn subject(work: Work, round: usize, n: usize) -> (String, usize) {
    match work {
        Work::Existing => ("there".into(), 0),
        Work::New => (format!("new.{round}.{n}"), 0),
        Work::Unchanged => (format!("same.{}", n % IN_FLIGHT), 0),
        Work::Changed => (format!("changed.{}", n % IN_FLIGHT), (n / IN_FLIGHT + round) % 2),
    }
}

fn in_process(tree: &Tree, work: Work, round: usize, count: usize) -> Duration {
    let begun = Instant::now();
    for n in 0..count {
        let (path, source) = subject(work, round, n);
        let path = RelPath::parse(path.as_bytes()).expect("a path");
        let mut effects = Effects::new(false);
        let mut mutation: Box<dyn Mutation> = match work {
            Work::Existing | Work::New => {
                let make = MakeDirectory {
                    path,
                    mode: None,
                    umask: 0o022,
                    parents: true,
                    must_create: false,
                };
                if make.shortcut(tree, &mut effects) {
                    continue;
                }
                Box::new(make)
            }
            Work::Unchanged | Work::Changed => {
                let source = RelPath::parse(format!("source.{source}").as_bytes()).expect("a path");
                Box::new(Publish::new(path, Source::InTree { path: source, consume: false }))
            }
        };
        mutation::run(&mut *mutation, tree, &mut effects).expect("it is done");
    }
    begun.elapsed()
}

/// So many connections to the daemon.
pub(crate) async fn connect(socket: &Path, connections: usize) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..connections {
        let socket = socket.to_owned();
        let dial = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        channels.push(endpoint.connect_with_connector(dial).await.expect("the daemon answers"));
    }
    channels
}

async fn requests(
    channels: &[Channel],
    root: &Path,
    work: Work,
    round: usize,
    count: usize,
) -> Duration {
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|task| {
            let mut client = MutationsClient::new(channels[task % channels.len()].clone());
            let (next, root) = (Arc::clone(&next), root.to_owned());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    if n >= count {
                        return;
                    }
                    let (path, source) = subject(work, round, n);
                    match work {
                        Work::Existing | Work::New => make(&mut client, path).await,
                        Work::Unchanged | Work::Changed => {
                            publish(&mut client, path, &root.join(format!("source.{source}")))
                                .await;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("requests are answered");
    }
    begun.elapsed()
}

async fn make(client: &mut MutationsClient<Channel>, path: String) {
    let make = MakeDirectories { paths: vec![path.into_bytes()], ..MakeDirectories::default() };
    let request = MakeDirectoriesRequest { context: None, make: Some(make) };
    client.make_directories(request).await.expect("it is made");
}

/// Publishes a local file.
pub(crate) async fn publish(client: &mut MutationsClient<Channel>, path: String, source: &Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let to = Publication { path: path.into_bytes(), ..Publication::default() };
    let source = source.as_os_str().as_bytes().to_vec();
    let publish = PublishLocal { to: Some(to), source, consume: false };
    let request = PublishLocalRequest { context: None, publish: Some(publish) };
    client.publish_local(request).await.expect("it is published");
}
