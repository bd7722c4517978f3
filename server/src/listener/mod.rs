//! Accepting connections, and serving HTTP/2 on whatever they come over.

mod remote;
mod room;
pub mod tcp;
pub(crate) mod unix;

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::codegen::Service as _;

pub(crate) use self::remote::{Patience, Remote};
pub use self::unix::SOCKET;
use self::{remote::Exceeded, room::Room};
use crate::{
    corked::Corked,
    desk::Desk,
    gate::{Gate, Origin},
    held::Held,
    identity::Identity,
    lifecycle::Lifecycle,
    metrics::Meters,
    spans::{Spans, Traced},
};

/// Metadata that one request may send, in bytes.
const MAX_HEADERS: u32 = 16 << 10;

/// How long to wait when a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Where connections come from.
pub(crate) trait Accept {
    /// Accepts one, and has it served.
    async fn accept(&self, host: &Host) -> io::Result<()>;
}

/// Who serves connections.
#[derive(Clone)]
pub(crate) struct Host {
    desk: Arc<Desk>,
    lifecycle: Arc<Lifecycle>,
    gate: Arc<Gate>,
    /// What times requests, where somebody wants to know.
    meters: Option<Arc<Meters>>,
    /// What tells a collector of them, where there is one.
    spans: Option<Arc<Spans>>,
    /// Whether what is asked here may wait for turns elsewhere.
    is_forwarding: bool,
}

impl Host {
    pub(crate) fn new(
        desk: &Arc<Desk>,
        lifecycle: &Arc<Lifecycle>,
        gate: &Arc<Gate>,
        meters: Option<Arc<Meters>>,
        spans: Option<Arc<Spans>>,
    ) -> Self {
        let (desk, lifecycle) = (Arc::clone(desk), Arc::clone(lifecycle));
        let gate = Arc::clone(gate);
        Self { desk, lifecycle, gate, meters, spans, is_forwarding: false }
    }

    /// The same, where content may be sent on to an external store, which has turns of its own.
    pub(crate) fn forwarding(self, is_forwarding: bool) -> Self {
        Self { is_forwarding, ..self }
    }

    /// Accepts and serves connections until the daemon is told to stop.
    pub(crate) async fn listen(&self, listener: &impl Accept) {
        let mut refused = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept(self) => accepted,
                () = self.lifecycle.stopped() => return,
            };
            let Err(error) = accepted else {
                refused = false;
                continue;
            };
            // Out of descriptors, most likely: those that are open must end first. Told once,
            // since it fails until then.
            if !std::mem::replace(&mut refused, true) {
                tracing::error!(cause = %error, "connections cannot be accepted for now");
            }
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }

    /// Serves what somebody on this machine asks on `socket`, beside the caller, until one of the two
    /// ends it.
    pub(crate) fn serve<S>(&self, socket: S, who: Identity)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.begin(socket, Origin::Unix(who), None);
    }

    /// The same for somebody on another machine, who has to bear with limits.
    pub(crate) fn serve_remote<S>(&self, socket: S, origin: Origin, remote: Remote)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.begin(remote.heard_on(socket), origin, Some(remote));
    }

    fn begin<S>(&self, socket: S, origin: Origin, remote: Option<Remote>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (desk, gate) = (Arc::clone(&self.desk), Arc::clone(&self.gate));
        let mut shift = desk.shift();
        let room = match gate.is_free(&origin) && !self.is_forwarding {
            true => Room::FREE,
            false => Room::IN_TURN,
        };
        let (lifecycle, open) = (Arc::clone(&self.lifecycle), self.lifecycle.connected());
        let (asks, patience) = (origin.clone(), remote.as_ref().map(Remote::patience));
        let begun = remote.as_ref().map(Remote::begun);
        let address = remote.as_ref().map(Remote::address);
        let visitor = lifecycle.visitors().enter(&origin, address);
        let (meters, spans) = (self.meters.clone(), self.spans.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let admitted = gate.admit(&asks, request.headers());
            let timer = meters.as_ref().map(|meters| meters.begin(request.uri().path()));
            let span = spans.as_ref().and_then(|spans| {
                spans.begin(request.uri().path(), request.headers()).map(Box::new)
            });
            let present = begun.as_ref().map(|begun| begun.requests.enter());
            let known = admitted.as_ref().ok().map(|admitted| &admitted.who);
            let asking = visitor.asks(known, request.uri());
            let answering = desk.answering(request.uri().path());
            async move {
                let mut span = span;
                let response = match (admitted, answering) {
                    (Ok(admitted), Ok(mut routes)) => {
                        if let Some(span) = &mut span {
                            span.is_by(&admitted.who);
                            request.extensions_mut().insert(span.course());
                        }
                        if let Some(address) = address {
                            request.extensions_mut().insert(address);
                        }
                        request.extensions_mut().insert(admitted.who);
                        if let Some(rights) = admitted.rights {
                            request.extensions_mut().insert(rights);
                        }
                        routes.call(request).await?
                    }
                    (Err(refused), _) | (_, Err(refused)) => refused.into_http(),
                };
                // The request is over when its answer is.
                let response = Traced::new(response, span);
                Ok::<_, Infallible>(response.map(|body| Held::new(body, (present, asking, timer))))
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_header_list_size(MAX_HEADERS);
        room.limit(&mut builder);
        if let Some(patience) = patience {
            builder
                .keep_alive_interval(patience.keep_alive)
                .keep_alive_timeout(patience.keep_alive);
        }
        let socket = TokioIo::new(Corked::new(socket));
        let connection = builder.serve_connection(socket, service);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let limits = async {
                match &remote {
                    Some(remote) => remote.exceeded().await,
                    None => std::future::pending().await,
                }
            };
            let over = tokio::select! {
                served = connection.as_mut() => Err(served),
                () = lifecycle.closing() => Ok(Exceeded::Idle),
                _ = shift.changed() => Ok(Exceeded::Silent),
                exceeded = limits => Ok(exceeded),
            };
            let served = match over {
                Err(served) => served,
                Ok(Exceeded::Silent) => Ok(()),
                Ok(Exceeded::Idle) => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        served = connection => served,
                        () = lifecycle.ended() => Ok(()),
                        _ = shift.changed() => Ok(()),
                    }
                }
            };
            if let Err(error) = served {
                tracing::debug!(cause = %error, %origin, "a connection ended badly");
            }
            drop(open);
        });
    }
}
