//! The account of a build, end to end.

mod log;
mod page;
mod report;
mod top;

use std::{path::PathBuf, time::Duration};

use hyper_util::rt::TokioIo;
use onewriter_proto::v1::{
    BuildBegin, BuildEnd, Context, Recipe, RecipeHow, RecipeRan, builds_client::BuildsClient,
};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::support::{Done, LIMIT, Root};

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

/// A build "b1" of two recipes that ran at the same time, and were at the same paths.
fn race() -> (Root, Teller) {
    use crate::transactions::{go_on, waiting};
    let root = Root::new();
    let mut teller = Teller::new(&root);
    teller.begin("b1", "make -j2 all");
    let script =
        |name| format!("mkdir d; echo {name} > d/{name}; echo same > same; echo {name} >> log");
    let one = waiting(&root, "--build b1 --target one", &script("one"));
    let two = waiting(&root, "--build b1 --target two", &script("two"));
    go_on(&root);
    // Whoever conflicts runs again, and waits again.
    let (first, last) = {
        let again = std::thread::scope(|scope| {
            let one = scope.spawn(|| one.done());
            let two = scope.spawn(|| two.done());
            crate::support::until("one of them runs again", || {
                std::fs::read_to_string(root.outside("ready")).unwrap_or_default().lines().count()
                    == 3
            });
            go_on(&root);
            [one.join(), two.join()].map(|done| done.expect("it ends"))
        });
        let [one, two] = again;
        (one, two)
    };
    assert!(first.succeeded() && last.succeeded(), "{first}\n{last}");
    (root, teller)
}
