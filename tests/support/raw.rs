//! Requests to a daemon without the client program: many at little cost, and ones that it would
//! not make.

use std::{
    os::unix::net::{UnixListener, UnixStream},
    time::Duration,
};

use onewriter_client::wire::{CallError, CallOptions, Connection, Socket};
use onewriter_proto::{
    PROTOCOL_KEY,
    v1::{
        Context, MakeDirectories, MakeDirectoriesRequest, MutationResponse, Publication,
        PublishLocal, PublishLocalRequest, Remove, RemoveRequest,
    },
};
use prost::Message;

use super::{LIMIT, Process, Root};

/// A connection to the daemon of a root, which must run.
pub struct Raw {
    connection: Connection<Socket>,
    protocol: String,
}

impl Raw {
    #[track_caller]
    pub fn connect(root: &Root) -> Self {
        let socket = root.at(".onewriter/daemon.sock");
        let socket = Socket::connect_unix(&socket, Some(LIMIT)).expect("the daemon listens");
        let protocol = onewriter_proto::PROTOCOL.to_string();
        Self { connection: Connection::new(socket), protocol }
    }

    /// Says that it speaks this version of the protocol.
    pub fn speaking(self, protocol: &str) -> Self {
        Self { protocol: protocol.to_owned(), ..self }
    }

    pub fn call<Q: Message, R: Message + Default>(
        &mut self,
        method: &str,
        request: &Q,
    ) -> Result<R, CallError> {
        self.ask(&format!("onewriter.v1.{method}"), request)
    }

    /// Calls a method of any service.
    pub fn ask<Q: Message, R: Message + Default>(
        &mut self,
        method: &str,
        request: &Q,
    ) -> Result<R, CallError> {
        let options = CallOptions {
            timeout: Some(Duration::from_secs(50)),
            metadata: &[(PROTOCOL_KEY, &self.protocol)],
            ..CallOptions::default()
        };
        self.connection.unary(&format!("/{method}"), request, &options)
    }

    pub fn mkdir(&mut self, path: impl Into<Vec<u8>>) -> Result<MutationResponse, CallError> {
        let make = MakeDirectories { paths: vec![path.into()], ..MakeDirectories::default() };
        let context = Some(Context::default());
        self.call(
            "Mutations/MakeDirectories",
            &MakeDirectoriesRequest { context, make: Some(make) },
        )
    }

    pub fn publish(
        &mut self,
        source: impl AsRef<std::path::Path>,
        path: impl Into<Vec<u8>>,
    ) -> Result<MutationResponse, CallError> {
        use std::os::unix::ffi::OsStrExt as _;
        let to = Publication { path: path.into(), parents: true, ..Publication::default() };
        let source = source.as_ref().as_os_str().as_bytes().to_vec();
        let publish = PublishLocal { to: Some(to), source, consume: false };
        let context = Some(Context::default());
        self.call(
            "Mutations/PublishLocal",
            &PublishLocalRequest { context, publish: Some(publish) },
        )
    }

    pub fn remove(&mut self, path: impl Into<Vec<u8>>) -> Result<MutationResponse, CallError> {
        let remove = Remove {
            paths: vec![path.into()],
            recursive: true,
            allow_missing: true,
            directory: false,
        };
        let context = Some(Context::default());
        self.call("Mutations/Remove", &RemoveRequest { context, remove: Some(remove) })
    }
}

/// The next connection to a server of the test's own, as long as `client` lives.
pub fn accept_from(listener: &UnixListener, client: Process) -> Option<UnixStream> {
    listener.set_nonblocking(true).expect("a socket");
    while client.lives() {
        if let Ok((connection, _)) = listener.accept() {
            connection.set_nonblocking(false).expect("a socket");
            return Some(connection);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// The reason of a refusal.
#[track_caller]
pub fn reason_of<T: std::fmt::Debug>(answer: Result<T, CallError>) -> String {
    match answer {
        Err(CallError::Status(status)) if status.info.is_some() => {
            status.info.map(|info| info.reason).unwrap_or_default()
        }
        other => panic!("not refused with a reason: {other:?}"),
    }
}
