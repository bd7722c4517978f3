//! Clients of other machines: who they are, what they may do, and what they cannot do to others.

mod abuse;
mod authentication;
mod policy;
mod sight;
mod transactions;

use std::{net::SocketAddr, sync::Arc};

use clap::Parser as _;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{
    certs::Certs,
    config::{LimitEntry, RuleEntry},
};

/// A daemon that other machines can reach, and the files by which they know each other.
struct Server {
    daemon: Daemon,
    files: tempfile::TempDir,
    address: SocketAddr,
}

/// `onewriterd certs`, with these clients and tokens.
#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    certs: Certs,
}

/// The clients of a test: `cert:alice`, `cert:bob` and `token:nightly`.
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let wanted = ["--client", "alice", "--client", "bob", "--token", "nightly"];
    let words = ["certs", at].into_iter().chain(wanted);
    Command::parse_from(words).certs.make().unwrap();
    dir
}

fn rule(who: &str, path: &str, may: &[&str]) -> RuleEntry {
    RuleEntry {
        who: vec![who.into()],
        paths: vec![path.into()],
        may: may.iter().map(|kind| kind.to_string()).collect(),
    }
}

impl Server {
    /// One in which all may do everything.
    async fn start() -> Self {
        Self::with(|settings| settings.allow = vec!["*".into()]).await
    }

    /// One in which all may do everything, and alice has so many requests at once.
    async fn with_requests(requests: usize) -> Self {
        Self::with(|settings| {
            settings.allow = vec!["*".into()];
            settings.limits = vec![LimitEntry {
                who: vec!["cert:alice".into()],
                requests: Some(requests),
                ..LimitEntry::default()
            }];
        })
        .await
    }

    async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let files = files();
        let at = |name: &str| Some(files.path().join(name));
        let daemon = Daemon::with(new_root(), |config| {
            let mut settings = Settings {
                listen: vec!["127.0.0.1:0".into()],
                tls_cert: at("server.pem"),
                tls_key: at("server.key"),
                tls_client_ca: at("ca.pem"),
                tokens: at("tokens.toml"),
                ..config.settings.clone()
            };
            adjust(&mut settings);
            *config = Config::of(settings).unwrap();
        })
        .await;
        let told = std::fs::read_to_string(daemon.path(".onewriter/listening")).unwrap();
        let address = told.trim().split_once("://").unwrap().1.parse().unwrap();
        Self { daemon, files, address }
    }

    /// A client's TLS: with the certificate of `name`, if any, as files have it.
    fn tls(&self, name: Option<&str>) -> ClientConfig {
        let certified = name.map(|name| {
            let at = |end| self.files.path().join(format!("{name}.{end}"));
            let certificate = CertificateDer::from_pem_file(at("pem")).unwrap();
            (certificate, PrivateKeyDer::from_pem_file(at("key")).unwrap())
        });
        self.tls_with(certified)
    }

    fn tls_with(
        &self,
        certified: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.files.path().join("ca.pem")).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match certified {
            Some((certificate, key)) => {
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    async fn shake(&self, tls: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        in_time(TlsConnector::from(Arc::new(tls)).connect(name, socket)).await
    }

    /// A connection of `cert:NAME`.
    async fn wire(&self, name: &str) -> Wire {
        let socket = self.shake(self.tls(Some(name))).await.unwrap();
        wire_over(socket).await
    }

    fn token(&self) -> String {
        let file = std::fs::read_to_string(self.files.path().join("nightly.token"));
        file.unwrap().trim().to_owned()
    }

    async fn mutations(&self, name: &str) -> MutationsClient<Wire> {
        client(self.wire(name).await)
    }

    async fn reading(&self, name: &str) -> ReadingClient<Wire> {
        ReadingClient::with_origin(self.wire(name).await, ORIGIN.parse().unwrap())
    }

    /// The daemon is well if it does something for somebody else.
    async fn serves(&self, path: &str) {
        let mut client = self.mutations("bob").await;
        in_time(client.make_directories(mkdir(&[path]))).await.unwrap();
        assert!(self.daemon.path(path).is_dir());
    }
}

pub(super) async fn wire_over(
    socket: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> Wire {
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    Wire(sender)
}

/// A request with a token.
fn with_token<T>(message: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let said = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", said);
    request
}

/// A certificate that `issuer` signs, and its key.
fn signed(
    name: &str,
    issuer: &Issuer<'_, KeyPair>,
    adjust: impl FnOnce(&mut CertificateParams),
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}
