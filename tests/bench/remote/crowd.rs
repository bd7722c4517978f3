//! Many clients, one of whom asks for all that he can get.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use onewriter_proto::v1::{
    MakeDirectories, MakeDirectoriesRequest, mutations_client::MutationsClient,
};

use super::{
    idle::allow_descriptors,
    team::{HOST, Team, Wire},
};
use crate::support::{Setup, each, median, verdict};

/// Clients, each an identity and a connection of its own.
const CLIENTS: usize = 512;

/// Requests that the greedy one has under way; any other has one.
const GREED: usize = 512;

/// How many times the median of all may one of them wait?
const MOST: f64 = 10.0;

pub(super) fn figures(setup: &Setup) {
    allow_descriptors();
    let team = Team::new(setup, CLIENTS, "");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let span = Duration::from_millis(setup.rounds(10_000) as u64);
    let waits = runtime.block_on(crowd(&team, span));
    let (greedy, modest) = waits.split_first().expect("clients");
    let [typical, greedy] = [median(modest.to_vec()), *greedy].map(|wait| each(wait, 1000));
    let longest = each(modest.iter().copied().max().expect("clients"), 1000);
    report("the longest wait of an identity", longest, typical, Some(MOST));
    report(&format!("of one with {GREED} requests at a time"), greedy, typical, None);
}

fn report(what: &str, wait: f64, typical: f64, target: Option<f64>) {
    let ratio = wait / typical;
    let verdict = match target {
        None => String::new(),
        Some(most) => format!("(at most {most}: {})", verdict(ratio <= most)),
    };
    println!("  {what:<44} {wait:>10.1} ms  {ratio:>6.2} of {typical:>10.1} ms median {verdict}");
}

/// What each waits for an answer, in the mean; the greedy one first.
async fn crowd(team: &Team, span: Duration) -> Vec<Duration> {
    let tls = team.tls(false);
    let over = Arc::new(AtomicBool::new(false));
    let mut wires = Vec::new();
    for n in 0..CLIENTS {
        wires.push((n, team.wire(&tls).await, team.token(n)));
    }
    let clients: Vec<_> = wires
        .into_iter()
        .map(|(n, wire, token)| {
            let requests = if n == 0 { GREED } else { 1 };
            let tasks: Vec<_> = (0..requests)
                .map(|task| {
                    let client = Client::new(wire.clone(), &token, format!("d{n}.{task}"));
                    tokio::spawn(client.ask(Arc::clone(&over)))
                })
                .collect();
            tasks
        })
        .collect();
    tokio::time::sleep(span).await;
    over.store(true, Relaxed);
    let mut waits = Vec::new();
    for tasks in clients {
        let (mut waited, mut count) = (Duration::ZERO, 0);
        for task in tasks {
            let (time, requests) = task.await.expect("it is served");
            waited += time;
            count += requests;
        }
        waits.push(waited / count);
    }
    waits
}

/// One who asks for directories that are new, one after the other.
struct Client {
    mutations: MutationsClient<Wire>,
    token: tonic::metadata::AsciiMetadataValue,
    name: String,
}

impl Client {
    fn new(wire: Wire, token: &str, name: String) -> Self {
        let origin = format!("https://{HOST}").parse().expect("an origin");
        let token = format!("Bearer {token}").parse().expect("a token");
        Self { mutations: MutationsClient::with_origin(wire, origin), token, name }
    }

    /// How long it waited in all, and for how many answers.
    async fn ask(mut self, over: Arc<AtomicBool>) -> (Duration, u32) {
        let (begun, mut count) = (Instant::now(), 0);
        while count == 0 || !over.load(Relaxed) {
            let path = format!("{}/{count}", self.name).into_bytes();
            let make = MakeDirectories { paths: vec![path], ..MakeDirectories::default() };
            let request = MakeDirectoriesRequest { context: None, make: Some(make) };
            let mut request = tonic::Request::new(request);
            request.metadata_mut().insert("authorization", self.token.clone());
            self.mutations.make_directories(request).await.expect("it is made");
            count += 1;
        }
        (begun.elapsed(), count)
    }
}
