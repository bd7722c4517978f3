//! Where a daemon listens, as `https://HOST:PORT`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
};

use onewriter_proto::address;
use rustls::pki_types::ServerName;

use crate::failure::Failure;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name, or a number without brackets.
    host: String,
    port: u16,
    pub(super) tls: bool,
}

impl Address {
    /// `None` if `text` begins like no such address.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let (rest, tls) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return Ok(None),
        };
        let refuse =
            |why: &str| Failure::Usage(format!("a server's address is https://HOST:PORT: {why}"));
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(refuse(&format!("'{text}' says more than that")));
        }
        let (host, port) =
            address::host_and_port(rest).map_err(|why| refuse(&format!("'{text}' {why}")))?;
        if !tls && !address::is_loopback(host) {
            return Err(refuse(&format!(
                "'{text}' would go over the network without TLS; http:// is for this machine only \
                 (127.0.0.1, [::1], localhost)"
            )));
        }
        Ok(Some(Self { host: host.to_owned(), port, tls }))
    }

    /// Where etcd listens, as `HOST:PORT`; it is spoken to in clear text.
    pub(super) fn of_etcd(text: &str) -> Option<Self> {
        let (host, port) = address::host_and_port(text).ok()?;
        Some(Self { host: host.to_owned(), port, tls: false })
    }

    /// As HTTP has it.
    pub(super) fn authority(&self) -> String {
        address::authority(&self.host, self.port)
    }

    /// What the server's certificate is to be for.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, Failure> {
        ServerName::try_from(self.host.clone())
            .map_err(|_| Failure::Usage(format!("'{}' is no name of a host", self.host)))
    }

    /// The host's addresses. The system's resolver has limits of its own (resolv.conf: some ten
    /// seconds): a thread that waits for it would cost every command thread-local memory.
    pub(super) fn resolve(&self) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(number) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(number, self.port)]);
        }
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        found.map(Iterator::collect).map_err(|error| Failure::Barred {
            message: format!("the host '{}' is not found: {error}", self.host),
            hint: "check the name; a number (https://192.0.2.1:PORT) needs no resolver, if the server's certificate names it",
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (text, authority) in [
            ("https://build.example:7070", "build.example:7070"),
            ("https://build.example:7070/", "build.example:7070"),
            ("https://192.0.2.1:1", "192.0.2.1:1"),
            ("https://[2001:db8::1]:7070", "[2001:db8::1]:7070"),
            ("http://127.0.0.1:80", "127.0.0.1:80"),
            ("http://[::1]:80", "[::1]:80"),
            ("http://localhost:80", "localhost:80"),
        ] {
            let address = Address::parse(text).unwrap().unwrap();
            assert_eq!(address.authority(), authority);
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
        assert_eq!(Address::parse("unix:/x").unwrap(), None);
    }

    #[test]
    fn what_is_no_address_is_refused_before_anything_is_sent() {
        for text in [
            "https://",
            "https://host",
            "https://host:",
            "https://host:0",
            "https://host:65536",
            "https://:7070",
            "https://::1:7070",
            "https://user@host:7070",
            "https://host:7070/root",
            "http://192.0.2.1:7070",
            "http://build.example:7070",
        ] {
            assert!(matches!(Address::parse(text), Err(Failure::Usage(_))), "{text}");
        }
    }
}
