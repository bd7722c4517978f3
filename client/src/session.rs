//! Reaching the daemon: connect, start it where none answers, call, try again where that is safe.

use std::time::{Duration, Instant};

use onewriter_proto::{
    PROTOCOL_KEY,
    traceparent::{TRACEPARENT_KEY, TraceParent},
};
use onewriter_tree::Reason;
use prost::Message;

use crate::{
    context::is_inside_transaction,
    failure::Failure,
    remote::{self, NoConnection, Remote},
    repeat::Repeat,
    server::{ANOTHER_ADDRESS, Dial, Server},
    start,
    wire::{Call, CallError, CallOptions, Connection, Line, Stage, Status},
};

/// [`onewriter_proto::PROTOCOL`] as metadata has it.
const PROTOCOL: &str = "1";

/// How often a request is begun anew on another connection.
const ATTEMPTS: usize = 4;

/// The pause before a request is brought to the successor of a daemon that is about to end.
const SUCCESSION: Duration = Duration::from_millis(5);

/// The pauses before a request is brought again to a daemon on another machine: the first, and the
/// longest of those that follow, each of which is twice the one before.
pub(crate) const BACK_OFF: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_secs(2));

/// Calls to one daemon.
pub(crate) struct Session<'a> {
    pub(crate) server: &'a Server,
    timeout: Duration,
    may_start: bool,
    connection: Option<Connection<Line>>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
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
        self.unary_if(method, request, &|| repeat)
    }

    /// As [`Session::unary`], where it costs something to know whether it may be repeated.
    pub(crate) fn unary_if<Q: Message, R: Message + Default>(
        &mut self,
        method: &str,
        request: &Q,
        repeat: &dyn Fn() -> Repeat,
    ) -> Result<R, Failure> {
        let limit = Some(self.timeout);
        self.attempt(repeat, limit, |connection, options| {
            connection.unary(method, request, options)
        })
    }

    /// A call whose messages `talk` sends and receives, and which changes nothing. It is made again only
    /// if nothing came back.
    pub(crate) fn stream<T>(
        &mut self,
        method: &str,
        talk: impl FnMut(&mut Call<'_, Line>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.talk(Repeat::UntilAnswered, method, talk)
    }

    /// As [`Session::stream`], for a call that changes the tree. A `talk` that cannot begin anew says
    /// [`CallError::Closed`].
    pub(crate) fn stream_once<T>(
        &mut self,
        method: &str,
        talk: impl FnMut(&mut Call<'_, Line>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.talk(Repeat::Never, method, talk)
    }

    /// As [`Session::stream`], for a `talk` that can always begin anew where it fails.
    pub(crate) fn stream_again<T>(
        &mut self,
        method: &str,
        talk: impl FnMut(&mut Call<'_, Line>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.talk(Repeat::Safe, method, talk)
    }

    fn talk<T>(
        &mut self,
        repeat: Repeat,
        method: &str,
        mut talk: impl FnMut(&mut Call<'_, Line>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.attempt(&|| repeat, Some(self.timeout), |connection, options| {
            connection.transport().widen();
            talk(&mut connection.open(method, options)?)
        })
    }

    /// As [`Session::stream_again`], for a call that may last as long as it likes: `talk` bounds each of
    /// its waits itself.
    pub(crate) fn converse_again<T>(
        &mut self,
        method: &str,
        mut talk: impl FnMut(&mut Call<'_, Line>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        self.attempt(&|| Repeat::Safe, None, |connection, options| {
            talk(&mut connection.open(method, options)?)
        })
    }

    /// As [`Session::converse_again`], over a link that may be slow: `talk` fails only where nothing has
    /// happened.
    pub(crate) fn converse<T>(
        &mut self,
        method: &str,
        mut talk: impl FnMut(&mut Call<'_, Line>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        let is_afar = matches!(self.server, Server::Remote(_));
        self.attempt(&|| Repeat::Safe, None, |connection, options| {
            if is_afar {
                connection.transport().widen();
            }
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
        match self.server.dial(deadline) {
            Ok(connection) => self.connection = Some(connection),
            Err(Dial::NoDaemon(_)) if is_inside_transaction() => return Err(out_of_reach()),
            Err(Dial::NoDaemon(_)) => return Ok(None),
            Err(Dial::Failed(failure)) => return Err(failure),
        }
        self.may_start = false;
        match self.unary(method, request, Repeat::UntilAnswered) {
            // It ended just now.
            Err(_) if matches!(self.server.dial(deadline), Err(Dial::NoDaemon(_))) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// `limit`: how long the call may take, with all its attempts.
    fn attempt<T>(
        &mut self,
        repeat: &dyn Fn() -> Repeat,
        limit: Option<Duration>,
        mut call: impl FnMut(&mut Connection<Line>, &CallOptions<'_>) -> Result<T, CallError>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.timeout;
        let authorization = self.server.authorization()?;
        let with_token = authorization.as_deref().map(|token| ("authorization", token));
        let parent = trace_parent();
        let in_trace = parent.as_deref().map(|parent| (TRACEPARENT_KEY, parent));
        let mut metadata = [(PROTOCOL_KEY, PROTOCOL); 3];
        let mut said = 1;
        for pair in [with_token, in_trace].into_iter().flatten() {
            metadata[said] = pair;
            said += 1;
        }
        let metadata = &metadata[..said];
        let mut attempts = 0;
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.connect(deadline)?,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let options = CallOptions {
                timeout: limit.map(|_| left.max(Duration::from_millis(1))),
                metadata,
                ..CallOptions::default()
            };
            let error = match call(&mut connection, &options) {
                Ok(answer) => {
                    self.connection = Some(connection).filter(Connection::is_usable);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            drop(connection);
            if let Server::Remote(remote) = self.server {
                self.connection = Some(reconnect(remote, error, repeat, deadline, attempts)?);
                attempts += 1;
                continue;
            }
            attempts += 1;
            // A daemon that ends, or was killed, breaks off; the next connection starts another.
            let again = match &error {
                // It did nothing, or ended what has to be begun anew, and its successor waits for it to
                // end.
                CallError::Status(status) if self.has_successor(status) => {
                    attempts -= 1;
                    std::thread::sleep(SUCCESSION);
                    Instant::now() < deadline
                }
                CallError::Refused | CallError::Closed { at: Stage::Unread } => true,
                CallError::Closed { at } => repeat().allows_after(*at),
                CallError::Io { .. } => repeat() == Repeat::Safe,
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

    /// Whether the daemon says that it is to be asked again, or refused because it is about to end,
    /// and this client may start another.
    fn has_successor(&self, status: &Status) -> bool {
        let may_start = self.may_start && matches!(self.server, Server::Root(_));
        is(status, Reason::AskAgain) || may_start && is(status, Reason::Draining)
    }

    /// Connects anew, and starts nothing: whether anybody is there.
    pub(crate) fn is_answered(&mut self) -> Result<bool, Failure> {
        self.may_start = false;
        let deadline = Instant::now() + self.timeout;
        let dialled = match self.server {
            Server::Remote(remote) => remote.dial(deadline, true).map_err(|error| match error {
                NoConnection::Absent(_) => None,
                NoConnection::Refused(failure) => Some(failure),
            }),
            _ => self.server.dial(deadline).map_err(|error| match error {
                Dial::NoDaemon(_) => None,
                Dial::Failed(failure) => Some(failure),
            }),
        };
        self.connection = match dialled {
            Ok(connection) => Some(connection),
            Err(None) => return Ok(false),
            Err(Some(failure)) => return Err(failure),
        };
        Ok(true)
    }

    fn connect(&self, deadline: Instant) -> Result<Connection<Line>, Failure> {
        match (self.server.dial(deadline), self.server) {
            (Ok(connection), _) => Ok(connection),
            (Err(Dial::NoDaemon(_)), Server::Root(_)) if is_inside_transaction() => {
                Err(out_of_reach())
            }
            (Err(Dial::NoDaemon(_)), Server::Root(_)) if !self.may_start => Err(Failure::Barred {
                message: "no daemon runs, and ONEWRITER=off starts none".into(),
                hint: "the daemon keeps the journal: without ONEWRITER=off the command asks it",
            }),
            (Err(Dial::NoDaemon(_)), Server::Root(place)) => {
                start::ensure(place.root(), deadline, || self.server.dial(deadline).is_ok())?;
                self.server.dial(deadline).map_err(|error| match error {
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
            (Err(Dial::NoDaemon(why)), Server::Remote(remote)) => {
                Err(remote.absent(&why).into_failure())
            }
            (Err(Dial::Failed(failure)), _) => Err(failure),
        }
    }
}

/// The trace to which whoever started the command says that it belongs.
fn trace_parent() -> Option<String> {
    let said = std::env::var("TRACEPARENT").ok()?;
    TraceParent::parse(&said).map(|_| said)
}

/// For what only a daemon knows, in a transaction.
fn out_of_reach() -> Failure {
    Failure::Barred {
        message: "a command in a transaction has no daemon: it sees a tree of its own".into(),
        hint: "give the command outside of 'onewriter run'",
    }
}

/// After a call to a daemon on another machine that failed with `error`: a connection on which it
/// may be made again, which is the `attempts`-th time after the first.
fn reconnect(
    remote: &Remote,
    error: CallError,
    repeat: &dyn Fn() -> Repeat,
    deadline: Instant,
    attempts: usize,
) -> Result<Connection<Line>, Failure> {
    let (is_lost, may_have_happened) = match &error {
        CallError::Io { source, .. } if let Some(failure) = remote.explain(source) => {
            return Err(failure);
        }
        // It did nothing, and a successor may come.
        CallError::Status(status)
            if is(status, Reason::Draining) || is(status, Reason::AskAgain) =>
        {
            (false, false)
        }
        CallError::Status(status) if is(status, Reason::NotOwner) => {
            // Where nobody is named, there will be somebody in a moment.
            let owner = status.info.as_ref().and_then(|info| info.metadata.get("owner"));
            remote.follow(owner.map(String::as_str));
            (false, false)
        }
        CallError::Refused => (false, false),
        // What the daemon may have done, nobody knows on this side of a link that was cut.
        CallError::Closed { .. } | CallError::Io { .. } => (true, repeat() != Repeat::Safe),
        CallError::TimedOut => return Err(Server::no_answer(remote)),
        _ => return Err(error.into()),
    };
    let factor = 1 << attempts.min(16);
    let most = if remote.is_cluster() { remote::PAUSE.1 } else { BACK_OFF.1 };
    let mut pause = (BACK_OFF.0 * factor).min(most);
    loop {
        if !is_lost || attempts > 0 {
            std::thread::sleep(pause);
        }
        match remote.dial(deadline, is_lost) {
            _ if Instant::now() >= deadline => break,
            Ok(_) | Err(NoConnection::Absent(_)) if may_have_happened => break,
            Ok(connection) => return Ok(connection),
            Err(NoConnection::Refused(failure)) => return Err(failure),
            Err(NoConnection::Absent(_)) => {}
        }
        pause = (pause * 2).min(most);
    }
    Err(error.into())
}

/// Whether this is why.
pub(crate) fn is(status: &Status, reason: Reason) -> bool {
    status.info.as_ref().is_some_and(|info| info.reason == reason.as_str())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_metadata_says_the_protocol_of_the_messages() {
        assert_eq!(super::PROTOCOL, onewriter_proto::PROTOCOL.to_string());
    }
}
