//! The Unix socket of a root, and serving what connects to it.

use std::{io, os::fd::AsRawFd as _, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use onewriter_tree::Tree;
use rustix::fs::{AtFlags, Mode, chmodat, renameat, unlinkat};
use tokio::net::{UnixListener, UnixStream};
use tonic::{codegen::Service as _, service::Routes};

use crate::{corked::Corked, lifecycle::Lifecycle, peer::Peer};

/// The socket's name in `.onewriter/`.
pub const SOCKET: &str = "daemon.sock";

/// Flow control windows and frames that let content travel at memory speed, in bytes.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const FRAME: u32 = 512 << 10;

/// Metadata that one request may send, in bytes.
const MAX_HEADERS: u32 = 16 << 10;

/// How long to wait when a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Requests that one connection may have under way.
const MAX_STREAMS: u32 = 1024;

/// Listens at `ROOT/.onewriter/daemon.sock`. The socket appears under its name in one step, when
/// it can be connected to, in the place of one that an earlier daemon left. The caller owns the
/// root.
pub(crate) fn bind(tree: &Tree) -> io::Result<UnixListener> {
    // One name for all: whoever owns the root clears away what another left.
    let temporary = format!("{SOCKET}.new");
    let _ = unlinkat(tree.state(), &*temporary, AtFlags::empty());
    // By handle, since a socket's path may not be longer than 107 bytes.
    let path = format!("/proc/self/fd/{}/{temporary}", tree.state().as_raw_fd());
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    chmodat(tree.state(), &*temporary, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
    renameat(tree.state(), &*temporary, tree.state(), SOCKET)?;
    UnixListener::from_std(listener)
}

/// Takes the socket's name away. The caller owns the root.
pub(crate) fn unbind(tree: &Tree) {
    let _ = unlinkat(tree.state(), SOCKET, AtFlags::empty());
}

/// Accepts and serves connections until the daemon is told to stop. Those that are open then are
/// told to end, and are in the answer.
pub(crate) async fn serve(
    listener: UnixListener,
    routes: Routes,
    lifecycle: &Arc<Lifecycle>,
) -> GracefulShutdown {
    let graceful = GracefulShutdown::new();
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = lifecycle.stopped() => return graceful,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of descriptors, most likely: those that are open must end first. Told once,
                // since it fails until then.
                if !std::mem::replace(&mut refused, true) {
                    tracing::error!(cause = %error, "connections cannot be accepted for now");
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        refused = false;
        match Peer::of(&socket) {
            Ok(peer) => connection(socket, peer, routes.clone(), lifecycle, &graceful),
            Err(error) => tracing::warn!(cause = %error, "a client's credentials cannot be read"),
        }
    }
}

fn connection(
    socket: UnixStream,
    peer: Peer,
    routes: Routes,
    lifecycle: &Arc<Lifecycle>,
    graceful: &GracefulShutdown,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.clone().call(request)
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_STREAMS)
        .serve_connection(TokioIo::new(Corked::new(socket)), service);
    let (served, lifecycle) = (graceful.watch(connection), Arc::clone(lifecycle));
    let open = lifecycle.connected();
    tokio::spawn(async move {
        tokio::select! {
            served = served => if let Err(error) = served {
                tracing::debug!(cause = %error, pid = peer.pid, "a connection ended badly");
            },
            () = lifecycle.ended() => {}
        }
        drop(open);
    });
}
