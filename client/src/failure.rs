//! What can go wrong for a user, with the exit code and what to do about it.

use std::fmt;

use onewriter_tree::Reason;

use crate::wire::{CallError, Code, Status};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// No build root was found, or the place given is none.
    NoRoot(String),
    /// The mutation was refused, or failed.
    Refused {
        /// Why; `None` where the daemon gave a reason that this client does not know.
        reason: Option<Reason>,
        /// What happened, with the path.
        message: String,
        /// The path, as the daemon understood it.
        path: String,
    },
    /// The daemon cannot be reached or started.
    Unreachable(String),
    /// The request took too long.
    TimedOut(String),
    /// The daemon broke off, or does not understand this client.
    Broken(String),
    /// Standard input or output, or a file on this side, failed.
    Io(String),
}

/// The exit codes, as `onewriter help` tells them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed: the tree, the disk or a file is not as the command needs it
  2  the command line makes no sense
  3  no build root: nothing here, or above, has a .onewriter
  4  the daemon cannot be reached or started, or speaks another version
  5  a lock or the daemon was waited for in vain
  6  the daemon broke off while it served the request";

impl Failure {
    /// What the program exits with.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Refused { reason: Some(Reason::LockTimeout), .. } | Self::TimedOut(_) => 5,
            Self::Refused { reason: Some(Reason::VersionMismatch | Reason::Draining), .. }
            | Self::Unreachable(_) => 4,
            Self::Refused { .. } | Self::Io(_) => 1,
            Self::Usage(_) => 2,
            Self::NoRoot(_) => 3,
            Self::Broken(_) => 6,
        }
    }

    /// The name in `--json`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { reason, .. } => reason.map_or("UNKNOWN", Reason::as_str),
            Self::Usage(_) => "USAGE",
            Self::NoRoot(_) => "NO_ROOT",
            Self::Unreachable(_) => "UNREACHABLE",
            Self::TimedOut(_) => "TIMED_OUT",
            Self::Broken(_) => "BROKEN",
            Self::Io(_) => "IO",
        }
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { reason: Some(reason), .. } => hint(*reason),
            Self::NoRoot(_) => Some("'onewriter init' at the top of the tree makes a build root"),
            Self::Unreachable(_) => Some(
                "ONEWRITER=off does the same without a daemon; .onewriter/daemon.log may say more",
            ),
            Self::TimedOut(_) => {
                Some("'onewriter status' shows who holds and who waits; --timeout waits longer")
            }
            Self::Broken(_) => Some("run the command again; .onewriter/daemon.log may say more"),
            Self::Usage(_) | Self::Io(_) | Self::Refused { reason: None, .. } => None,
        }
    }
}

fn hint(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::NotADirectory => "remove or rename what is in the way, or choose another name",
        Reason::NotFound => "check the name; 'onewriter mkdir' makes a missing directory",
        Reason::OutsideRoot | Reason::PathAbsolute | Reason::PathParent => {
            "only paths below the build root can be changed; 'onewriter init' further up makes a larger one"
        }
        Reason::PathReserved => ".onewriter holds the daemon's state: choose another name",
        Reason::NotEmpty | Reason::IsADirectory => {
            "a directory goes with everything in it by 'onewriter rm -r'"
        }
        Reason::ReadOnly => "remount the filesystem for writing",
        Reason::NoSpace => "free some space; nothing was half-written",
        Reason::CrossDevice => {
            "something is mounted there: move the build root onto that filesystem"
        }
        Reason::Permission => {
            "the daemon runs as the user who started it: check the owner of the directory"
        }
        Reason::RootGone => "make the directory again, then 'onewriter init'",
        Reason::LockTimeout => {
            "'onewriter status' shows who holds and who waits; --timeout waits longer"
        }
        Reason::Draining => "run the command again when the daemon has ended",
        Reason::VersionMismatch => {
            "'onewriter stop' ends the old daemon; the next command starts a matching one"
        }
        Reason::SymlinkRace => {
            "something outside onewriter keeps replacing symbolic links: find and order it"
        }
        Reason::Journal => "free some space, or move .onewriter/journal.sqlite away",
        _ => return None,
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { message, .. }
            | Self::Usage(message)
            | Self::NoRoot(message)
            | Self::Unreachable(message)
            | Self::TimedOut(message)
            | Self::Broken(message)
            | Self::Io(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl From<onewriter_tree::Error> for Failure {
    fn from(error: onewriter_tree::Error) -> Self {
        Self::Refused {
            reason: Some(error.reason),
            message: error.to_string(),
            path: onewriter_tree::Printable(&error.path).to_string(),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let Some(info) = status.info else {
            return match status.code {
                Code::Unimplemented => Self::Refused {
                    reason: Some(Reason::VersionMismatch),
                    message: "the daemon does not know this request: it is of another version"
                        .into(),
                    path: String::new(),
                },
                Code::DeadlineExceeded => Self::TimedOut(status.message),
                _ => Self::Broken(format!("the daemon failed: {}", status.message)),
            };
        };
        let path = info.metadata.get("path").cloned().unwrap_or_default();
        Self::Refused { reason: Reason::from_name(&info.reason), message: status.message, path }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Status(status) => status.into(),
            CallError::TimedOut => Self::TimedOut(
                "the daemon did not answer in time (is it stopped, or its disk stuck?)".into(),
            ),
            error => Self::Broken(with_sources(&error)),
        }
    }
}

/// An error and what caused it, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
