//! TLS 1.3: the daemon's certificate, and whose certificates it takes, as a server and as the client of
//! another one.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_cert::{
    Certificate,
    der::{
        Decode as _,
        asn1::{PrintableStringRef, Utf8StringRef},
        oid::db::rfc4519::CN,
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// What only the daemon may read, and only it may change: bits of a mode that a file of secrets
/// must not have.
const OTHERS: u32 = 0o037;

/// The protocol that is spoken inside, as both sides say in the handshake.
const HTTP2: &[u8] = b"h2";

/// The files that TLS needs.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The authorities whose certificates are taken of clients.
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether a client without a certificate may have something else to show.
    pub(crate) tokens: bool,
}

/// The files that TLS with a server needs.
#[derive(Clone, Debug)]
pub(crate) struct PeerFiles {
    /// The authorities whose certificates are taken of it; `None`: the system's.
    pub(crate) ca: Option<PathBuf>,
    /// What it is shown: a certificate and its key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

/// Where the system keeps the authorities that it trusts.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of secrets is open to others.
    #[error(
        "{} is open to others (mode {mode:03o}); `chmod 600` it, or 640 for a group that reads it",
        file.display()
    )]
    Open {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file holds no certificate or key.
    #[error("{} is no PEM file of what it should hold", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The certificate of an authority is none.
    #[error("{} holds no certificate of an authority", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// A file holds no authority at all.
    #[error("{} holds no certificate of an authority that can be understood", file.display())]
    Nobody {
        /// The file.
        file: PathBuf,
    },
    /// A file of a token is empty, or holds what no header can.
    #[error("{} does not hold a token and nothing else", file.display())]
    Token {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not belong together, or are of no use.
    #[error("the certificate {} and its key cannot be used", file.display())]
    Unusable {
        /// The certificate.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What begins TLS with clients.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(default_provider());
    let unusable = |source| TlsError::Unusable { file: files.certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(unusable)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let refused = |source| TlsError::Authority { file: file.clone(), source };
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = if files.tokens { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(refused)?)
        }
    };
    let chain = certificates(&files.certificate)?;
    let mut config = builder.with_single_cert(chain, key(&files.key)?).map_err(unusable)?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    // Whoever comes again shows its certificate again: one that has expired since counts no more.
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What begins TLS with a server.
pub(crate) fn connector(files: &PeerFiles) -> Result<TlsConnector, TlsError> {
    let file = files.ca.clone().unwrap_or_else(|| SYSTEM.into());
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates(&file)?).0 == 0 {
        return Err(TlsError::Nobody { file });
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Unusable { file, source })?
        .with_root_certificates(roots);
    let mut config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((file, private)) => {
            let unusable = |source| TlsError::Unusable { file: file.clone(), source };
            let chain = certificates(file)?;
            builder.with_client_auth_cert(chain, key(private)?).map_err(unusable)?
        }
    };
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(none) if none.is_empty() => Err(pem_error(file, pem::Error::NoItemsFound)),
        Ok(found) => Ok(found),
        Err(source) => Err(pem_error(file, source)),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    check_private(file)?;
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|source| pem_error(file, source))
}

fn pem_error(file: &Path, source: pem::Error) -> TlsError {
    TlsError::Pem { file: file.to_owned(), source }
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

/// Refuses a file of secrets that others can read, or anybody else can change.
pub(crate) fn check_private(file: &Path) -> Result<(), TlsError> {
    let failed = |source| TlsError::Read { file: file.to_owned(), source };
    let mode = std::fs::metadata(file).map_err(failed)?.permissions().mode() & 0o777;
    match mode & OTHERS {
        0 => Ok(()),
        _ => Err(TlsError::Open { file: file.to_owned(), mode }),
    }
}

/// Whose a certificate is: its first URI or DNS name, else its common name; `None` where it has
/// neither. That it is genuine has been checked by then.
pub(crate) fn name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?.tbs_certificate;
    let others = certificate.get::<SubjectAltName>().ok().flatten();
    let named = others.iter().flat_map(|(_, names)| &names.0).find_map(|name| match name {
        GeneralName::UniformResourceIdentifier(name) | GeneralName::DnsName(name) => {
            Some(name.to_string())
        }
        _ => None,
    });
    named
        .or_else(|| {
            let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
            let value = &parts.into_iter().find(|part| part.oid == CN)?.value;
            let utf8 = Utf8StringRef::try_from(value).map(|text| text.to_string());
            utf8.or_else(|_| PrintableStringRef::try_from(value).map(|text| text.to_string())).ok()
        })
        .filter(|name| !name.is_empty() && !name.contains(char::is_control))
}
