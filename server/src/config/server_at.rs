//! Where another server is that the daemon is a client of.

use std::fmt;

use onewriter_proto::address;
use rustls::pki_types::ServerName;

/// A host and a port, and whether TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAt {
    pub(crate) tls: bool,
    /// A name, or a number without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl ServerAt {
    /// That of `HOST:PORT`. In clear text it must be on this machine.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, tls: bool) -> Result<Self, String> {
        let (host, port) = address::host_and_port(text).map_err(|why| format!("'{text}' {why}"))?;
        if ServerName::try_from(host).is_err() {
            return Err(format!("'{host}' is no name of a host"));
        }
        if !tls && !address::is_loopback(host) {
            return Err(format!(
                "'{text}' would be reached over the network without TLS, which is for this machine \
                 only (127.0.0.1, [::1], localhost)"
            ));
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }

    /// What its certificate is to be for.
    pub(crate) fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).expect("it was one when it was parsed")
    }
}

/// As HTTP has it.
impl fmt::Display for ServerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address::authority(&self.host, self.port))
    }
}
