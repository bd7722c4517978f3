//! TCP, for clients on other machines: under TLS, or in clear text on the loopback interface.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::Arc,
};

use onewriter_tree::Tree;
use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, unlinkat},
    net::sockopt::set_tcp_user_timeout,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Accept, Host, Patience, Remote};
use crate::{
    config::Network,
    gate::Origin,
    seldom::Seldom,
    tls::{self, TlsError},
};

/// Clients that may be about to show who they are, at once. Those who know nobody can take no more
/// than these places.
const HANDSHAKES: usize = 256;

/// Where the daemon listens for other machines, in `.onewriter/`: a URL a line.
pub const LISTENING: &str = "listening";

/// Why other machines cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// There is no certificate to serve with, or none to know clients by.
    #[error("there can be no TLS")]
    Tls(#[from] TlsError),
    /// An address that cannot be listened at.
    #[error("cannot listen at {address}")]
    Address {
        /// As it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot be told where.
    #[error("cannot write .onewriter/{LISTENING}")]
    Told(#[source] io::Error),
}

/// What all listening sockets have in common.
#[derive(Clone)]
pub(crate) struct Terms {
    /// `None`: in clear text.
    tls: Option<TlsAcceptor>,
    patience: Patience,
    places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    failed: Arc<Seldom>,
}

impl Terms {
    pub(crate) fn new(network: &Network) -> Result<Self, TlsError> {
        let Network { handshake, keep_alive, idle, max_connections, .. } = *network;
        Ok(Self {
            tls: network.tls.as_ref().map(tls::acceptor).transpose()?,
            patience: Patience { handshake, keep_alive, idle },
            places: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            failed: Arc::default(),
        })
    }
}

/// A listening socket.
pub(crate) struct Tcp {
    listener: TcpListener,
    terms: Terms,
}

impl Tcp {
    /// Listens at `address`; fails where that is not on the loopback interface, and there is no TLS.
    pub(crate) async fn bind(address: &str, terms: &Terms) -> io::Result<Self> {
        let places: Vec<_> = tokio::net::lookup_host(address).await?.collect();
        if terms.tls.is_none() && !places.iter().all(|place| place.ip().is_loopback()) {
            let why = "without TLS only the loopback interface is listened on";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let listener = TcpListener::bind(&places[..]).await?;
        Ok(Self { listener, terms: terms.clone() })
    }

    /// How clients name it: with the port that the kernel chose.
    pub(crate) fn url(&self) -> io::Result<String> {
        let scheme = if self.terms.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.listener.local_addr()?))
    }
}

impl Accept for Tcp {
    async fn accept(&self, host: &Host) -> io::Result<()> {
        let (socket, address) = self.listener.accept().await?;
        socket.set_nodelay(true)?;
        // Who reads nothing cannot be told goodbye either: the kernel gives up what cannot be sent.
        let unsent = 2 * self.terms.patience.keep_alive.as_millis().min(u32::MAX as u128 / 2);
        set_tcp_user_timeout(&socket, unsent as u32)?;
        // Told by hanging up, at no cost: whoever waits would wait for those who hold the places.
        let Ok(place) = Arc::clone(&self.terms.places).try_acquire_owned() else {
            tracing::debug!(%address, "too many connections");
            return Ok(());
        };
        let remote = Remote::new(address.ip(), self.terms.patience, place);
        let Some(tls) = self.terms.tls.clone() else {
            host.serve_remote(socket, Origin::Loopback, remote);
            return Ok(());
        };
        let Ok(shaking) = Arc::clone(&self.terms.handshakes).try_acquire_owned() else {
            tracing::debug!(%address, "too many handshakes");
            return Ok(());
        };
        let (host, limit) = (host.clone(), self.terms.patience.handshake);
        let failed = Arc::clone(&self.terms.failed);
        tokio::spawn(async move {
            let shaken = timeout(limit, tls.accept(socket)).await;
            drop(shaking);
            match shaken {
                Ok(Ok(socket)) => {
                    let origin = Origin::Tls(certified(&socket));
                    host.serve_remote(socket, origin, remote);
                }
                _ if !failed.may_tell() => {}
                Ok(Err(error)) => tracing::info!(%address, cause = %error, "TLS failed"),
                Err(_) => tracing::info!(%address, "TLS took too long"),
            }
        });
        Ok(())
    }
}

/// Whether the files are of use that TLS needs.
pub(crate) fn check(network: &Network) -> Result<(), TlsError> {
    Terms::new(network).map(drop)
}

/// Listens for other machines, and tells users and scripts where. The caller owns the root.
pub(crate) async fn listen(
    network: Option<&Network>,
    tree: &Tree,
) -> Result<Vec<Tcp>, ListenError> {
    let Some(network) = network else { return Ok(Vec::new()) };
    let (sockets, urls) = listen_at(network).await?;
    tell(tree, &urls).map_err(ListenError::Told)?;
    Ok(sockets)
}

/// The sockets, and their URLs, a line each.
pub(crate) async fn listen_at(network: &Network) -> Result<(Vec<Tcp>, String), ListenError> {
    let terms = Terms::new(network)?;
    let (mut sockets, mut urls) = (Vec::new(), String::new());
    for address in &network.listen {
        let failed = |source| ListenError::Address { address: address.clone(), source };
        let socket = Tcp::bind(address, &terms).await.map_err(failed)?;
        let url = socket.url().map_err(failed)?;
        tracing::info!(url, "listening");
        urls += &format!("{url}\n");
        sockets.push(socket);
    }
    Ok((sockets, urls))
}

fn tell(tree: &Tree, urls: &str) -> io::Result<()> {
    unlisten(tree);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let mut file = File::from(openat(tree.state(), LISTENING, flags, mode)?);
    file.write_all(urls.as_bytes())
}

/// Says no more where the daemon listens.
pub(crate) fn unlisten(tree: &Tree) {
    let _ = unlinkat(tree.state(), LISTENING, AtFlags::empty());
}

/// The name in the client's certificate.
fn certified(socket: &TlsStream<TcpStream>) -> Option<Arc<str>> {
    let certificate = socket.get_ref().1.peer_certificates()?.first()?;
    let name = tls::name(certificate);
    if name.is_none() {
        tracing::info!("a client's certificate has no name");
    }
    name.map(Into::into)
}
