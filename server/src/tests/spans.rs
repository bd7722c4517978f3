//! Spans of requests, as a collector of OpenTelemetry gets them.

use std::{
    net::SocketAddr,
    sync::{Mutex, atomic::AtomicI64, atomic::Ordering::Relaxed},
};

use onewriter_proto::otlp::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse, Span,
    any_value::Value,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::net::{TcpListener, TcpSocket};
use tonic::{Request, Response, async_trait, service::Routes};

use super::*;
use crate::{config::Collector as Settings, spans::Spans, tls::PeerFiles};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector that keeps what it gets, but for so many spans that it rejects.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    rejects: Arc<AtomicI64>,
}

#[async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        self.spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        let rejected_spans = self.rejects.load(Relaxed);
        let partial = ExportTracePartialSuccess { rejected_spans, ..Default::default() };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
    }
}

impl Collector {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self::default();
        let routes = Routes::new(TraceServiceServer::new(collector.clone()));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serving::serve(socket, routes.clone()));
            }
        });
        (collector, address)
    }

    fn named(&self, method: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|span| span.name.ends_with(method)).cloned().collect()
    }

    /// The spans of that method, when there are so many.
    async fn got(&self, method: &str, number: usize) -> Vec<Span> {
        until("the spans arrive", || self.named(method).len() >= number).await;
        self.named(method)
    }
}

fn at(address: SocketAddr) -> Settings {
    let at = crate::config::ServerAt {
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
    };
    Settings { at, tls: PeerFiles { ca: None, own: None } }
}

async fn told_to(address: SocketAddr) -> Daemon {
    Daemon::with(new_root(), |config| config.collector = Some(at(address))).await
}

/// An attribute as text.
fn say(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        None => String::new(),
    }
}

fn seconds(span: &Span, key: &str) -> f64 {
    say(span, key).parse().unwrap_or_else(|_| panic!("no {key} in {span:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_trace<T>(message: T, parent: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request
}

#[tokio::test]
async fn a_request_is_a_span_that_says_what_became_of_it() {
    let (collector, address) = Collector::start().await;
    let daemon = told_to(address).await;
    let mut client = daemon.mutations().await;
    client.make_directories(in_trace(mkdir(&["a", "b"]), PARENT)).await.unwrap();
    std::fs::write(daemon.path("f"), "").unwrap();
    client.make_directories(mkdir(&["f/g"])).await.unwrap_err();
    let [made, refused] = &collector.got("Mutations/MakeDirectories", 2).await[..] else {
        panic!("there are more");
    };
    assert_eq!(made.name, "onewriter.v1.Mutations/MakeDirectories");
    assert_eq!(format!("00-{}-{}-01", hex(&made.trace_id), hex(&made.parent_span_id)), PARENT);
    assert!(made.span_id != made.parent_span_id && made.span_id.len() == 8);
    assert!(made.end_time_unix_nano > made.start_time_unix_nano);
    let uid = rustix::process::geteuid().as_raw();
    for (key, value) in [
        ("rpc.method", "MakeDirectories"),
        ("rpc.grpc.status_code", "0"),
        ("onewriter.mutation", "mkdir"),
        ("onewriter.build", "b1"),
        ("onewriter.target", "test"),
        ("onewriter.paths", "2"),
        ("onewriter.outcome", "created"),
        ("onewriter.reason", ""),
    ] {
        assert_eq!(say(made, key), value, "{key}");
    }
    assert!(say(made, "onewriter.identity").contains(&uid.to_string()), "{made:?}");
    assert!(seconds(made, "onewriter.acting_seconds") > 0.0);
    assert_eq!(made.status.as_ref().unwrap().code, 0);

    assert_eq!(refused.parent_span_id, b"");
    assert_ne!(refused.trace_id, made.trace_id);
    assert_eq!(say(refused, "onewriter.reason"), "NOT_A_DIRECTORY");
    assert_eq!(say(refused, "rpc.grpc.status_code"), "9");
    assert_eq!(refused.status.as_ref().unwrap().code, 2, "an error");
    daemon.end().await;
}

#[tokio::test]
async fn waiting_for_locks_and_giving_up_can_be_seen() {
    let (collector, address) = Collector::start().await;
    let daemon = told_to(address).await;
    let held = daemon.hold("d").await;
    let mut first = daemon.mutations().await;
    let waits = tokio::spawn(async move { first.make_directories(mkdir(&["d"])).await });
    until("it waits", || !daemon.waiting().is_empty()).await;
    // Somebody comes behind it, and does not wait for the end.
    let (wire, cord) = daemon.connect().await;
    let gone = tokio::spawn(async move { client(wire).make_directories(mkdir(&["d"])).await });
    until("both wait", || {
        daemon.engine.locks().snapshot().iter().any(|key| key.waiters.len() == 2)
    })
    .await;
    cord.cut();
    assert!(ended(gone).await.is_err());
    held.let_go().await;
    ended(waits).await.unwrap();
    let spans = collector.got("Mutations/MakeDirectories", 2).await;
    let by_ending = |ended: bool| {
        spans.iter().find(|span| say(span, "rpc.grpc.status_code").is_empty() != ended).unwrap()
    };
    let (waited, left) = (by_ending(true), by_ending(false));
    let took = (waited.end_time_unix_nano - waited.start_time_unix_nano) as f64 / 1e9;
    let locked = seconds(waited, "onewriter.lock_wait_seconds");
    assert!(locked > 0.0 && locked <= took, "{locked} of {took}");
    assert_eq!(left.status.as_ref().unwrap().code, 2, "an error");
    daemon.end().await;
}

#[tokio::test]
async fn what_ended_before_the_daemon_does_is_told_and_what_others_do_not_record_is_not() {
    let (collector, address) = Collector::start().await;
    let daemon = told_to(address).await;
    let mut client = daemon.mutations().await;
    let unrecorded = PARENT.replace("-01", "-00");
    client.make_directories(in_trace(mkdir(&["a"]), &unrecorded)).await.unwrap();
    client.make_directories(in_trace(mkdir(&["b"]), "no parent at all")).await.unwrap();
    daemon.end().await;
    let spans = collector.named("MakeDirectories");
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].parent_span_id, b"");
}

#[tokio::test]
async fn a_collector_that_is_bad_costs_spans_and_nothing_else() {
    // It accepts, and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spans = Spans::to(&at(silent.local_addr().unwrap())).unwrap();
    for _ in 0..5000 {
        drop(spans.begin("/s/m", &http::HeaderMap::new()));
    }
    assert_eq!(spans.counts(), (0, 5000 - 2048), "what has no room is lost at once");
    let daemon = told_to(silent.local_addr().unwrap()).await;
    daemon.mutations().await.make_directories(mkdir(&["a"])).await.unwrap();
    in_time(daemon.end()).await;

    // It is not there.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let spans = Spans::to(&at(nobody.local_addr().unwrap())).unwrap();
    drop(spans.begin("/s/m", &http::HeaderMap::new()));
    in_time(spans.flush(LIMIT)).await;
    assert_eq!(spans.counts(), (0, 1));

    // It does not want all of them.
    let (collector, address) = Collector::start().await;
    collector.rejects.store(2, Relaxed);
    let spans = Spans::to(&at(address)).unwrap();
    for _ in 0..5 {
        drop(spans.begin("/s/m", &http::HeaderMap::new()));
    }
    in_time(spans.flush(LIMIT)).await;
    assert_eq!(spans.counts(), (3, 2));
}
