//! The engine, run on roots of its own.

#![expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]

mod calm;
mod contention;
mod durability;
mod ending;
mod exclusion;
mod leasing;
mod records;
mod waiting;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use onewriter_tree::{
    Error, Fault, Last, RelPath, Tree,
    mutation::{
        Access, Change, Claim, Deed, Effects, MakeDirectory, Mutation, Outcome, Publish, Remove,
        Source,
    },
};
use tokio::task::JoinHandle;

use super::*;
use crate::journal::{Query, Record};

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(60);

/// An engine on a root that goes away with it.
struct Site {
    engine: Arc<Engine>,
    root: tempfile::TempDir,
}

type Done = Result<Vec<Change>, Refusal>;

impl Site {
    fn new() -> Self {
        Self::on(None)
    }

    fn on(disk: Option<Disk>) -> Self {
        let root = tempfile::tempdir().unwrap();
        Tree::init(root.path()).unwrap();
        let tree = Arc::new(Tree::open(root.path()).unwrap());
        let engine = Engine::start_on(tree, &root.path().join(".onewriter"), disk, 0).unwrap();
        Self { engine: Arc::new(engine), root }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Runs a mutation for `target`, beside the test.
    fn start(&self, target: &str, mutation: impl Mutation + 'static) -> JoinHandle<Done> {
        let (engine, caller) = (Arc::clone(&self.engine), caller(target));
        tokio::spawn(async move { engine.run(caller, Box::new(mutation)).await })
    }

    async fn run(&self, mutation: impl Mutation + 'static) -> Done {
        ended(self.start("test", mutation)).await
    }

    /// Holds `path` until what is returned is told to let go.
    async fn hold(&self, path: &str) -> Hold {
        let (probe, hold) = Probe::stopping(path);
        let task = self.start("holder", probe);
        let entered = hold.entered;
        let waited = tokio::task::spawn_blocking(move || entered.recv_timeout(LIMIT));
        waited.await.unwrap().unwrap();
        Hold { go_on: hold.go_on, task }
    }

    /// Who waits now, by the key that is waited for.
    fn waiting(&self) -> Vec<String> {
        let keys = self.engine.locks().snapshot().into_iter();
        keys.filter(|key| !key.waiters.is_empty()).map(|key| key.key.to_string()).collect()
    }

    async fn journal(&self) -> Vec<Record> {
        self.engine.journal().flushed().await;
        self.engine.journal().list(&Query::default()).unwrap()
    }

    /// Method, path and outcome of all that was recorded.
    async fn recorded(&self) -> Vec<(String, String, String)> {
        let record = |r: Record| (r.method, String::from_utf8(r.path).unwrap(), r.outcome);
        self.journal().await.into_iter().map(record).collect()
    }

    fn staging(&self) -> usize {
        self.engine.tree().staging().waiting().unwrap().len()
    }
}

/// A place that somebody holds while acting on it.
struct Hold {
    go_on: Sender<()>,
    task: JoinHandle<Done>,
}

impl Hold {
    async fn let_go(self) -> Done {
        self.go_on.send(()).unwrap();
        ended(self.task).await
    }
}

/// The test's end of a [`Probe`] that stops.
struct Stop {
    entered: Receiver<()>,
    go_on: Sender<()>,
}

type Act = Box<dyn FnMut(&mut Effects) -> Result<(), Fault> + Send>;

/// A mutation that does what a test wants.
struct Probe {
    path: RelPath,
    act: Act,
    /// Whether it could be seen half done.
    stepwise: bool,
}

impl Probe {
    fn new(
        path: &str,
        act: impl FnMut(&mut Effects) -> Result<(), Fault> + Send + 'static,
    ) -> Self {
        Self { path: rel(path), act: Box::new(act), stepwise: false }
    }

    /// Stops in the midst of acting, and says that it made its path.
    fn stopping(path: &str) -> (Self, Stop) {
        let (enter, entered) = channel();
        let (go_on, wait) = channel();
        let made = rel(path);
        let probe = Self::new(path, move |effects| {
            let _ = enter.send(());
            let _ = wait.recv_timeout(LIMIT);
            effects.changes.push(Change::new(&made, Outcome::Created));
            Ok(())
        });
        (probe, Stop { entered, go_on })
    }
}

impl Mutation for Probe {
    fn method(&self) -> &'static str {
        "probe"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        vec![Claim {
            path: &mut self.path,
            access: Access::Exclusive,
            last: Last::Follow,
            deed: Deed::Touch,
        }]
    }

    fn is_stepwise(&self) -> bool {
        self.stepwise
    }

    fn apply(&mut self, _: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        (self.act)(effects)
    }
}

fn caller(target: &str) -> Caller {
    let owner = Owner { target: target.to_owned(), pid: 7, ..Owner::default() };
    Caller { owner, ..Caller::default() }
}

fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).unwrap()
}

fn mkdir(path: &str) -> MakeDirectory {
    MakeDirectory { path: rel(path), mode: None, umask: 0o022, parents: true, must_create: false }
}

fn remove_all(path: &str) -> Remove {
    Remove { path: rel(path), recursive: true, allow_missing: true, directory: true }
}

impl Site {
    /// A publish of `content`, by way of staging.
    fn publish(&self, path: &str, content: &[u8]) -> Publish {
        use std::io::Write as _;
        let staged = self.engine.tree().staging().create_own().unwrap();
        staged.file().write_all(content).unwrap();
        let mut publish = Publish::new(rel(path), Source::Staged(staged));
        publish.parents = true;
        publish
    }
}

async fn ended<T>(task: JoinHandle<T>) -> T {
    tokio::time::timeout(LIMIT, task).await.expect("it ends in time").unwrap()
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

/// The only refusal that is expected.
fn refused(done: Done) -> Error {
    done.expect_err("it must be refused").error
}
