//! Where a daemon is, and connecting to it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::Instant,
};

use onewriter_tree::path::STATE_DIR;

use crate::{
    failure::{Failure, with_sources},
    place::Place,
    remote::Remote,
    wire::{Connection, Line, Socket},
};

/// The file in the state directory in which the daemon writes down its process id, for people.
const LOCK: &str = "lock";

/// What to do where none answers at an address.
pub(crate) const ANOTHER_ADDRESS: &str = "check the address; without --server and ONEWRITER_SERVER the daemon of the build root is used, and started where none runs";

/// Where the daemon is.
#[derive(Debug)]
pub(crate) enum Server {
    /// At the socket of this root; it may be started.
    Root(Place),
    /// At this socket, whoever listens there.
    Unix(std::path::PathBuf),
    /// On another machine, or at a port of this one.
    Remote(Box<Remote>),
}

/// Why there is no connection.
pub(crate) enum Dial {
    /// Nobody listens.
    NoDaemon(std::io::Error),
    Failed(Failure),
}

impl Server {
    /// Connects, and starts nothing. Waits for a remote one that is about to come, until the deadline.
    pub(crate) fn dial(&self, deadline: Instant) -> Result<Connection<Line>, Dial> {
        let left = deadline.saturating_duration_since(Instant::now());
        let at = |path: &Path| {
            Socket::connect_unix(path, Some(left))
                .map(|socket| Connection::new(Line::Plain(socket)))
        };
        let dialled = match self {
            Self::Unix(path) => at(path),
            Self::Remote(remote) => {
                let dialled = remote.reach(deadline);
                return dialled.map_err(|error| Dial::Failed(error.into_failure()));
            }
            Self::Root(place) => {
                let (path, _handle) = place.socket().map_err(Dial::Failed)?;
                at(&path)
            }
        };
        dialled.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                Dial::NoDaemon(error)
            }
            std::io::ErrorKind::WouldBlock => Dial::Failed(self.silent()),
            std::io::ErrorKind::PermissionDenied => Dial::Failed(Failure::Barred {
                message: format!("cannot connect to the daemon: {error}"),
                hint: "a build root and its daemon belong to the user who made it: run the command as that user",
            }),
            _ if matches!(self, Self::Unix(_)) => Dial::Failed(Failure::Barred {
                message: format!("cannot connect to the daemon: {}", with_sources(&error)),
                hint: ANOTHER_ADDRESS,
            }),
            _ => Dial::Failed(Failure::Unreachable(format!(
                "cannot connect to the daemon: {}",
                with_sources(&error)
            ))),
        })
    }

    /// The daemon does not answer: says which one.
    pub(crate) fn silent(&self) -> Failure {
        let lock = match self {
            Self::Root(place) => std::fs::read_to_string(place.root().join(STATE_DIR).join(LOCK)),
            Self::Unix(_) => Ok(String::new()),
            Self::Remote(remote) => return Self::no_answer(remote),
        };
        // It may be an old one's, but then nobody would have accepted the connection.
        let pid = lock.ok().and_then(|text| text.trim().parse::<u32>().ok());
        let which = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        Failure::TimedOut(format!(
            "the daemon{which} did not answer in time (is it stopped, or its disk stuck?)"
        ))
    }

    pub(crate) fn no_answer(remote: &Remote) -> Failure {
        Failure::TimedOut(format!("the daemon at '{remote}' did not answer in time"))
    }

    /// What requests carry to say who asks, where the transport does not.
    pub(crate) fn authorization(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::Remote(remote) => remote.authorization(),
            Self::Root(_) | Self::Unix(_) => Ok(None),
        }
    }

    /// A path as it was typed, as the wire wants it. A server that is named by its address gets
    /// it as it is.
    pub(crate) fn path(&self, typed: &OsStr) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Root(place) => place.relative(typed),
            Self::Unix(_) | Self::Remote(_) => Ok(typed.as_bytes().to_vec()),
        }
    }

    /// Several of them.
    pub(crate) fn paths(&self, typed: &[OsString]) -> Result<Vec<Vec<u8>>, Failure> {
        typed.iter().map(|path| self.path(path)).collect()
    }
}
