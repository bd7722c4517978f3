//! Accepting connections, and serving HTTP/2 on whatever they come over.

pub(crate) mod unix;

use std::{io, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{codegen::Service as _, service::Routes};

pub use self::unix::SOCKET;
use crate::{
    corked::Corked,
    identity::Identity,
    lifecycle::Lifecycle,
    metrics::{Meters, Timed},
};

/// Flow control windows and frames that let content travel at memory speed, in bytes.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const FRAME: u32 = 512 << 10;

/// Metadata that one request may send, in bytes.
const MAX_HEADERS: u32 = 16 << 10;

/// How long to wait when a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Requests that one connection may have under way.
const MAX_STREAMS: u32 = 1024;

/// Where connections come from.
pub(crate) trait Accept {
    /// Accepts one, and has it served.
    async fn accept(&self, host: &Host) -> io::Result<()>;
}

/// Who serves connections.
#[derive(Clone)]
pub(crate) struct Host {
    routes: Routes,
    lifecycle: Arc<Lifecycle>,
    /// What times requests, where somebody wants to know.
    meters: Option<Arc<Meters>>,
}

impl Host {
    pub(crate) fn new(
        routes: Routes,
        lifecycle: &Arc<Lifecycle>,
        meters: Option<Arc<Meters>>,
    ) -> Self {
        Self { routes, lifecycle: Arc::clone(lifecycle), meters }
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

    /// Serves what `who` asks on `socket`, beside the caller, until one of the two ends it.
    pub(crate) fn serve<S>(&self, socket: S, who: Identity)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (routes, lifecycle) = (self.routes.clone(), Arc::clone(&self.lifecycle));
        let meters = self.meters.clone();
        let open = self.lifecycle.connected();
        let (asks, name) = (who.clone(), who);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(asks.clone());
            let timer = meters.as_ref().map(|meters| meters.begin(request.uri().path()));
            let answer = routes.clone().call(request);
            async { answer.await.map(|answer| answer.map(|body| Timed::new(body, timer))) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(MAX_HEADERS)
            .max_concurrent_streams(MAX_STREAMS)
            .serve_connection(TokioIo::new(Corked::new(socket)), service);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let served = tokio::select! {
                served = connection.as_mut() => Some(served),
                () = lifecycle.closing() => None,
            };
            let served = match served {
                Some(served) => served,
                None => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        served = connection => served,
                        () = lifecycle.ended() => Ok(()),
                    }
                }
            };
            if let Err(error) = served {
                tracing::debug!(cause = %error, who = %name, "a connection ended badly");
            }
            drop(open);
        });
    }
}
