//! Reaching the daemon: connect, start it where none answers, call, try again where that is safe.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use onewriter_proto::{
    PROTOCOL_KEY,
    v1::{
        BatchRequest, Context, HardLinkRequest, MakeDirectoriesRequest, Mutation, MutationResponse,
        PublishLocalRequest, PublishStagedRequest, RemoveRequest, RenameRequest,
        SetAttributesRequest, SymlinkRequest, TouchRequest, mutation::Kind,
    },
};
use onewriter_tree::{Reason, path::STATE_DIR};
use prost::Message;

use crate::{
    context::is_inside_transaction,
    failure::{Failure, with_sources},
    place::Place,
    start,
    wire::{Call, CallError, CallOptions, Connection, Socket, Status},
};

/// [`onewriter_proto::PROTOCOL`] as metadata has it.
const PROTOCOL: &str = "1";

/// How often a request is begun anew on another connection.
const ATTEMPTS: usize = 4;

/// The pause before a request is brought to the successor of a daemon that is about to end.
const SUCCESSION: Duration = Duration::from_millis(5);

/// The file in the state directory in which the daemon writes down its process id, for people.
const LOCK: &str = "lock";

/// Where the daemon is.
#[derive(Debug)]
pub(crate) enum Server {
    /// At the socket of this root; it may be started.
    Root(Place),
    /// At this socket, whoever listens there.
    Unix(std::path::PathBuf),
}

/// What to do where none answers at an address.
const ANOTHER_ADDRESS: &str = "check the address; without --server and ONEWRITER_SERVER the daemon of the build root is used, and started where none runs";

impl Server {
    /// The daemon does not answer: says which one.
    fn silent(&self) -> Failure {
        let lock = match self {
            Self::Root(place) => std::fs::read_to_string(place.root().join(STATE_DIR).join(LOCK)),
            Self::Unix(_) => Ok(String::new()),
        };
        // It may be an old one's, but then nobody would have accepted the connection.
        let pid = lock.ok().and_then(|text| text.trim().parse::<u32>().ok());
        let which = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        Failure::TimedOut(format!(
            "the daemon{which} did not answer in time (is it stopped, or its disk stuck?)"
        ))
    }
}

/// Calls to one daemon.
pub(crate) struct Session<'a> {
    server: &'a Server,
    timeout: Duration,
    may_start: bool,
    connection: Option<Connection<Socket>>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Whether a request may be made again when it is not known what became of the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once.
    Safe,
    /// Only if it is certain that it was not begun.
    Never,
}

impl<'a> Session<'a> {
    /// `may_start`: start the daemon of a root where none runs.
    pub(crate) fn new(server: &'a Server, timeout: Duration, may_start: bool) -> Self {
        Self { server, timeout, may_start, connection: None }
    }

    /// A call of one message each way.
    pub(crate) fn unary<Q: Message, R: Message + Default>(
        &mut self,
        method: &str,
        request: &Q,
        repeat: Repeat,
    ) -> Result<R, Failure> {
        let limit = Some(self.timeout);
        self.attempt(repeat, limit, |connection, options| {
            connection.unary(method, request, options)
        })
    }

    /// A call whose messages `talk` sends and receives. It is made again only if nothing came back;
    /// a `talk` that cannot begin anew says [`CallError::Closed`] with `answered`.
    pub(crate) fn stream<T>(
        &mut self,
        method: &str,
        talk: impl FnMut(&mut Call<'_, Socket>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.talk(Repeat::Never, method, talk)
    }

    /// As [`Session::stream`], for a `talk` that can always begin anew where it fails.
    pub(crate) fn stream_again<T>(
        &mut self,
        method: &str,
        talk: impl FnMut(&mut Call<'_, Socket>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.talk(Repeat::Safe, method, talk)
    }

    fn talk<T>(
        &mut self,
        repeat: Repeat,
        method: &str,
        mut talk: impl FnMut(&mut Call<'_, Socket>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.attempt(repeat, Some(self.timeout), |connection, options| {
            connection.transport().widen();
            talk(&mut connection.open(method, options)?)
        })
    }

    /// As [`Session::stream`], for a call that may last as long as it likes: `talk` bounds each of
    /// its waits itself.
    pub(crate) fn converse<T>(
        &mut self,
        method: &str,
        mut talk: impl FnMut(&mut Call<'_, Socket>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.attempt(Repeat::Never, None, |connection, options| {
            talk(&mut connection.open(method, options)?)
        })
    }

