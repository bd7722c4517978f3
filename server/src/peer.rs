//! What a request says of itself.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use onewriter_core::{Caller, Course, RecipeLine, locks::Owner, policy::Rights};
use onewriter_proto::{
    PROTOCOL, PROTOCOL_KEY,
    convert::{self, DEFAULT_UMASK},
    v1,
};
use onewriter_tree::{Error, Reason};
use tonic::{Request, Status};

use crate::{identity::Identity, status::status};

/// The longest a build id or target that is kept of a request, in bytes; longer ones are cut.
const LABEL_MAX: usize = 1024;

/// The machine that a request came from, where it is another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(pub(crate) IpAddr);

/// What a request says besides what it wants.
pub(crate) struct Terms {
    pub(crate) caller: Caller,
    pub(crate) umask: u32,
    pub(crate) local: bool,
    /// What make runs, where the request is of a recipe.
    pub(crate) recipe: Option<RecipeLine>,
    /// How long its key is, in bytes; 0: it has none.
    key: usize,
}

impl Terms {
    /// Of `request`, whose message holds `context`.
    pub(crate) fn of<T>(request: &Request<T>, context: Option<v1::Context>) -> Self {
        let who = request.extensions().get::<Identity>();
        let rights = request.extensions().get::<Arc<Rights>>().cloned();
        let (pid, uid) = who.map_or((0, u32::MAX), Identity::process);
        let context = context.unwrap_or_default();
        let owner = Owner {
            method: "",
            build: cut(context.build),
            target: cut(context.target),
            pid: if pid == 0 { context.pid } else { pid },
            uid,
            identity: match who {
                None | Some(Identity::Local { .. }) => None,
                Some(_) => rights.as_ref().map(|rights| Arc::clone(rights.who())),
            },
            address: request.extensions().get::<Address>().map(|address| address.0),
        };
        let deadline = deadline(request.metadata());
        let key = context.idempotency_key.len();
        Self {
            caller: Caller {
                owner,
                directory: cut(context.directory),
                deadline,
                leases: context.leases,
                rights,
                course: request.extensions().get::<Arc<Course>>().cloned(),
                key: context.idempotency_key.as_slice().try_into().ok(),
            },
            umask: context.umask.unwrap_or(DEFAULT_UMASK) & 0o777,
            local: who.is_some_and(Identity::is_local),
            key,
            recipe: context.recipe.map(|recipe| RecipeLine {
                command: cut(recipe.command),
                prerequisites: cut(recipe.prerequisites),
            }),
        }
    }
}

impl Terms {
    /// Refuses a key where there is more than one path to do something at, and one that is none.
    pub(crate) fn check_key(&self, paths: usize) -> Result<(), Error> {
        match (self.key, paths) {
            (0, _) | (16, 0 | 1) => Ok(()),
            (16, _) => {
                let why = "a request of several paths cannot have one: ask for each by itself";
                Err(convert::bad("idempotency_key", why))
            }
            _ => Err(convert::bad("idempotency_key", "it has 16 bytes")),
        }
    }
}

/// A label at its greatest length.
pub(crate) fn cut(mut label: String) -> String {
    label.truncate(label.floor_char_boundary(LABEL_MAX));
    label
}

/// A moment, as the wire has it.
pub(crate) fn time_of(at: SystemTime) -> v1::Time {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    v1::Time { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}

/// When the client stops waiting for the answer, where it says so.
pub(crate) fn deadline(metadata: &tonic::metadata::MetadataMap) -> Option<Instant> {
    Instant::now().checked_add(timeout(metadata)?)
}

/// gRPC's own deadline: digits and a unit.
fn timeout(metadata: &tonic::metadata::MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Refuses clients of another protocol version by name, instead of misunderstanding them. Those
/// that do not say theirs (any gRPC tool) are let in.
pub(crate) fn check_version(request: Request<()>) -> Result<Request<()>, Status> {
    let Some(theirs) = request.metadata().get(PROTOCOL_KEY) else { return Ok(request) };
    if theirs.to_str().ok().and_then(|text| text.parse().ok()) == Some(PROTOCOL) {
        return Ok(request);
    }
    let why = format!(
        "the daemon is onewriterd {} (protocol {PROTOCOL}), the client speaks protocol {}; \
         stop this daemon with `onewriter stop`, so that the client can start its own",
        env!("CARGO_PKG_VERSION"),
        theirs.to_str().unwrap_or("?"),
    );
    Err(status(Error::new(Reason::VersionMismatch, b".", why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_local_whom_nobody_knows() {
        assert!(!Terms::of(&Request::new(()), None).local);
    }

    #[test]
    fn the_kernel_is_believed_before_the_request() {
        let mut request = Request::new(());
        request.extensions_mut().insert(Identity::Local { pid: 12, uid: 34, gid: 56 });
        let context = v1::Context { pid: 99, ..v1::Context::default() };
        let owner = Terms::of(&request, Some(context.clone())).caller.owner;
        assert_eq!((owner.pid, owner.uid), (12, 34));
        request.extensions_mut().insert(Identity::Local { pid: 0, uid: 34, gid: 56 });
        assert_eq!(Terms::of(&request, Some(context)).caller.owner.pid, 99);
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text: &str| {
            let mut request = Request::new(());
            request.metadata_mut().insert("grpc-timeout", text.parse().unwrap());
            timeout(request.metadata())
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for nonsense in ["", "S", "1", "1x", "-1S", "123456789S"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
