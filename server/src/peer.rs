//! Who is at the other end, and what its request says of itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onewriter_core::{Caller, RecipeLine, locks::Owner};
use onewriter_proto::{PROTOCOL, PROTOCOL_KEY, convert::DEFAULT_UMASK, v1};
use onewriter_tree::{Error, Reason};
use rustix::process::geteuid;
use tonic::{Request, Status};

use crate::status::status;

/// The longest a build id or target that is kept of a request, in bytes; longer ones are cut.
const LABEL_MAX: usize = 1024;

/// The process that opened the connection, as the kernel says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

impl Peer {
    pub(crate) fn of(socket: &tokio::net::UnixStream) -> std::io::Result<Self> {
        let credentials = socket.peer_cred()?;
        let pid = credentials.pid().and_then(|pid| pid.try_into().ok()).unwrap_or(0);
        Ok(Self { pid, uid: credentials.uid() })
    }

    /// Whether it may name files of this machine for the daemon to open: only one who could open
    /// them itself.
    pub(crate) fn is_local(self) -> bool {
        self.uid == geteuid().as_raw()
    }
}

/// What a request says besides what it wants.
pub(crate) struct Terms {
    pub(crate) caller: Caller,
    pub(crate) umask: u32,
    pub(crate) local: bool,
    /// What make runs, where the request is of a recipe.
    pub(crate) recipe: Option<RecipeLine>,
}

impl Terms {
    /// Of `request`, whose message holds `context`.
    pub(crate) fn of<T>(request: &Request<T>, context: Option<v1::Context>) -> Self {
        let peer = request.extensions().get::<Peer>().copied();
        let context = context.unwrap_or_default();
        let owner = Owner {
            method: "",
            build: cut(context.build),
            target: cut(context.target),
            pid: peer.map(|p| p.pid).filter(|pid| *pid != 0).unwrap_or(context.pid),
            uid: peer.map_or(u32::MAX, |p| p.uid),
        };
        let deadline = deadline(request.metadata());
        Self {
            caller: Caller {
                owner,
                directory: cut(context.directory),
                deadline,
                leases: context.leases,
            },
            umask: context.umask.unwrap_or(DEFAULT_UMASK) & 0o777,
            local: peer.is_some_and(Peer::is_local),
            recipe: context.recipe.map(|recipe| RecipeLine {
                command: cut(recipe.command),
                prerequisites: cut(recipe.prerequisites),
            }),
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
    fn only_the_daemons_own_user_may_name_local_files() {
        let ours = geteuid().as_raw();
        assert!(Peer { pid: 1, uid: ours }.is_local());
        assert!(!Peer { pid: 1, uid: ours + 1 }.is_local());
        assert!(!Peer { pid: std::process::id(), uid: u32::MAX }.is_local());
        let request = |peer: Option<Peer>| {
            let mut request = Request::new(());
            peer.map(|peer| request.extensions_mut().insert(peer));
            Terms::of(&request, None).local
        };
        assert!(request(Some(Peer { pid: 1, uid: ours })));
        assert!(!request(Some(Peer { pid: 1, uid: ours + 1 })));
        assert!(!request(None), "nobody knows who it is");
    }

    #[test]
    fn the_kernel_is_believed_before_the_request() {
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer { pid: 12, uid: 34 });
        let context = v1::Context { pid: 99, ..v1::Context::default() };
        let owner = Terms::of(&request, Some(context.clone())).caller.owner;
        assert_eq!((owner.pid, owner.uid), (12, 34));
        request.extensions_mut().insert(Peer { pid: 0, uid: 34 });
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