    /// As [`Session::unary`], but never starts a daemon: `None` where none answers.
    pub(crate) fn unary_if_running<Q: Message, R: Message + Default>(
        &mut self,
        method: &str,
        request: &Q,
    ) -> Result<Option<R>, Failure> {
        let deadline = Instant::now() + self.timeout;
        match self.dial(deadline) {
            Ok(connection) => self.connection = Some(connection),
            Err(Dial::NoDaemon(_)) if is_inside_transaction() => return Err(out_of_reach()),
            Err(Dial::NoDaemon(_)) => return Ok(None),
            Err(Dial::Failed(failure)) => return Err(failure),
        }
        self.may_start = false;
        match self.unary(method, request, Repeat::Never) {
            // It ended just now.
            Err(_) if matches!(self.dial(deadline), Err(Dial::NoDaemon(_))) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// `limit`: how long the call may take, with all its attempts.
    fn attempt<T>(
        &mut self,
        repeat: Repeat,
        limit: Option<Duration>,
        mut call: impl FnMut(&mut Connection<Socket>, &CallOptions<'_>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut attempts = 0;
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.connect(deadline)?,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let options = CallOptions {
                timeout: limit.map(|_| left.max(Duration::from_millis(1))),
                metadata: &[(PROTOCOL_KEY, PROTOCOL)],
                ..CallOptions::default()
            };
            let error = match call(&mut connection, &options) {
                Ok(answer) => {
                    self.connection = Some(connection).filter(Connection::is_usable);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            attempts += 1;
            // A daemon that ends, or was killed, breaks off; the next connection starts another.
            let again = match &error {
                // It did nothing, and its successor waits for it to end.
                CallError::Status(status) if self.has_successor(status) => {
                    attempts -= 1;
                    std::thread::sleep(SUCCESSION);
                    Instant::now() < deadline
                }
                CallError::Refused | CallError::Closed { answered: false } => true,
                CallError::Closed { answered: true } | CallError::Io { .. } => {
                    repeat == Repeat::Safe
                }
                _ => false,
            };
            if !again || attempts == ATTEMPTS {
                return Err(match error {
                    CallError::TimedOut => self.server.silent(),
                    error => error.into(),
                });
            }
        }
    }

    /// Whether the daemon refused because it is about to end, and this client may start another.
    fn has_successor(&self, status: &Status) -> bool {
        let draining = Reason::Draining.as_str();
        self.may_start
            && matches!(self.server, Server::Root(_))
            && status.info.as_ref().is_some_and(|info| info.reason == draining)
    }

    fn connect(&self, deadline: Instant) -> Result<Connection<Socket>, Failure> {
        match (self.dial(deadline), self.server) {
            (Ok(connection), _) => Ok(connection),
            (Err(Dial::NoDaemon(_)), Server::Root(_)) if is_inside_transaction() => {
                Err(out_of_reach())
            }
            (Err(Dial::NoDaemon(_)), Server::Root(_)) if !self.may_start => Err(Failure::Barred {
                message: "no daemon runs, and ONEWRITER=off starts none".into(),
                hint: "the daemon keeps the journal: without ONEWRITER=off the command asks it",
            }),
            (Err(Dial::NoDaemon(_)), Server::Root(place)) => {
                start::ensure(place.root(), deadline, || self.dial(deadline).is_ok())?;
                self.dial(deadline).map_err(|error| match error {
                    Dial::NoDaemon(why) => {
                        Failure::Unreachable(format!("the daemon was started and is gone: {why}"))
                    }
                    Dial::Failed(failure) => failure,
                })
            }
            (Err(Dial::NoDaemon(why)), Server::Unix(path)) => Err(Failure::Barred {
                message: format!("no daemon answers at '{}': {why}", path.display()),
                hint: ANOTHER_ADDRESS,
            }),
            (Err(Dial::Failed(failure)), _) => Err(failure),
        }
    }

    fn dial(&self, deadline: Instant) -> Result<Connection<Socket>, Dial> {
        let left = deadline.saturating_duration_since(Instant::now());
        let at = |path: &Path| Socket::connect_unix(path, Some(left)).map(Connection::new);
        let dialled = match self.server {
            Server::Unix(path) => at(path),
            Server::Root(place) => {
                let (path, _handle) = place.socket().map_err(Dial::Failed)?;
                at(&path)
            }
        };
        dialled.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                Dial::NoDaemon(error)
            }
            std::io::ErrorKind::WouldBlock => Dial::Failed(self.server.silent()),
            std::io::ErrorKind::PermissionDenied => Dial::Failed(Failure::Barred {
                message: format!("cannot connect to the daemon: {error}"),
                hint: "a build root and its daemon belong to the user who made it: run the command as that user",
            }),
            _ if matches!(self.server, Server::Unix(_)) => Dial::Failed(Failure::Barred {
                message: format!("cannot connect to the daemon: {}", with_sources(&error)),
                hint: ANOTHER_ADDRESS,
            }),
            _ => Dial::Failed(Failure::Unreachable(format!(
                "cannot connect to the daemon: {}",
                with_sources(&error)
            ))),
        })
    }
}

/// For what only a daemon knows, in a transaction.
fn out_of_reach() -> Failure {
    Failure::Barred {
        message: "a command in a transaction has no daemon: it sees a tree of its own".into(),
        hint: "give the command outside of 'onewriter run'",
    }
}

/// Why there is no connection.
enum Dial {
    /// Nobody listens.
    NoDaemon(std::io::Error),
    Failed(Failure),
}

const MUTATIONS: &str = "/onewriter.v1.Mutations/";

impl Session<'_> {
    /// Makes the rpc that belongs to a mutation.
    pub(crate) fn mutate(
        &mut self,
        context: Context,
        kind: Kind,
    ) -> Result<MutationResponse, Failure> {
        let (repeat, context) = (repeatable(&kind), Some(context));
        macro_rules! call {
            ($rpc:literal, $request:ident { $field:ident }) => {
                self.unary(
                    &[MUTATIONS, $rpc].concat(),
                    &$request { context, $field: Some($field) },
                    repeat,
                )
            };
        }
        match kind {
            Kind::MakeDirectories(make) => {
                call!("MakeDirectories", MakeDirectoriesRequest { make })
            }
            Kind::PublishLocal(publish) => call!("PublishLocal", PublishLocalRequest { publish }),
            Kind::PublishStaged(publish) => {
                call!("PublishStaged", PublishStagedRequest { publish })
            }
            Kind::Symlink(link) => call!("Symlink", SymlinkRequest { link }),
            Kind::HardLink(link) => call!("HardLink", HardLinkRequest { link }),
            Kind::Rename(rename) => call!("Rename", RenameRequest { rename }),
            Kind::Remove(remove) => call!("Remove", RemoveRequest { remove }),
            Kind::SetAttributes(set) => call!("SetAttributes", SetAttributesRequest { set }),
            Kind::Touch(touch) => call!("Touch", TouchRequest { touch }),
        }
    }

