//! Servers of a test's own, of which the daemon is a client.

use hyper::{server::conn::http2, service::service_fn};
use tokio::net::TcpStream;
use tonic::service::Routes;

use super::*;

/// Serves these on one connection, to its end.
pub(super) async fn serve(socket: TcpStream, routes: Routes) {
    let service = service_fn(move |request| {
        let mut routes = routes.clone();
        async move { routes.call(request).await }
    });
    let builder = http2::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
}
