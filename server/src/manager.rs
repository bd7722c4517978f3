//! The service manager: systemd, or another one that speaks as it does (sd_notify(3),
//! sd_listen_fds(3)). Where there is none, nothing is said and nothing is given.

use std::{io, os::unix::net::UnixListener, path::Path, time::Duration};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::{interval, timeout};

/// What the manager was not understood to give.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketsError {
    /// More than one socket.
    #[error(
        "the service manager gave {0} sockets, but there is one to listen at: let the socket unit have one ListenStream="
    )]
    TooMany(usize),
    /// No Unix socket.
    #[error(
        "the socket that the service manager gave is not one of Unix, as in ListenStream=ROOT/.onewriter/daemon.sock"
    )]
    Kind(#[source] io::Error),
}

/// Whether a service manager wants to know how this process is.
pub(crate) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The socket at which the manager listened for us, and will when we are gone. To be called once.
///
/// # Errors
/// [`SocketsError`], where it gave another kind, or several.
pub(crate) fn socket() -> Result<Option<UnixListener>, SocketsError> {
    let mut given = ListenFd::from_env();
    match given.len() {
        0 => Ok(None),
        1 => given.take_unix_listener(0).map_err(SocketsError::Kind),
        more => Err(SocketsError::TooMany(more)),
    }
}

/// Says that clients of `root` are served.
pub(crate) fn ready(root: &Path) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("serving {}", root.display()))]);
}

/// Says that the end has begun, and what it waits for.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("waiting for requests under way to end")]);
}

/// Says every so often that the daemon is alive, as long as `pulse` says so. Returns never.
pub(crate) async fn watchdog<F>(pulse: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    match sd_notify::watchdog_enabled() {
        // Twice as often as it must be, as sd_watchdog_enabled(3) wants it.
        Some(limit) => beat(limit / 2, pulse, || tell(&[NotifyState::Watchdog])).await,
        None => std::future::pending().await,
    }
}

async fn beat<F>(every: Duration, pulse: impl Fn() -> F, alive: impl Fn())
where
    F: Future<Output = bool>,
{
    let mut ticks = interval(every);
    loop {
        ticks.tick().await;
        match timeout(every, pulse()).await {
            Ok(true) => alive(),
            _ => {
                tracing::error!("the engine does not get on; the watchdog is not told that it does")
            }
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(cause = %error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::sleep;

    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    /// How often a watchdog is told in a minute and a half.
    async fn told<F: Future<Output = bool>>(pulse: impl Fn() -> F) -> u32 {
        let count = Cell::new(0);
        let _ =
            timeout(9 * EVERY - EVERY / 2, beat(EVERY, pulse, || count.set(count.get() + 1))).await;
        count.get()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_daemon_that_answers_says_that_it_lives() {
        assert_eq!(told(|| async { true }).await, 9);
        assert_eq!(told(|| async { false }).await, 0);
        assert_eq!(told(std::future::pending::<bool>).await, 0);
        let slow = || async {
            sleep(EVERY + Duration::from_secs(1)).await;
            true
        };
        assert_eq!(told(slow).await, 0, "too late is not alive");
    }
}
