//! A daemon on another machine, or on a port of this one: reaching it, and proving who asks.

mod address;
mod cluster;
mod trust;

use std::{
    cell::RefCell,
    ffi::{OsStr, OsString},
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use self::{
    address::Address,
    cluster::{Cluster, Tenure},
};
use crate::{
    failure::Failure,
    wire::{Connection, Line, Scheme, Socket, Tls, Watched},
};

/// How long a connection may take to come about, however long the client may wait for other
/// things.
const LIMIT: Duration = Duration::from_secs(15);

/// The pauses before an owner is looked for again: the first, and the longest of those that follow.
pub(crate) const PAUSE: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_millis(500));

/// How long a server that was not heard before may take to say that it refuses the client.
const WELCOME: Duration = Duration::from_secs(1);

const NOBODY: &str = "check the address and the port; the daemon there listens with --listen HOST:PORT, and a client starts no daemon on another machine";

const BROKEN: &str = "check the address; is it onewriterd that listens there, with --listen?";

/// Where a daemon is, and by what the two know each other.
#[derive(Debug)]
pub(crate) struct Remote {
    place: Place,
    credentials: Credentials,
    /// Who is said to own the root instead, by a daemon that does not.
    elsewhere: RefCell<Option<Address>>,
}

/// How a daemon is named.
#[derive(Debug)]
enum Place {
    /// By where it listens.
    At(Address),
    /// By the root, of which etcd knows the owner.
    Cluster(Cluster),
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
        let place = match Cluster::parse(text)? {
            Some(cluster) => Some(Place::Cluster(cluster)),
            None => Address::parse(text)?.map(Place::At),
        };
        let (credentials, elsewhere) = (credentials.clone(), RefCell::default());
        Ok(place.map(|place| Self { place, credentials, elsewhere }))
    }

    /// Whether another daemon follows where this one is lost.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// Where a daemon that does not own the root says who does: that one is tried next.
    pub(crate) fn follow(&self, owner: Option<&str>) {
        let owner = owner.and_then(|owner| Address::parse(owner).ok().flatten());
        *self.elsewhere.borrow_mut() = owner;
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
        let said = self.elsewhere.borrow_mut().take();
        let (address, tenure) = match (&self.place, said) {
            (Place::At(_), Some(said)) => (said, None),
            (Place::At(address), None) => (address.clone(), None),
            // What etcd says is newer than what a daemon has heard of it.
            (Place::Cluster(cluster), _) => {
                let owner = cluster.owner(deadline)?;
                (owner.address, Some(owner.tenure))
            }
        };
        self.dial_at(&address, tenure, deadline, carefully)
    }

    fn dial_at(
        &self,
        address: &Address,
        tenure: Option<Tenure>,
        deadline: Instant,
        carefully: bool,
    ) -> Result<Connection<Line>, NoConnection> {
        let socket = connect_to(address, deadline)?;
        let watched = |line| match tenure {
            Some(tenure) => Watched::line(line, tenure),
            None => line,
        };
        let authority = address.authority();
        if !address.tls {
            let line = watched(Line::Plain(socket));
            return Ok(Connection::with_origin(line, Scheme::Http, authority));
        }
        let config = trust::config(&self.credentials).map_err(NoConnection::Refused)?;
        let name = address.server_name().map_err(NoConnection::Refused)?;
        let mut tls = Tls::connect(socket, config, name, Some(deadline))
            .map_err(|error| no_handshake(address, error))?;
        if carefully {
            let patience = deadline.min(Instant::now() + WELCOME);
            tls.await_welcome(patience).map_err(|error| no_handshake(address, error))?;
        }
        let line = watched(Line::Tls(Box::new(tls)));
        Ok(Connection::with_origin(line, Scheme::Https, authority))
    }

    /// Connects, or waits until that can be where another daemon may follow one that has died.
    pub(crate) fn reach(&self, deadline: Instant) -> Result<Connection<Line>, NoConnection> {
        let mut pause = PAUSE.0;
        loop {
            match self.dial(deadline, false) {
                Err(NoConnection::Absent(failure)) if self.is_cluster() => {
                    if Instant::now() + pause >= deadline {
                        return Err(NoConnection::Absent(failure));
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE.1);
                }
                done => return done,
            }
        }
    }

    /// Nobody listens there.
    pub(crate) fn absent(&self, error: &io::Error) -> NoConnection {
        absent(self, error)
    }

    /// What a call's failure means, where it is TLS that failed.
    pub(crate) fn explain(&self, error: &io::Error) -> Option<Failure> {
        trust::explain(error, self)
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::At(address) => address.fmt(f),
            Place::Cluster(cluster) => cluster.fmt(f),
        }
    }
}

/// A TCP connection to any of the host's addresses.
fn connect_to(address: &Address, deadline: Instant) -> Result<Socket, NoConnection> {
    let found = address.resolve().map_err(NoConnection::Absent)?;
    let mut last = io::ErrorKind::NotFound.into();
    for (at, place) in found.iter().enumerate() {
        match connect(*place, deadline, found.len() - at) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(absent(address, &last))
}

/// Nobody listens there, or nobody that can be reached.
fn absent(place: &dyn std::fmt::Display, error: &io::Error) -> NoConnection {
    let why = match error.kind() {
        io::ErrorKind::TimedOut => "nothing comes back".into(),
        _ => error.to_string(),
    };
    let message = format!("no daemon answers at '{place}': {why}");
    NoConnection::Absent(Failure::Barred { message, hint: NOBODY })
}

fn no_handshake(address: &Address, error: io::Error) -> NoConnection {
    if let Some(failure) = trust::explain(&error, address) {
        return NoConnection::Refused(failure);
    }
    let why = match error.kind() {
        io::ErrorKind::TimedOut => "it did not answer in time".into(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        _ => error.to_string(),
    };
    NoConnection::Absent(Failure::Barred {
        message: format!("there is no TLS with '{address}': {why}"),
        hint: BROKEN,
    })
}

/// Leaves time for the other addresses: one of them may swallow what is sent to it.
fn connect(address: SocketAddr, deadline: Instant, candidates: usize) -> io::Result<Socket> {
    let now = Instant::now();
    let share = deadline.saturating_duration_since(now) / candidates.max(1) as u32;
    Socket::connect_tcp(address, Some(now + share))
}
