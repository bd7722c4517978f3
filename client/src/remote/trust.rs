//! Certificates: whom the client trusts, how it shows who it is, and what went wrong with that.

use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    io,
    path::Path,
    sync::Arc,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    version::TLS13,
};

use super::Credentials;
use crate::failure::Failure;

/// Where the system keeps the authorities that it trusts.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

const CA: &str = "--tls-ca FILE (ONEWRITER_TLS_CA) names the certificate of the authority that signed the server's, as PEM";
const OWN: &str = "--tls-cert FILE and --tls-key FILE (ONEWRITER_TLS_CERT, ONEWRITER_TLS_KEY) name a certificate that the server's --tls-client-ca has signed, and its key, as PEM";
const RENEW: &str = "check both machines' clocks; else have the certificate renewed";
const NAMED: &str =
    "use a name or number that the certificate is for, or have one made that names this one";
const VERSION: &str = "the server has to speak TLS 1.3";

/// See [`super::Remote::authorization`].
pub(super) const TOKEN: &str =
    "--token-file FILE (ONEWRITER_TOKEN_FILE) names a file that holds the token and nothing else";

/// What a file of the user's own is good for, it is not.
pub(super) fn refuse(what: &str, path: &OsStr, why: &dyn Display, hint: &'static str) -> Failure {
    let message = format!("{what} '{}' cannot be used: {why}", path.display());
    Failure::Barred { message, hint }
}

/// TLS 1.3 as `credentials` ask for it.
pub(super) fn config(credentials: &Credentials) -> Result<Arc<ClientConfig>, Failure> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots(credentials.ca.as_deref())?);
    let mut config = match (&credentials.cert, &credentials.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = certificates("the client's certificate", cert, OWN)?;
            let unusable = |why: &dyn Display| refuse("the client's key", key, why, OWN);
            let private =
                PrivateKeyDer::from_pem_file(Path::new(key)).map_err(|e| unusable(&unread(e)))?;
            builder.with_client_auth_cert(chain, private).map_err(|error| unusable(&error))?
        }
        (Some(_), None) => {
            return Err(Failure::Usage("--tls-cert needs its key: --tls-key FILE".into()));
        }
        (None, Some(_)) => {
            return Err(Failure::Usage("--tls-key needs its certificate: --tls-cert FILE".into()));
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Those of `ca`, or the system's.
fn roots(ca: Option<&OsStr>) -> Result<RootCertStore, Failure> {
    let (path, what) = match ca {
        Some(path) => (path.to_owned(), "the authority's certificate"),
        None => (OsString::from(SYSTEM), "the system's file of authorities"),
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(what, &path, CA)?);
    match added {
        0 => Err(refuse(what, &path, &"none of its certificates can be understood", CA)),
        _ => Ok(roots),
    }
}

fn certificates(
    what: &str,
    path: &OsStr,
    hint: &'static str,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = CertificateDer::pem_file_iter(Path::new(path)).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| refuse(what, path, &unread(error), hint))?;
    match found.is_empty() {
        true => Err(refuse(what, path, &"it holds no certificate", hint)),
        false => Ok(found),
    }
}

/// The system's words where it is the system that failed.
fn unread(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it does not hold what it should, as PEM".into(),
        error => error.to_string(),
    }
}

/// What `error` says of the certificates and the protocol, if it is one of TLS; and the cure.
pub(super) fn explain(error: &io::Error, address: &dyn Display) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let (message, hint) = match error {
        Error::InvalidCertificate(why) => of_server(why, address),
        Error::AlertReceived(alert) => of_client(*alert, address),
        Error::InvalidMessage(_) => {
            let message = format!("what answers at '{address}' does not speak TLS");
            (message, "check the port; plaintext is http://, and for this machine only")
        }
        error => (format!("there is no TLS with '{address}': {error}"), VERSION),
    };
    Some(Failure::Barred { message, hint })
}

/// What is wrong with the server's certificate.
fn of_server(why: &CertificateError, address: &dyn Display) -> (String, &'static str) {
    let about = |what: &str| format!("the certificate of '{address}' {what}");
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            (about("is signed by no authority that the client trusts"), CA)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            (about("has expired"), RENEW)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            (about("is not valid yet"), RENEW)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (about("is for another host"), NAMED)
        }
        other => (about(&format!("cannot be trusted: {other}")), CA),
    }
}

/// What the server has against the client, or its certificate.
fn of_client(alert: AlertDescription, address: &dyn Display) -> (String, &'static str) {
    let about = |what: &str| format!("'{address}' {what}");
    match alert {
        AlertDescription::CertificateRequired => {
            (about("serves only clients that show a certificate"), OWN)
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            (about("does not trust the authority that signed the client's certificate"), OWN)
        }
        AlertDescription::CertificateExpired => {
            (about("says that the client's certificate has expired"), RENEW)
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            (about("does not accept the client's certificate"), OWN)
        }
        AlertDescription::ProtocolVersion => (about("speaks another version of TLS"), VERSION),
        other => (about(&format!("broke TLS off: {other:?}")), VERSION),
    }
}
