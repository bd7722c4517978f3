//! The gRPC services: convert, call the core, convert.

mod administration;
mod arrival;
mod builds;
mod bulk;
mod leases;
mod list_tree;
mod messages;
mod mutations;
mod publish_digest;
mod publish_stream;
mod reading;
mod reapi;
mod recognise;
mod transactions;
mod wait;
mod watch;
mod workers;

use std::{pin::Pin, sync::Arc, time::Instant};

use onewriter_core::{Caller, Engine};
use onewriter_proto::{
    DESCRIPTORS,
    v1::{
        administration_server::AdministrationServer, builds_server::BuildsServer,
        leases_server::LeasesServer, mutations_server::MutationsServer,
        reading_server::ReadingServer, transactions_server::TransactionsServer,
    },
};
use onewriter_tree::{Error, Reason};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{
    Request, Status,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};

pub(crate) use self::reapi::{MAX_BATCH, MAX_MESSAGE as MAX_BLOB_MESSAGE};
use self::{
    administration::Administration, builds::Builds, bulk::Bulk, leases::Leases,
    mutations::Mutations, reading::Reading, transactions::Transactions,
};
use crate::{
    content::Content,
    lifecycle::Lifecycle,
    peer::{Terms, check_version},
    status::status,
};

/// The largest message that is accepted, in bytes. Content travels in streams.
const MAX_MESSAGE: usize = 4 << 20;

/// The most that one message of a stream may carry of its content, in bytes.
const MAX_CHUNK: usize = 1 << 20;

/// The names under which the daemon's health can be asked for; "" is the whole.
pub(crate) const NAMES: [&str; 11] = [
    "",
    "onewriter.v1.Administration",
    "onewriter.v1.Builds",
    "onewriter.v1.Leases",
    "onewriter.v1.Mutations",
    "onewriter.v1.Reading",
    "onewriter.v1.Transactions",
    reapi::NAMES[0],
    reapi::NAMES[1],
    reapi::NAMES[2],
    reapi::NAMES[3],
];

/// Where the answers of a stream go.
type Sender<T> = mpsc::Sender<Result<T, Status>>;

pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is known of a call, and its message or stream of messages.
fn split<T>(request: Request<T>) -> (Request<()>, T) {
    let (metadata, extensions, message) = request.into_parts();
    (Request::from_parts(metadata, extensions, ()), message)
}

/// Whom status and journal name, for a request that says nothing of itself.
fn caller<T>(request: &Request<T>, method: &'static str) -> Caller {
    let mut caller = Terms::of(request, None).caller;
    caller.owner.method = method;
    caller
}

/// All services of the daemon, for any number of connections.
pub(crate) fn routes(
    engine: &Arc<Engine>,
    lifecycle: &Arc<Lifecycle>,
    content: &Arc<Content>,
) -> Routes {
    let mutations = MutationsServer::new(Mutations::new(Arc::clone(engine), Arc::clone(content)));
    let reading = ReadingServer::new(Reading::new(Arc::clone(engine), Arc::clone(lifecycle)));
    let leases = LeasesServer::new(Leases::new(Arc::clone(engine), Arc::clone(lifecycle)));
    let transactions = Transactions::new(Arc::clone(engine), Arc::clone(content));
    let transactions = TransactionsServer::new(transactions);
    let builds = BuildsServer::new(Builds::new(Arc::clone(engine)));
    let administration = Administration::new(Arc::clone(engine), Arc::clone(lifecycle));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let well_formed = "the checked-in descriptors are well formed";
    let mutations = mutations.max_decoding_message_size(MAX_MESSAGE);
    let routes =
        Routes::new(InterceptedService::new(Bulk::new(mutations, engine, content), check_version))
            .add_service(InterceptedService::new(reading, check_version))
            .add_service(InterceptedService::new(leases, check_version))
            .add_service(InterceptedService::new(
                transactions.max_decoding_message_size(MAX_MESSAGE),
                check_version,
            ))
            .add_service(InterceptedService::new(builds, check_version))
            .add_service(AdministrationServer::new(administration))
            .add_service(health_service(lifecycle))
            .add_service(reflection().build_v1().expect(well_formed))
            // What Python's grpcio-reflection and older tools speak.
            .add_service(reflection().build_v1alpha().expect(well_formed));
    reapi::add_to(routes, engine, content)
}

/// What a daemon that owns no root answers.
pub(crate) fn health(lifecycle: &Lifecycle) -> Routes {
    Routes::new(health_service(lifecycle))
}

fn health_service(lifecycle: &Lifecycle) -> HealthServer<HealthService> {
    HealthServer::new(HealthService::from_health_reporter(lifecycle.health().clone()))
}

/// What `work` returns, or `None` when the `deadline` comes first.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.ok(),
        None => Some(work.await),
    }
}

/// Answers as `work` sends them, beside the request, up to `ahead` of the client. It ends with the
/// client, and at the deadline; it occupies no thread while the client takes its time.
fn answers<T, W>(
    ahead: usize,
    deadline: Option<Instant>,
    work: impl FnOnce(Sender<T>) -> W,
) -> Answers<T>
where
    T: Send + 'static,
    W: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (answer, stream) = mpsc::channel(ahead);
    let work = work(answer.clone());
    tokio::spawn(async move {
        let done = tokio::select! {
            () = answer.closed() => return,
            done = within(deadline, work) => done,
        };
        let refused = match done {
            Some(Ok(())) => return,
            Some(Err(refused)) => refused,
            None => {
                status(Error::new(Reason::Incomplete, b".", "the request's deadline has passed"))
            }
        };
        let _ = answer.send(Err(refused)).await;
    });
    Box::pin(ReceiverStream::new(stream))
}

/// Sends one answer; when nobody listens any more, that is an end like another.
async fn send<T>(answers: &Sender<T>, answer: T) -> Result<(), Status> {
    answers.send(Ok(answer)).await.map_err(|_| Status::cancelled("the client has gone away"))
}

/// What could last longer than the daemon, until that is about to end.
async fn while_it_serves<T>(
    lifecycle: &Lifecycle,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::select! {
        done = work => done,
        () = lifecycle.stopped() => {
            let what = "the daemon is about to end: ask its successor, from the last position";
            Err(status(Error::new(Reason::AskAgain, b".", what)))
        }
    }
}

/// Runs what may wait for the disk where it delays nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Status> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(status),
        Err(panic) => {
            tracing::error!(cause = %panic, "a request panicked");
            let why = "the daemon failed inside; its log says how";
            Err(status(Error::new(Reason::Io, b".", why)))
        }
    }
}
