//! A daemon that is reached over TLS, with certificates and tokens of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Root, Setup};

/// The name by which clients check the daemon's certificate.
pub(super) const HOST: &str = "localhost";

/// The client that has a certificate.
const CLIENT: &str = "builder";

pub(super) struct Team {
    root: Root,
    files: TempDir,
    pub(super) address: SocketAddr,
}

impl Team {
    /// With so many tokens, and further `settings`. All may do everything.
    pub(super) fn new(setup: &Setup, tokens: usize, settings: &str) -> Self {
        let files = tempfile::tempdir().expect("a temp directory");
        let mut certs = Command::new(setup.bin.join("onewriterd"));
        certs.arg("certs").arg(files.path()).args(["--host", HOST, "--client", CLIENT]);
        certs.args((0..tokens).flat_map(|n| ["--token".to_owned(), token_name(n)]));
        let printed = certs.output().expect("onewriterd can be run");
        assert!(printed.status.success(), "certificates are made");
        let printed = String::from_utf8(printed.stdout).expect("settings");
        let all = "[[rules]]\nwho = [\"*\"]\npaths = [\".\"]\nmay = [\"read\", \"write\"]\n";
        let text = format!("listen = [\"127.0.0.1:0\"]\n{printed}\n{settings}\n{all}");
        let root = Root::with_settings(setup, "process", &text);
        let told = fs::read_to_string(root.path().join(".onewriter/listening"));
        let told = told.expect("where it listens");
        let (_, address) = told.trim().split_once("://").expect("a URL");
        Self { address: address.parse().expect("an address"), root, files }
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(super) fn token(&self, n: usize) -> String {
        let token = fs::read_to_string(self.file(&format!("{}.token", token_name(n))));
        token.expect("a token").trim().to_owned()
    }

    /// A client with a certificate, of the daemon behind `port`.
    pub(super) fn command(&self, port: u16, arguments: &[&str]) -> Command {
        let mut command = self.root.command(arguments);
        command
            .current_dir(self.files.path())
            .env("ONEWRITER_SERVER", format!("https://{HOST}:{port}"))
            .env("ONEWRITER_TLS_CA", self.file("ca.pem"))
            .env("ONEWRITER_TLS_CERT", self.file(&format!("{CLIENT}.pem")))
            .env("ONEWRITER_TLS_KEY", self.file(&format!("{CLIENT}.key")));
        command
    }

    /// What the daemon has in memory, in bytes.
    pub(super) fn resident(&self) -> u64 {
        let stats = self
            .root
            .command(&["stats", "--json"])
            .stderr(Stdio::inherit())
            .output()
            .expect("stats");
        let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
        stats["resident_bytes"].as_u64().expect("a number")
    }

    /// Connections of clients, with that of who asks.
    pub(super) fn connections(&self) -> u64 {
        let status = self.root.command(&["status", "--json"]).output().expect("a status");
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
        status["connections"].as_u64().expect("a number")
    }

    /// A client's TLS; with a certificate or, for one who has a token, without.
    pub(super) fn tls(&self, certified: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.file("ca.pem")).expect("an authority");
        roots.add(ca).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        let mut config = match certified {
            true => {
                let (chain, key) = self.pair(CLIENT);
                config.with_client_auth_cert(chain, key).expect("a certificate")
            }
            false => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// TLS of a server with the daemon's certificate, and nothing else to do.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.pair("server");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    fn pair(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let at = |end| self.file(&format!("{name}.{end}"));
        let chain = CertificateDer::pem_file_iter(at("pem")).expect("a certificate");
        let chain = chain.collect::<Result<_, _>>().expect("a certificate");
        (chain, PrivateKeyDer::from_pem_file(at("key")).expect("a key"))
    }

    pub(super) async fn connect(&self, tls: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(self.address).await.expect("the daemon listens");
        socket.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from(HOST).expect("a name");
        TlsConnector::from(Arc::clone(tls)).connect(name, socket).await.expect("it is known")
    }

    /// A connection on which the daemon has greeted.
    pub(super) async fn wire(&self, tls: &Arc<ClientConfig>) -> Wire {
        let socket = TokioIo::new(self.connect(tls).await);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
        let (sender, connection) = handshake.await.expect("HTTP/2");
        tokio::spawn(connection);
        Wire(sender)
    }
}

fn token_name(n: usize) -> String {
    format!("machine-{n}")
}

/// One connection, as tonic's clients take it.
#[derive(Clone)]
pub(super) struct Wire(hyper::client::conn::http2::SendRequest<tonic::body::Body>);

impl tower::Service<http::Request<tonic::body::Body>> for Wire {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Returns when `is_so`.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
