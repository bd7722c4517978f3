//! Answering Prometheus: HTTP/1, one request a connection, for peers that may be slow or bad.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use super::{Sources, page::CONTENT_TYPE};

/// Where the figures are.
pub(super) const PATH: &str = "/metrics";

/// Connections at a time. Those that come while so many are open wait for one to end, in the
/// kernel's queue.
pub(super) const MOST_CONNECTIONS: usize = 16;

/// How long a peer may take to ask, and to take the whole answer. Prometheus itself gives up after
/// ten seconds.
const HEADERS_LIMIT: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(15);

/// The largest request, in bytes (hyper takes no less), and the most of its headers.
const MAX_REQUEST: usize = 8 << 10;
const MAX_HEADERS: usize = 32;

/// How long to wait when a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Answers whoever connects, until it is dropped.
pub(super) async fn serve(listener: TcpListener, sources: Arc<Sources>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let sources = Arc::clone(&sources);
        let service = service_fn(move |request| {
            let answer = answer(&sources, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_LIMIT)
            .max_buf_size(MAX_REQUEST)
            .max_headers(MAX_HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(socket), service);
        tokio::spawn(async move {
            if let Ok(Err(error)) = timeout(LIMIT, connection).await {
                tracing::debug!(cause = %error, "figures were not fetched");
            }
            drop(place);
        });
    }
}

fn answer(sources: &Sources, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.uri().path(), request.method()) {
        (PATH, &Method::GET | &Method::HEAD) => (StatusCode::OK, CONTENT_TYPE, sources.render()),
        (PATH, _) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", format!("the figures are at {PATH}\n")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
