//! The Unix socket of a root.

use std::{io, os::fd::AsRawFd};

use onewriter_tree::Tree;
use rustix::fs::{AtFlags, Mode, chmodat, renameat, unlinkat};
use tokio::net::UnixListener;

use super::{Accept, Host};
use crate::identity::Identity;

/// The socket's name in `.onewriter/`.
pub const SOCKET: &str = "daemon.sock";

/// Listens at `name` in `ROOT/.onewriter`. The socket appears under its name in one step, when it
/// can be connected to, in the place of one that an earlier daemon left. The caller owns the root.
pub(crate) fn bind(tree: &Tree, name: &str) -> io::Result<UnixListener> {
    // One name for all: whoever owns the root clears away what another left.
    bind_by(tree, name, &format!("{name}.new"))
}

/// [`bind`], where others may do the same at this moment, under another name first.
pub(crate) fn bind_by(tree: &Tree, name: &str, temporary: &str) -> io::Result<UnixListener> {
    let _ = unlinkat(tree.state(), temporary, AtFlags::empty());
    let listener = std::os::unix::net::UnixListener::bind(at(&tree.state(), temporary))?;
    listener.set_nonblocking(true)?;
    chmodat(tree.state(), temporary, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
    renameat(tree.state(), temporary, tree.state(), name)?;
    UnixListener::from_std(listener)
}

/// Listens at a socket that another process has bound.
pub(crate) fn adopt(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Takes the name of a socket in `ROOT/.onewriter` away. The caller owns the root.
pub(crate) fn unbind(tree: &Tree, name: &str) {
    let _ = unlinkat(tree.state(), name, AtFlags::empty());
}

/// The path of a socket in the directory `state`, by its handle: a socket's path may not be longer
/// than 107 bytes.
pub(crate) fn at(state: &impl AsRawFd, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", state.as_raw_fd())
}

impl Accept for UnixListener {
    async fn accept(&self, host: &Host) -> io::Result<()> {
        let (socket, _) = UnixListener::accept(self).await?;
        match Identity::local(&socket) {
            Ok(who) => host.serve(socket, who),
            Err(error) => tracing::warn!(cause = %error, "a client's credentials cannot be read"),
        }
        Ok(())
    }
}
