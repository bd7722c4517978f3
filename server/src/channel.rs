//! Connections to other servers that the daemon is a client of.

use std::{io, pin::Pin, task, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::{
    codegen::Service,
    transport::{Channel, Endpoint},
};

use crate::{
    config::ServerAt,
    tls::{self, PeerFiles, TlsError},
};

/// How long a connection may take to be made, at most.
const CONNECT: Duration = Duration::from_secs(5);

/// How often a server that is being asked has to show that its machine is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Flow control windows, in bytes. The one of a stream bounds what the daemon holds of an answer that
/// its client does not take; all streams have the largest that there is (RFC 9113, 6.9.1), so that two
/// thousand such answers keep no other from coming.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = i32::MAX as u32;

/// What the daemon calls itself in a server's log.
const AGENT: &str = concat!("onewriterd/", env!("CARGO_PKG_VERSION"));

/// Connects when it is used, for `patience` at most, and again when it broke.
pub(crate) fn channel(
    at: &ServerAt,
    files: &PeerFiles,
    patience: Duration,
) -> Result<Channel, TlsError> {
    let connector = Connector::new(at, files)?;
    let scheme = if at.tls { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{at}"));
    let endpoint = endpoint.and_then(|endpoint| endpoint.user_agent(AGENT));
    let endpoint = endpoint.expect("a parsed address is one of HTTP");
    Ok(endpoint
        .connect_timeout(CONNECT.min(patience))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .connect_with_connector_lazy(connector))
}

/// Makes connections to one server.
struct Connector {
    at: ServerAt,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    fn new(at: &ServerAt, files: &PeerFiles) -> Result<Self, TlsError> {
        let tls = match at.tls {
            true => Some((tls::connector(files)?, at.server_name())),
            false => None,
        };
        Ok(Self { at: at.clone(), tls })
    }
}

/// What HTTP/2 is spoken over.
trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

type Connecting =
    Pin<Box<dyn Future<Output = io::Result<TokioIo<Box<dyn Line>>>> + Send + 'static>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Line>>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Connecting {
        let (at, tls) = (self.at.clone(), self.tls.clone());
        Box::pin(async move {
            let socket = TcpStream::connect((&*at.host, at.port)).await?;
            socket.set_nodelay(true)?;
            let line: Box<dyn Line> = match tls {
                None => Box::new(socket),
                Some((tls, name)) => Box::new(tls.connect(name, socket).await?),
            };
            Ok(TokioIo::new(line))
        })
    }
}
