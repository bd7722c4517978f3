//! The connection to a store.

use std::{io, path::Path, pin::Pin, task, time::Duration};

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
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    config::{StoreSettings, StoreUrl},
    tls::{self, TlsError},
};

/// How long a connection may take to be made, at most.
const CONNECT: Duration = Duration::from_secs(5);

/// How often a store that is being asked has to show that its machine is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Flow control windows, in bytes. They bound what the daemon holds of the store's answers.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// What the daemon calls itself in the store's log.
const AGENT: &str = concat!("onewriterd/", env!("CARGO_PKG_VERSION"));

/// Connects when it is used, and again when it broke.
pub(super) fn channel(settings: &StoreSettings) -> Result<Channel, TlsError> {
    let connector = Connector::new(settings)?;
    let StoreSettings { url, patience, .. } = settings;
    let scheme = if url.tls() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", url.authority()));
    let endpoint = endpoint.and_then(|endpoint| endpoint.user_agent(AGENT));
    let endpoint = endpoint.expect("a parsed address is one of HTTP");
    Ok(endpoint
        .connect_timeout(CONNECT.min(*patience))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .connect_with_connector_lazy(connector))
}

/// The `authorization` that shows the token in `file`.
pub(super) fn token(file: &Path) -> Result<MetadataValue<Ascii>, TlsError> {
    tls::check_private(file)?;
    let token = tls::read(file)?;
    let shown = [b"Bearer ", token.trim_ascii()].concat();
    let shown = MetadataValue::try_from(&*shown).ok().filter(|_| !token.trim_ascii().is_empty());
    let mut shown = shown.ok_or_else(|| TlsError::Token { file: file.to_owned() })?;
    shown.set_sensitive(true);
    Ok(shown)
}

/// Makes connections to one store.
struct Connector {
    url: StoreUrl,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    fn new(settings: &StoreSettings) -> Result<Self, TlsError> {
        let url = settings.url.clone();
        let tls = match url.tls() {
            true => Some((tls::connector(&settings.tls)?, url.server_name())),
            false => None,
        };
        Ok(Self { url, tls })
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
        let (url, tls) = (self.url.clone(), self.tls.clone());
        Box::pin(async move {
            let socket = TcpStream::connect((url.host(), url.port())).await?;
            socket.set_nodelay(true)?;
            let line: Box<dyn Line> = match tls {
                None => Box::new(socket),
                Some((tls, name)) => Box::new(tls.connect(name, socket).await?),
            };
            Ok(TokioIo::new(line))
        })
    }
}
