//! Handing spans over, many at a time.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use onewriter_proto::otlp::trace_service_client::TraceServiceClient;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tonic::transport::Channel;

use super::{Counts, Message, message, span::Finished};
use crate::{
    channel::channel,
    config::{Collector, ServerAt},
    tls::TlsError,
};

/// Spans of one message at most, and how long the first of them waits for others.
const BATCH: usize = 512;
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector may take for one message.
const PATIENCE: Duration = Duration::from_secs(10);

/// What empties the queue. A message that the collector does not take is lost: to keep it would be to
/// lose those that come meanwhile.
pub(super) struct Exporter {
    at: ServerAt,
    client: TraceServiceClient<Channel>,
    counts: Arc<Counts>,
    /// Whether the log says last that spans are lost.
    is_failing: bool,
}

/// What was gathered.
#[derive(Default)]
struct Batch {
    spans: Vec<Finished>,
    awaited: Vec<oneshot::Sender<()>>,
}

impl Exporter {
    pub(super) fn new(collector: &Collector, counts: Arc<Counts>) -> Result<Self, TlsError> {
        let Collector { at, tls } = collector;
        let client = TraceServiceClient::new(channel(at, tls, PATIENCE)?);
        Ok(Self { at: at.clone(), client, counts, is_failing: false })
    }

    /// Sends what comes, until nobody can send any more.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(first) = queue.recv().await {
            let batch = gather(first, &mut queue).await;
            self.send(batch.spans).await;
            for done in batch.awaited {
                let _ = done.send(());
            }
        }
    }

    async fn send(&mut self, spans: Vec<Finished>) {
        let number = spans.len() as u64;
        if number == 0 {
            return;
        }
        let sent = timeout(PATIENCE, self.client.export(message::request(spans))).await;
        let cause = match sent {
            Ok(Ok(answer)) => {
                let rejected = answer.into_inner().partial_success.unwrap_or_default();
                let lost = u64::try_from(rejected.rejected_spans).unwrap_or(0).min(number);
                self.counts.sent.fetch_add(number - lost, Relaxed);
                self.counts.lost.fetch_add(lost, Relaxed);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(address = %self.at, "the collector takes spans again");
                }
                return;
            }
            Ok(Err(status)) => status.to_string(),
            Err(_) => format!("it did not answer within {} s", PATIENCE.as_secs()),
        };
        self.counts.lost.fetch_add(number, Relaxed);
        // Once, and not for each message.
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(cause, address = %self.at, "spans are lost: the collector does not take them");
        }
    }
}

/// What comes with `first`: until somebody waits for it, it is enough, or it has waited long enough.
async fn gather(first: Message, queue: &mut mpsc::Receiver<Message>) -> Batch {
    let (mut batch, deadline) = (Batch::default(), Instant::now() + GATHER);
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Span(span) => batch.spans.push(*span),
            Message::Flush(done) => {
                batch.awaited.push(done);
                break;
            }
        }
        if batch.spans.len() >= BATCH {
            break;
        }
        next = timeout_at(deadline, queue.recv()).await.unwrap_or(None);
    }
    batch
}
