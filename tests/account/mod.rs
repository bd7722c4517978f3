//! The account of a build, end to end.

mod log;
mod page;
mod report;
mod top;

use std::{fs::File, io::Write as _, path::PathBuf, time::Duration};

use hyper_util::rt::TokioIo;
use onewriter_proto::v1::{
    BuildBegin, BuildEnd, Context, Recipe, RecipeHow, RecipeRan, builds_client::BuildsClient,
};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::{
    support::{Done, LIMIT, Root, Running, until},
    transactions::{WAIT, waiting_in},
};

/// Tells the daemon what `onewriter make` would.
struct Teller {
    runtime: tokio::runtime::Runtime,
    builds: BuildsClient<Channel>,
}

impl Teller {
    /// Starts the daemon of `root`.
    fn new(root: &Root) -> Self {
        root.started();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let socket = root.at(".onewriter/daemon.sock");
        let dial = tower::service_fn(move |_: Uri| connect(socket.clone()));
        let endpoint = Endpoint::from_static("http://localhost").timeout(LIMIT);
        let channel = runtime.block_on(endpoint.connect_with_connector(dial)).expect("a daemon");
        Self { runtime, builds: BuildsClient::new(channel) }
    }

    fn begin(&mut self, id: &str, command: &str) {
        let begin = BuildBegin {
            context: Some(Context { build: id.into(), ..Context::default() }),
            command: command.into(),
            directory: String::new(),
            jobs: 2,
        };
        self.runtime.block_on(self.builds.begin(begin)).expect("it begins");
    }

    /// A recipe that was not wrapped.
    fn ran(&mut self, build: &str, target: &str, command: &str, took: Duration, exit_code: i32) {
        let recipe = Recipe { command: command.into(), prerequisites: "x.c x.h".into() };
        let ran = RecipeRan {
            context: Some(Context {
                build: build.into(),
                target: target.into(),
                directory: "sub".into(),
                recipe: Some(recipe),
                ..Context::default()
            }),
            how: RecipeHow::Unwrapped.into(),
            took_us: took.as_micros() as u64,
            exit_code,
        };
        self.runtime.block_on(self.builds.ran(ran)).expect("it is noted");
    }

    fn end(&mut self, id: &str, exit_code: i32) {
        let end = BuildEnd { id: id.into(), exit_code };
        self.runtime.block_on(self.builds.end(end)).expect("it ends");
    }
}

async fn connect(socket: PathBuf) -> std::io::Result<TokioIo<tokio::net::UnixStream>> {
    tokio::net::UnixStream::connect(socket).await.map(TokioIo::new)
}

/// The objects that a command printed, one a line.
#[track_caller]
fn objects(done: &Done) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    done.ok().lines().map(parse).collect()
}

/// Those of one type.
fn of_type<'a>(objects: &'a [Value], wanted: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["type"] == wanted).collect()
}

/// Two recipes of the build "b1" that have done `work` and wait, with their targets in `$TARGET`.
fn two_at_once(root: &Root, work: &str) -> [Running; 2] {
    ["one", "two"].map(|target| {
        let script = format!("TARGET={target}; {work}; {WAIT} || exit");
        waiting_in(root, &format!("--build b1 --target {target}"), &script)
    })
}

/// Where scripts wait, for one who lets several go.
struct Gate(File);

impl Gate {
    /// Held open, it keeps what nobody has taken yet.
    fn open(root: &Root) -> Self {
        let pipe = File::options().read(true).write(true).open(root.outside("go"));
        Self(pipe.expect("they wait at it"))
    }

    fn let_go(&mut self, count: usize) {
        self.0.write_all("\n".repeat(count).as_bytes()).expect("there is room");
    }
}

/// A build "b1" of two recipes that ran at the same time, and were at the same paths.
fn race() -> (Root, Teller) {
    let root = Root::new();
    let mut teller = Teller::new(&root);
    teller.begin("b1", "make -j2 all");
    let [one, two] = two_at_once(&root, "echo same > same; echo $TARGET >> log");
    let mut gate = Gate::open(&root);
    gate.let_go(2);
    let runs = || std::fs::read_to_string(root.outside("ready")).unwrap_or_default();
    // Whoever comes second runs again, and waits again.
    until("one of them runs again", || runs().lines().count() == 3);
    gate.let_go(1);
    for done in [one.done(), two.done()] {
        assert!(done.succeeded(), "{done}");
    }
    (root, teller)
}
