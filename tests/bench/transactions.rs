//! Transactions: what it costs to run a command in one, and to commit what it did.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use onewriter_proto::v1::{
    TransactRequest, TransactResponse, TransactionBegin, TransactionCommit,
    transact_request::Step as In, transact_response::Step as Out,
    transactions_client::TransactionsClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::{
    daemon::connect,
    support::{Root, Setup, each, median, rate, row, time},
};

pub(crate) fn figures(setup: &Setup) {
    wrapping(setup);
    updates_of_one_archive(setup);
    commits(setup);
}

/// Commands under `run` against the same commands plainly.
fn wrapping(setup: &Setup) {
    let root = Root::new(setup, "process");
    std::env::set_current_dir(root.path()).expect("the root can be entered");
    fs::write("unit.c", source_file(2000)).expect("a source");
    let run = |words: &[&str]| {
        let mut command = Command::new(setup.bin.join("onewriter"));
        command.args(["run", "--"]).args(words);
        command
    };
    let plainly = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    };
    let compile = |object: &'static str| ["gcc", "-O2", "-c", "unit.c", "-o", object];
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..setup.rounds(300) {
        times[0].push(time(&mut run(&["true"])));
        times[1].push(time(&mut plainly(&["/usr/bin/env", "true"])));
    }
    for _ in 0..setup.rounds(30) {
        times[2].push(time(&mut run(&compile("ours.o"))));
        times[3].push(time(&mut plainly(&compile("theirs.o"))));
    }
    let [ours, theirs, ours_gcc, theirs_gcc] = times.map(|times| each(median(times), 1));
    row("run -- true", ours, theirs, "us", "us env true", Some(3.0));
    let milliseconds = |us: f64| us / 1000.0;
    row(
        "run -- gcc -O2, 2,000 lines",
        milliseconds(ours_gcc),
        milliseconds(theirs_gcc),
        "ms",
        "ms plainly",
        Some(1.05),
    );
    std::env::set_current_dir("/").expect("the root can be left");
}

/// C of so many lines that takes a compiler some time.
fn source_file(lines: usize) -> String {
    let function = |n: usize| {
        format!(
            "int f{n}(int *a, int n)\n{{\n    int s = {n};\n    for (int i = 0; i < n; i++) {{\n\
             \x20       s += a[i] * {};\n        if (s > {}) s ^= a[i];\n    }}\n\
             \x20   return s;\n}}\n\n",
            n % 7 + 1,
            n * 13
        )
    };
    (0..lines / 10).map(function).collect()
}

/// Twenty at once, each of which adds a member.
fn updates_of_one_archive(setup: &Setup) {
    const MEMBERS: usize = 20;
    let root = Root::new(setup, "process");
    for n in 0..MEMBERS {
        fs::write(root.path().join(format!("m{n}")), format!("member {n}")).expect("a member");
    }
    let begun = Instant::now();
    let add = |n: usize| {
        let member = format!("m{n}");
        root.command(&["run", "--", "ar", "rc", "lib.a", &member]).spawn().expect("ar runs")
    };
    let mut running: Vec<_> = (0..MEMBERS).map(add).collect();
    let done = running.iter_mut().filter_map(|ar| ar.wait().ok()).filter(|s| s.success()).count();
    let took = begun.elapsed();
    let listed = Command::new("ar").arg("t").arg(root.path().join("lib.a")).output();
    let members = listed.expect("ar lists").stdout.split(|&b| b == b'\n').count() - 1;
    println!(
        "  {MEMBERS} updates of one archive at once: {done} succeeded, {members} members, {:.0} ms",
        took.as_secs_f64() * 1e3
    );
}

/// Commits by themselves: the upper directory is filled by hand.
fn commits(setup: &Setup) {
    let root = Root::new(setup, "process");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let channel = runtime.block_on(connect(&root.socket(), 1)).remove(0);
    let mut call = runtime.block_on(Call::open(channel));
    let count = setup.rounds(2000);
    let (mut commits, mut renames) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let begun = Instant::now();
        for n in 0..count {
            let upper = runtime.block_on(call.begin(root.path()));
            fs::write(upper.join(format!("file.{round}.{n}")), [7; 4096]).expect("a file");
            runtime.block_on(call.commit());
        }
        commits.push(begun.elapsed());
        let begun = Instant::now();
        for n in 0..count {
            let (new, to) = (root.path().join("new"), root.path().join(format!("r.{round}.{n}")));
            fs::write(&new, [7; 4096]).expect("a file");
            fs::rename(new, to).expect("its place");
        }
        renames.push(begun.elapsed());
    }
    let [commits, renames] =
        [commits, renames].map(|times| count as f64 / median(times).as_secs_f64());
    rate("transactions of one 4 KiB file", commits, renames, "write and rename", None);

    for (what, made_before) in [
        ("commit of 10,000 files, new directories", false),
        ("commit of 10,000 files, merged", true),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..setup.rounds(10) {
            let tree = root.path().join(format!("tree.{made_before}.{round}"));
            let upper = runtime.block_on(call.begin(root.path()));
            let below = upper.join(tree.file_name().expect("a name"));
            fill(&below);
            if made_before {
                directories(&tree);
            }
            let copy = root.path().join(format!("copy.{made_before}.{round}"));
            theirs.push(time(Command::new("cp").arg("-a").arg(&below).arg(copy)));
            let begun = Instant::now();
            runtime.block_on(call.commit());
            ours.push(begun.elapsed());
        }
        let [ours, theirs] = [ours, theirs].map(|times| each(median(times), 1) / 1000.0);
        row(what, ours, theirs, "ms", "ms cp -a", Some(0.25));
    }
}

const DIRECTORIES: usize = 100;

fn directories(top: &Path) {
    for d in 0..DIRECTORIES {
        fs::create_dir_all(top.join(format!("d{d}"))).expect("a directory");
    }
}

/// 10,000 files of 4 KiB in a hundred directories.
fn fill(top: &Path) {
    directories(top);
    for n in 0..10_000 {
        let file = top.join(format!("d{}/f{n}", n % DIRECTORIES));
        fs::write(file, vec![n as u8; 4096]).expect("a file");
    }
}

/// One transaction after another.
struct Call {
    steps: mpsc::Sender<TransactRequest>,
    answers: Streaming<TransactResponse>,
}

impl Call {
    async fn open(channel: Channel) -> Self {
        let (steps, sent) = mpsc::channel(1);
        let answers = TransactionsClient::new(channel).transact(ReceiverStream::new(sent)).await;
        Self { steps, answers: answers.expect("transactions are served").into_inner() }
    }

    async fn ask(&mut self, step: In) -> Out {
        self.steps.send(TransactRequest { step: Some(step) }).await.expect("the call goes on");
        let answer = self.answers.message().await.expect("an answer").expect("an answer");
        answer.step.expect("an answer that says something")
    }

    /// Where the upper directory is.
    async fn begin(&mut self, root: &Path) -> PathBuf {
        let begin = TransactionBegin { method: "run".into(), ..TransactionBegin::default() };
        let Out::Begun(begun) = self.ask(In::Begin(begin)).await else { panic!("not begun") };
        root.join(".onewriter/staging").join(begun.name).join("upper")
    }

    async fn commit(&mut self) {
        let done = self.ask(In::Commit(TransactionCommit::default())).await;
        assert!(matches!(done, Out::Committed(_)), "{done:?}");
    }
}
