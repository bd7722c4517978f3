//! `onewriterd certs`: an authority, certificates and tokens for a first try.
//!
//! What a company's own authority issues is as good. Keys and tokens can be read by their owner only,
//! and nothing that is there is overwritten: in a directory that has an authority, more clients are added.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::tokens;

/// The modes of what may be known, and of what may not.
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Of a token, in bytes: so many that nobody finds one by trying.
const TOKEN: usize = 32;

/// From when and until when certificates are good. It is for a first try: nobody should have to think
/// of clocks or renewal.
const YEARS: (i32, i32) = (2020, 2100);

/// What to make.
#[derive(Clone, Debug, Args)]
pub struct Certs {
    /// Where to put it; it is made if it is not there. An authority that is there issues the certificates
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// A name or address of the server; may be given more than once [default: localhost, 127.0.0.1, ::1]
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// Make NAME.pem and NAME.key for a client that is to be known as `cert:NAME`; may be given more than
    /// once
    #[arg(long = "client", value_name = "NAME")]
    clients: Vec<String>,

    /// Make NAME.token for a client that is to be known as `token:NAME`, and list it in tokens.toml; may
    /// be given more than once
    #[arg(long = "token", value_name = "NAME")]
    tokens: Vec<String>,
}

/// Why they could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A name that no file, or no certificate, can have.
    #[error("`{0}` cannot be a name here: letters, digits, `.`, `_` and `-` can")]
    Name(String),
    /// There is one of that name.
    #[error("{} is there already; remove it to have another, or name a new client or token", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot make {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate of that kind.
    #[error("cannot make the certificate of {name}")]
    Certificate {
        /// Whose.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The kernel has no random numbers.
    #[error("there are no random numbers")]
    Random,
}

impl Certs {
    /// Makes all of it, and says what for.
    ///
    /// # Errors
    /// [`CertsError`]; what was made by then stays.
    pub fn make(&self) -> Result<String, CertsError> {
        for name in self.clients.iter().chain(&self.tokens) {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let is_taken = ["ca", "server", "tokens"].contains(&&**name);
            if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_good) || is_taken {
                return Err(CertsError::Name(name.clone()));
            }
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.directory);
        made.map_err(|source| CertsError::Write { path: self.directory.clone(), source })?;
        let authority = self.authority()?;
        let is_new = !self.directory.join("server.pem").exists();
        if is_new || !self.hosts.is_empty() {
            let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
            let hosts = if self.hosts.is_empty() { hosts.to_vec() } else { self.hosts.clone() };
            self.certificate("server", hosts, ExtendedKeyUsagePurpose::ServerAuth, &authority)?;
        }
        for name in &self.clients {
            self.certificate(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth, &authority)?;
        }
        if !self.tokens.is_empty() {
            self.make_tokens()?;
        }
        Ok(self.told())
    }

    /// The one whose key is there, or a new one.
    fn authority(&self) -> Result<Issuer<'static, KeyPair>, CertsError> {
        let failed = |source| CertsError::Certificate { name: "ca".into(), source };
        let mut wanted = params("onewriter", Vec::new()).map_err(failed)?;
        wanted.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let path = self.directory.join("ca.key");
        match std::fs::read_to_string(&path) {
            Ok(key) => {
                return Ok(Issuer::new(wanted, KeyPair::from_pem(&key).map_err(failed)?));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(CertsError::Read { path, source }),
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = wanted.self_signed(&key).map_err(failed)?;
        self.write("ca.pem", PUBLIC, &certificate.pem())?;
        self.write("ca.key", PRIVATE, &key.serialize_pem())?;
        Ok(Issuer::new(wanted, key))
    }

    fn certificate(
        &self,
        name: &str,
        hosts: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
        authority: &Issuer<'_, KeyPair>,
    ) -> Result<(), CertsError> {
        let failed = |source| CertsError::Certificate { name: name.to_owned(), source };
        let mut wanted = params(name, hosts).map_err(failed)?;
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        wanted.extended_key_usages = vec![usage];
        wanted.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = wanted.signed_by(&key, authority).map_err(failed)?;
        self.write(&format!("{name}.key"), PRIVATE, &key.serialize_pem())?;
        self.write(&format!("{name}.pem"), PUBLIC, &certificate.pem())
    }

    fn make_tokens(&self) -> Result<(), CertsError> {
        let mut list = String::new();
        for name in &self.tokens {
            let mut bytes = [0; TOKEN];
            SystemRandom::new().fill(&mut bytes).map_err(|_| CertsError::Random)?;
            let token = onewriter_store::to_hex(&bytes);
            self.write(&format!("{name}.token"), PRIVATE, &format!("{token}\n"))?;
            list += &format!("\"{name}\" = \"{}\"\n", tokens::entry(token.as_bytes()));
        }
        self.put("tokens.toml", OpenOptions::new().append(true).create(true), PRIVATE, &list)
    }

    /// Makes a new file.
    fn write(&self, name: &str, mode: u32, text: &str) -> Result<(), CertsError> {
        self.put(name, OpenOptions::new().write(true).create_new(true), mode, text)
    }

    fn put(
        &self,
        name: &str,
        how: &mut OpenOptions,
        mode: u32,
        text: &str,
    ) -> Result<(), CertsError> {
        let path = self.directory.join(name);
        let opened = how.mode(mode).open(&path);
        opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| {
            match source.kind() {
                io::ErrorKind::AlreadyExists => CertsError::Exists { path },
                _ => CertsError::Write { path, source },
            }
        })
    }

    /// The settings that go with it.
    fn told(&self) -> String {
        let at = |name: &str| shown(&self.directory.join(name));
        let mut told = format!(
            "# For .onewriter/daemon.toml; clients need {}, and their own files\n\
             tls-cert = {}\ntls-key = {}\n",
            at("ca.pem"),
            at("server.pem"),
            at("server.key"),
        );
        if !self.clients.is_empty() {
            told += &format!("tls-client-ca = {}\n", at("ca.pem"));
        }
        if self.directory.join("tokens.toml").exists() {
            told += &format!("tokens = {}\n", at("tokens.toml"));
        }
        told
    }
}

