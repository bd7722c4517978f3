//! Who is at the other end of a connection.

use std::{fmt, sync::Arc};

use rustix::process::geteuid;

/// Somebody whom the daemon knows: by the kernel's word, by a certificate, or by a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// A process on this machine, as the kernel said when it connected.
    Local { pid: u32, uid: u32, gid: u32 },
    /// Whoever has the key of a certificate that an authority of ours has signed.
    Certificate(Arc<str>),
    /// Whoever knows a token.
    Token(Arc<str>),
    /// A process on this machine that nobody asked who it is (`--insecure-loopback`).
    Loopback,
}

impl Identity {
    /// Of the process that opened `socket`.
    pub(crate) fn local(socket: &tokio::net::UnixStream) -> std::io::Result<Self> {
        let peer = socket.peer_cred()?;
        let pid = peer.pid().and_then(|pid| pid.try_into().ok()).unwrap_or(0);
        Ok(Self::Local { pid, uid: peer.uid(), gid: peer.gid() })
    }

    /// The process and the user; 0 and `u32::MAX` where they are those of another machine.
    pub(crate) fn process(&self) -> (u32, u32) {
        match self {
            Self::Local { pid, uid, .. } => (*pid, *uid),
            _ => (0, u32::MAX),
        }
    }

    /// All that a policy may call it.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![self.to_string()];
        if let Self::Local { gid, .. } = self {
            names.push(format!("gid:{gid}"));
        }
        names
    }

    /// Whether it is that user of this machine.
    pub(crate) fn is_user(&self, user: u32) -> bool {
        matches!(self, Self::Local { uid, .. } if *uid == user)
    }

    /// Whether it may name files of this machine for the daemon to open: only one who could open
    /// them itself.
    pub(crate) fn is_local(&self) -> bool {
        self.is_user(geteuid().as_raw())
    }
}

/// As a policy names it: `uid:1000`, `cert:builder-7`, `token:nightly`, `loopback`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid, .. } => write!(f, "uid:{uid}"),
            Self::Certificate(name) => write!(f, "cert:{name}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_user_on_this_machine_may_name_local_files() {
        let ours = geteuid().as_raw();
        let local = |uid| Identity::Local { pid: std::process::id(), uid, gid: 0 };
        assert!(local(ours).is_local());
        assert!(!local(ours + 1).is_local() && !local(u32::MAX).is_local());
        for other in
            [Identity::Loopback, Identity::Token("t".into()), Identity::Certificate("c".into())]
        {
            assert!(!other.is_local(), "{other}");
        }
    }
}
