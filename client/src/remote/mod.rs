//! A daemon on another machine, or on a port of this one: reaching it, and proving who asks.

mod address;
mod trust;

use std::{
    ffi::{OsStr, OsString},
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use self::address::Address;
use crate::{
    failure::Failure,
    wire::{Connection, Line, Scheme, Socket, Tls},
};

/// How long a connection may take to come about, however long the client may wait for other
/// things.
const LIMIT: Duration = Duration::from_secs(15);

/// How long a server that was not heard before may take to say that it refuses the client.
const WELCOME: Duration = Duration::from_secs(1);

const NOBODY: &str = "check the address and the port; the daemon there listens with --listen HOST:PORT, and a client starts no daemon on another machine";

const BROKEN: &str = "check the address; is it onewriterd that listens there, with --listen?";

/// Where a daemon listens, and by what the two know each other.
#[derive(Debug)]
pub(crate) struct Remote {
    address: Address,
    credentials: Credentials,
}

/// Files that say whom to trust and who asks. Each is a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    /// Certificates of authorities, PEM.
    pub(crate) ca: Option<OsString>,
    /// The client's own certificate and those up to an authority, PEM.
    pub(crate) cert: Option<OsString>,
    /// Its key, PEM.
    pub(crate) key: Option<OsString>,
    /// A file that holds the client's token and nothing else.
    pub(crate) token: Option<OsString>,
}

/// Why there is no connection.
pub(crate) enum NoConnection {
    /// It may come about another time: nobody listens, or the way there is cut.
    Absent(Failure),
    /// It never will like this.
    Refused(Failure),
}

impl NoConnection {
    pub(crate) fn into_failure(self) -> Failure {
        let (Self::Absent(failure) | Self::Refused(failure)) = self;
        failure
    }
}

impl Remote {
    /// The daemon at `address`; `None` if it is not of a kind that is reached over TCP.
    pub(crate) fn parse(
        address: &OsStr,
        credentials: &Credentials,
    ) -> Result<Option<Self>, Failure> {
        let Some(text) = address.to_str() else { return Ok(None) };
        let address = Address::parse(text)?;
        Ok(address.map(|address| Self { address, credentials: credentials.clone() }))
    }

    /// The value of `authorization` that requests carry.
    pub(crate) fn authorization(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.credentials.token else { return Ok(None) };
        let refuse =
            |why: &dyn std::fmt::Display| trust::refuse("the token file", path, why, trust::TOKEN);
        let text = std::fs::read_to_string(path).map_err(|error| refuse(&error))?;
        match text.trim() {
            "" => Err(refuse(&"it is empty")),
            token if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Some(format!("Bearer {token}")))
            }
            _ => Err(refuse(&"a token is one word of printable ASCII")),
        }
    }

    /// Connects. `carefully`: what the server has against this client is waited for, since it could
    /// not be heard before.
    pub(crate) fn dial(
        &self,
        deadline: Instant,
        carefully: bool,
    ) -> Result<Connection<Line>, NoConnection> {
        let deadline = deadline.min(Instant::now() + LIMIT);
        let socket = self.reach(deadline)?;
        let authority = self.address.authority();
        if !self.address.tls {
            return Ok(Connection::with_origin(Line::Plain(socket), Scheme::Http, authority));
        }
        let config = trust::config(&self.credentials).map_err(NoConnection::Refused)?;
        let name = self.address.server_name().map_err(NoConnection::Refused)?;
        let mut tls = Tls::connect(socket, config, name, Some(deadline))
            .map_err(|error| self.no_handshake(error))?;
        if carefully {
            let patience = deadline.min(Instant::now() + WELCOME);
            tls.await_welcome(patience).map_err(|error| self.no_handshake(error))?;
        }
        Ok(Connection::with_origin(Line::Tls(Box::new(tls)), Scheme::Https, authority))
    }

    /// A TCP connection to any of the host's addresses.
    fn reach(&self, deadline: Instant) -> Result<Socket, NoConnection> {
        let found = self.address.resolve().map_err(NoConnection::Absent)?;
        let mut last = io::ErrorKind::NotFound.into();
        for (at, address) in found.iter().enumerate() {
            match connect(*address, deadline, found.len() - at) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(self.absent(&last))
    }

    /// Nobody listens there, or nobody that can be reached.
    pub(crate) fn absent(&self, error: &io::Error) -> NoConnection {
        let why = match error.kind() {
            io::ErrorKind::TimedOut => "nothing comes back".into(),
            _ => error.to_string(),
        };
        let message = format!("no daemon answers at '{}': {why}", self.address);
        NoConnection::Absent(Failure::Barred { message, hint: NOBODY })
    }

    fn no_handshake(&self, error: io::Error) -> NoConnection {
        if let Some(failure) = trust::explain(&error, &self.address) {
            return NoConnection::Refused(failure);
        }
        let why = match error.kind() {
            io::ErrorKind::TimedOut => "it did not answer in time".into(),
            io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
            _ => error.to_string(),
        };
        NoConnection::Absent(Failure::Barred {
            message: format!("there is no TLS with '{}': {why}", self.address),
            hint: BROKEN,
        })
    }

    /// What a call's failure means, where it is TLS that failed.
    pub(crate) fn explain(&self, error: &io::Error) -> Option<Failure> {
        trust::explain(error, &self.address)
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

/// Leaves time for the other addresses: one of them may swallow what is sent to it.
fn connect(address: SocketAddr, deadline: Instant, candidates: usize) -> io::Result<Socket> {
    let now = Instant::now();
    let share = deadline.saturating_duration_since(now) / candidates.max(1) as u32;
    Socket::connect_tcp(address, Some(now + share))
}