    /// Several mutations in one call.
    pub(crate) fn batch(
        &mut self,
        context: Context,
        kinds: Vec<Kind>,
    ) -> Result<MutationResponse, Failure> {
        let repeat = if kinds.iter().all(|k| repeatable(k) == Repeat::Safe) {
            Repeat::Safe
        } else {
            Repeat::Never
        };
        let mutations = kinds.into_iter().map(|kind| Mutation { kind: Some(kind) }).collect();
        let request = BatchRequest { context: Some(context), mutations };
        self.unary(&[MUTATIONS, "Batch"].concat(), &request, repeat)
    }
}

/// What can be done twice without a difference, and what would fail or do harm the second time.
fn repeatable(kind: &Kind) -> Repeat {
    let once_only = match kind {
        Kind::MakeDirectories(make) => make.must_create,
        Kind::PublishLocal(publish) => {
            publish.consume || publish.to.as_ref().is_some_and(|to| to.must_create)
        }
        Kind::Symlink(link) => !link.replace,
        Kind::HardLink(link) => !link.replace,
        Kind::Remove(remove) => !remove.allow_missing,
        Kind::SetAttributes(_) | Kind::Touch(_) => false,
        Kind::PublishStaged(_) | Kind::Rename(_) => true,
    };
    if once_only { Repeat::Never } else { Repeat::Safe }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_metadata_says_the_protocol_of_the_messages() {
        assert_eq!(super::PROTOCOL, onewriter_proto::PROTOCOL.to_string());
    }
}
