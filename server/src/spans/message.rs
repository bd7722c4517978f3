//! Spans in the words of the OpenTelemetry protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onewriter_proto::otlp::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans,
    ScopeSpans, Span, SpanStatus, any_value::Value, span::SpanKind, span_status::StatusCode,
};
use tonic::Code;

use super::span::Finished;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All of these in one message.
pub(super) fn request(spans: Vec<Finished>) -> ExportTraceServiceRequest {
    let service = [
        attribute("service.name", "onewriterd"),
        attribute("service.version", VERSION),
        attribute("process.pid", i64::from(std::process::id())),
    ];
    let scope = InstrumentationScope { name: "onewriter".into(), version: VERSION.into() };
    let spans = ScopeSpans { scope: Some(scope), spans: spans.into_iter().map(span).collect() };
    let resource = Some(Resource { attributes: service.into() });
    let spans = ResourceSpans { resource, scope_spans: vec![spans] };
    ExportTraceServiceRequest { resource_spans: vec![spans] }
}

fn span(span: Finished) -> Span {
    let attributes = attributes(&span);
    let status = match &span.ending {
        Some(ending) if ending.code == Code::Ok => SpanStatus::default(),
        ending => {
            let message = match ending {
                Some(ending) => ending.reason.clone().unwrap_or_default(),
                None => "the client did not wait for the end of the answer".into(),
            };
            SpanStatus { message, code: StatusCode::Error.into() }
        }
    };
    let start = nanoseconds(span.began);
    Span {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        name: span.method,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + span.took.as_nanos() as u64,
        attributes,
        status: Some(status),
    }
}

fn attributes(span: &Finished) -> Vec<KeyValue> {
    let (service, method) = span.method.split_once('/').unwrap_or(("", &span.method));
    let mut found = vec![
        attribute("rpc.system", "grpc"),
        attribute("rpc.service", service),
        attribute("rpc.method", method),
    ];
    if let Some(who) = &span.who {
        found.push(attribute("onewriter.identity", &**who));
    }
    if let Some(ending) = &span.ending {
        found.push(attribute("rpc.grpc.status_code", i64::from(i32::from(ending.code))));
    }
    let stations = &span.stations;
    let refused = span.ending.as_ref().and_then(|ending| ending.reason.as_deref());
    for (name, text) in [
        ("onewriter.mutation", stations.method),
        ("onewriter.build", &*stations.build),
        ("onewriter.target", &*stations.target),
        ("onewriter.outcome", stations.outcome),
        ("onewriter.reason", refused.or(stations.reason).unwrap_or_default()),
    ] {
        if !text.is_empty() {
            found.push(attribute(name, text));
        }
    }
    if !stations.method.is_empty() {
        found.extend([
            attribute("onewriter.paths", stations.paths as i64),
            attribute("onewriter.lock_wait_seconds", stations.waited),
            attribute("onewriter.acting_seconds", stations.acted),
        ]);
    }
    found
}

fn nanoseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

fn attribute(name: &str, value: impl Into<Shown>) -> KeyValue {
    let Shown(value) = value.into();
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// A value as the protocol has it.
struct Shown(Value);

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self(Value::StringValue(text.to_owned()))
    }
}

impl From<i64> for Shown {
    fn from(number: i64) -> Self {
        Self(Value::IntValue(number))
    }
}

impl From<Duration> for Shown {
    fn from(long: Duration) -> Self {
        Self(Value::DoubleValue(long.as_secs_f64()))
    }
}
