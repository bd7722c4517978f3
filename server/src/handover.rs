//! One daemon takes the place of another, and no client notices.
//!
//! The old one offers its listening socket to whoever of its own user connects to `handover.sock`
//! and asks. The new one gets it as a descriptor (SCM_RIGHTS), so that it is never closed: who
//! connects meanwhile waits in its queue. The old one accepts no more, lets what is under way end,
//! and gives up the root; that is when the connection over which it handed over ends, by which the
//! new one knows. A daemon of a service manager hands nothing over: the manager has the socket.

use std::{
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    time::Duration,
};

use onewriter_tree::Tree;
use rustix::{
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt::socket_peercred,
    },
    process::geteuid,
};
use tokio::{io::AsyncReadExt as _, task::spawn_blocking, time::timeout};

use crate::listener::unix;

/// The socket's name in `.onewriter/`.
const SOCKET: &str = "handover.sock";

/// What the new daemon says.
const ASK: &[u8; 9] = b"HANDOVER\n";

/// The most that the old one answers, in bytes: seconds, or why not.
const ANSWER_MAX: usize = 256;

/// How long either side waits for the other one's words.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much longer than it was allowed for its requests the old daemon may take to end.
const GRACE: Duration = Duration::from_secs(15);

/// Why the place of a running daemon cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// It cannot be talked to.
    #[error("the running daemon cannot be asked to hand over")]
    Io(#[from] io::Error),
    /// It is not ours to replace.
    #[error("the running daemon belongs to another user (uid {0})")]
    Stranger(u32),
    /// It will not.
    #[error("the running daemon does not hand over: {0}")]
    Refused(String),
}

/// The old daemon's side.
pub(crate) struct Offer {
    socket: tokio::net::UnixListener,
    /// How long requests under way get to end, in seconds.
    drain: u64,
    /// Whether a service manager looks after this daemon, which another one would not be.
    managed: bool,
}

/// The root belongs to the successor when this is dropped.
pub(crate) struct Handed {
    _open: tokio::net::UnixStream,
}

impl Offer {
    /// Listens for a successor. The caller owns the root, and gives requests under way `drain`
    /// seconds to end; a `managed` daemon refuses.
    pub(crate) fn bind(tree: &Tree, drain: u64, managed: bool) -> io::Result<Self> {
        Ok(Self { socket: unix::bind(tree, SOCKET)?, drain, managed })
    }

    /// Takes the name away. The caller owns the root.
    pub(crate) fn unbind(tree: &Tree) {
        unix::unbind(tree, SOCKET);
    }

    /// Returns when a successor has got `listener`.
    pub(crate) async fn taken(&self, listener: &impl AsFd) -> Handed {
        loop {
            match self.asked(listener.as_fd()).await {
                Ok(handed) => return handed,
                Err(error) => {
                    tracing::warn!(cause = %error, "nothing was handed over");
                    // Where descriptors have run out it would be tried without end.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn asked(&self, listener: BorrowedFd<'_>) -> io::Result<Handed> {
        let (mut peer, _) = self.socket.accept().await?;
        let uid = peer.peer_cred()?.uid();
        if uid != geteuid().as_raw() {
            return Err(io::Error::other(format!("a process of uid {uid} asked for the socket")));
        }
        let mut words = [0; ASK.len()];
        timeout(PATIENCE, peer.read_exact(&mut words)).await??;
        if words != *ASK {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if self.managed {
            let why = "a service manager looks after it; have that restart it (systemctl restart)";
            sendmsg(&peer, &[IoSlice::new(why.as_bytes())], &mut rights, SendFlags::NOSIGNAL)?;
            return Err(io::Error::other("a service manager looks after this daemon"));
        }
        let listener = [listener];
        rights.push(SendAncillaryMessage::ScmRights(&listener));
        let seconds = self.drain.to_string();
        sendmsg(&peer, &[IoSlice::new(seconds.as_bytes())], &mut rights, SendFlags::NOSIGNAL)?;
        Ok(Handed { _open: peer })
    }
}

/// Takes the listening socket from the daemon of a root, and returns when that has ended. `None`:
/// there is none that could be asked.
///
/// # Errors
/// [`HandoverError`]; the running daemon goes on then, unless it was too slow to end.
pub(crate) async fn take(
    tree: &std::sync::Arc<Tree>,
) -> Result<Option<UnixListener>, HandoverError> {
    let tree = std::sync::Arc::clone(tree);
    let taken = spawn_blocking(move || take_from(&tree)).await;
    taken.unwrap_or_else(|panic| Err(io::Error::other(panic).into()))
}

fn take_from(tree: &Tree) -> Result<Option<UnixListener>, HandoverError> {
    let mut old = match UnixStream::connect(unix::at(&tree.state(), SOCKET)) {
        Ok(old) => old,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error.into()),
            };
        }
    };
    let uid = socket_peercred(&old).map_err(io::Error::from)?.uid;
    if uid != geteuid() {
        return Err(HandoverError::Stranger(uid.as_raw()));
    }
    old.set_read_timeout(Some(PATIENCE))?;
    old.write_all(ASK)?;
    let (listener, drain) = receive(&old)?;
    tracing::info!("the running daemon has handed its socket over; waiting for it to end");
    old.set_read_timeout(Some(Duration::from_secs(drain) + GRACE))?;
    match old.read(&mut [0]) {
        Ok(_) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Some(listener)),
        Err(error) => Err(error.into()),
    }
}

/// The socket, and how many seconds its owner may take to end.
fn receive(old: &UnixStream) -> Result<(UnixListener, u64), HandoverError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut answer = [0; ANSWER_MAX];
    let received =
        recvmsg(old, &mut [IoSliceMut::new(&mut answer)], &mut rights, RecvFlags::CMSG_CLOEXEC)
            .map_err(io::Error::from)?;
    let said = String::from_utf8_lossy(&answer[..received.bytes]).into_owned();
    let given: Option<OwnedFd> = rights.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (given, said.parse()) {
        (Some(given), Ok(drain)) if !received.flags.contains(ReturnFlags::CTRUNC) => {
            Ok((given.into(), drain))
        }
        _ if said.is_empty() => {
            Err(HandoverError::Refused("another one takes its place at this moment".into()))
        }
        _ => Err(HandoverError::Refused(said)),
    }
}
