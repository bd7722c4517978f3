//! Spans of OpenTelemetry: what each request was, what became of it, and how long it took, told to a
//! collector beside the work.
//!
//! A span that there is no room for is lost and counted; nothing ever waits for the collector. Without
//! `--otlp` there is no [`Spans`], and requests carry nothing of this.

mod body;
mod exporter;
mod message;
mod span;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::HeaderMap;
use onewriter_proto::traceparent::{TRACEPARENT_KEY, TraceParent};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{mpsc, oneshot};

use self::exporter::Exporter;
pub(crate) use self::{body::Traced, span::Span};
use crate::{config::Collector, tls::TlsError};

/// Spans that may wait for the collector. Each has some 500 bytes.
const QUEUE: usize = 2048;

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Spans {
    queue: mpsc::Sender<Message>,
    counts: Arc<Counts>,
    random: SystemRandom,
}

/// What the exporter is given.
enum Message {
    Span(Box<span::Finished>),
    /// All that came before is to be sent now.
    Flush(oneshot::Sender<()>),
}

/// What became of spans.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sent: AtomicU64,
    lost: AtomicU64,
}

impl Spans {
    /// Begins to tell the collector, beside the caller.
    ///
    /// # Errors
    /// [`TlsError`], where the file of authorities cannot be used.
    pub(crate) fn to(collector: &Collector) -> Result<Arc<Self>, TlsError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let exporter = Exporter::new(collector, Arc::clone(&counts))?;
        tokio::spawn(exporter.run(waiting));
        Ok(Arc::new(Self { queue, counts, random: SystemRandom::new() }))
    }

    /// Begins the span of a request to this path of a URI. `None` where those who began the trace do
    /// not record it.
    pub(crate) fn begin(self: &Arc<Self>, path: &str, headers: &HeaderMap) -> Option<Span> {
        let said = headers.get(TRACEPARENT_KEY).and_then(|said| said.to_str().ok());
        let parent = said.and_then(TraceParent::parse);
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        let trace = parent.map_or_else(|| self.new_id(), |parent| parent.trace);
        Some(Span::begin(self, path, trace, self.new_id(), parent.map(|parent| parent.span)))
    }

    /// An id that nobody else has. One of zeros, which means none, is never drawn.
    fn new_id<const N: usize>(&self) -> [u8; N] {
        let mut id = [0; N];
        // The kernel's random numbers do not run out.
        let _ = self.random.fill(&mut id);
        id
    }

    fn end(&self, span: span::Finished) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.counts.lost.fetch_add(1, Relaxed);
        }
    }

    /// Returns when all that ended so far was sent or lost, and after `limit` at the latest.
    pub(crate) async fn flush(&self, limit: Duration) {
        let flushed = async {
            let (done, sent) = oneshot::channel();
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = sent.await;
            }
        };
        let _ = tokio::time::timeout(limit, flushed).await;
    }

    /// Spans that the collector has taken, and those that are lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counts.sent.load(Relaxed), self.counts.lost.load(Relaxed))
    }
}