fn params(name: &str, hosts: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(YEARS.0, 1, 1);
    params.not_after = date_time_ymd(YEARS.1, 1, 1);
    Ok(params)
}

/// A path as TOML has it.
fn shown(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;
    use crate::tls::{self, TlsFiles};

    #[test]
    fn what_is_made_serves_and_says_who_has_it_and_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("new");
        let certs = Certs {
            directory: directory.clone(),
            hosts: vec!["build.example".into(), "192.0.2.1".into()],
            clients: vec!["builder-7".into()],
            tokens: vec!["nightly".into()],
        };
        let told: toml::Table = certs.make().unwrap().parse().unwrap();
        assert_eq!(told.len(), 4, "{told}");

        let at = |name: &str| directory.join(name);
        let files = TlsFiles {
            certificate: at("server.pem"),
            key: at("server.key"),
            client_ca: Some(at("ca.pem")),
            tokens: true,
        };
        tls::acceptor(&files).map(drop).unwrap();
        let name = |file| tls::name(&CertificateDer::from_pem_file(at(file)).unwrap());
        assert_eq!(name("builder-7.pem").as_deref(), Some("builder-7"), "the common name");
        assert_eq!(name("server.pem").as_deref(), Some("build.example"), "the first DNS name");
        for file in ["ca.key", "server.key", "builder-7.key", "nightly.token", "tokens.toml"] {
            let mode = std::fs::metadata(at(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, PRIVATE, "{file}");
        }
        let token = std::fs::read_to_string(at("nightly.token")).unwrap();
        let tokens = tokens::Tokens::read(&at("tokens.toml")).unwrap();
        assert_eq!(tokens.owner(token.trim().as_bytes()).as_deref(), Some("nightly"));

        let all =
            || ["ca.pem", "ca.key", "server.pem", "builder-7.pem"].map(|f| std::fs::read(at(f)));
        let before = all().map(Result::unwrap);
        assert!(matches!(certs.make(), Err(CertsError::Exists { .. })));
        let more = Certs {
            hosts: vec![],
            clients: vec!["builder-8".into()],
            tokens: vec!["weekly".into()],
            ..certs
        };
        more.make().unwrap();
        assert_eq!(all().map(Result::unwrap), before);
        let token = std::fs::read_to_string(at("weekly.token")).unwrap();
        let tokens = tokens::Tokens::read(&at("tokens.toml")).unwrap();
        assert_eq!(tokens.owner(token.trim().as_bytes()).as_deref(), Some("weekly"));
    }

    #[test]
    fn a_name_cannot_be_a_path_or_what_is_made_anyway() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "../x", "a/b", ".x", "ca", "server", "a b"] {
            let certs = Certs {
                directory: dir.path().join("d"),
                hosts: vec![],
                clients: vec![name.into()],
                tokens: vec![],
            };
            assert!(matches!(certs.make(), Err(CertsError::Name(_))), "{name}");
        }
        assert!(!dir.path().join("d").exists());
    }
}
