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
        /// Which mutation of a batch it was, counted from 0.
        index: Option<usize>,
    },
    /// The daemon cannot be reached or started.
    Unreachable(String),
    /// As [`Failure::Unreachable`], where something else than doing without it helps.
    Barred {
        /// What happened.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The request took too long.
    TimedOut(String),
    /// The daemon broke off, or does not understand this client.
    Broken(String),
    /// As [`Failure::Broken`], where nobody can say whether it was done: to do it again may do harm.
    Unknown(String),
    /// Standard input or output, or a file on this side, failed.
    Io(String),
    /// The command that was to be run cannot be executed.
    NotExecuted {
        /// What is the matter, with the program's name.
        message: String,
        /// What a shell would exit with: 127 where there is none, else 126.
        code: i32,
    },
    /// The kernel does not let a command have a view of the tree of its own.
    NoSandbox(String),
}

/// The exit codes, as `onewriter help` tells them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed: the tree, the disk or a file is not as the command needs it
  2  the command line makes no sense
  3  no build root: nothing here, or above, has a .onewriter
  4  the daemon cannot be reached or started, or speaks another version
  5  a lock, a path or the daemon was waited for in vain
  6  the daemon broke off while it served the request";

impl Failure {
    /// What the program exits with.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Refused { reason: Some(Reason::LockTimeout | Reason::WaitTimeout), .. }
            | Self::TimedOut(_) => 5,
            Self::Refused {
                reason:
                    Some(
                        Reason::VersionMismatch
                        | Reason::Draining
                        | Reason::AskAgain
                        | Reason::NotOwner,
                    ),
                ..
            }
            | Self::Unreachable(_)
            | Self::Barred { .. } => 4,
            Self::Refused { .. } | Self::Io(_) | Self::NoSandbox(_) => 1,
            Self::Usage(_) => 2,
            Self::NoRoot(_) => 3,
            Self::Broken(_) | Self::Unknown(_) => 6,
            Self::NotExecuted { code, .. } => *code,
        }
    }

    /// The same, told in other words.
    #[must_use]
    pub(crate) fn with_message(mut self, tell: impl FnOnce(&str) -> String) -> Self {
        let (Self::Refused { message, .. }
        | Self::Usage(message)
        | Self::NoRoot(message)
        | Self::Unreachable(message)
        | Self::Barred { message, .. }
        | Self::TimedOut(message)
        | Self::Broken(message)
        | Self::Unknown(message)
        | Self::NoSandbox(message)
        | Self::NotExecuted { message, .. }
        | Self::Io(message)) = &mut self;
        *message = tell(message);
        self
    }

    /// The name in `--json`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { reason, .. } => reason.map_or("UNKNOWN", Reason::as_str),
            Self::Usage(_) => "USAGE",
            Self::NoRoot(_) => "NO_ROOT",
            Self::Unreachable(_) | Self::Barred { .. } => "UNREACHABLE",
            Self::TimedOut(_) => "TIMED_OUT",
            Self::Broken(_) | Self::Unknown(_) => "BROKEN",
            Self::Io(_) => "IO",
            Self::NotExecuted { .. } => "NOT_EXECUTED",
            Self::NoSandbox(_) => "NO_SANDBOX",
        }
    }

    /// What whoever gave the command `verb` can do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self, verb: &str) -> Option<&'static str> {
        match self {
            Self::Refused { reason: Some(Reason::BadRequest), path, .. }
                if verb == "rm" && path == "." =>
            {
                Some("the build root stays: name what is to be removed in it")
            }
            Self::Refused { reason: Some(reason), .. } => hint(*reason, verb),
            Self::NoRoot(_) => Some("'onewriter init' at the top of the tree makes a build root"),
            Self::Unreachable(_) => Some(
                "ONEWRITER=off does the same without a daemon; .onewriter/daemon.log may say more",
            ),
            Self::Barred { hint, .. } => Some(hint),
            Self::TimedOut(_) => Some(".onewriter/daemon.log may say why; --timeout waits longer"),
            Self::Broken(_) => Some("run the command again; .onewriter/daemon.log may say more"),
            Self::Unknown(_) => Some(
                "look at the tree before you run it again: all of it may be done, a part, or nothing; 'onewriter log' may say more",
            ),
            Self::NoSandbox(_) => Some(NO_SANDBOX),
            Self::Usage(_)
            | Self::Io(_)
            | Self::NotExecuted { .. }
            | Self::Refused { reason: None, .. } => None,
        }
    }
}

const NO_SANDBOX: &str = "declare what the command makes (-o FILE) and have it write to {} instead of FILE; or let users have namespaces: sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0, in a container CAP_SYS_ADMIN";

fn hint(reason: Reason, verb: &str) -> Option<&'static str> {
    Some(match reason {
        Reason::NotADirectory => "remove or rename what is in the way, or choose another name",
        Reason::NotFound => match verb {
            "mkdir" => "without --no-parents, missing directories are made",
            "publish" => "check the name; -p makes missing directories on the way to it",
            "install" => "check the name; -D makes missing directories on the way to it",
            "cp" | "touch" => "check the name; 'onewriter mkdir' makes a missing directory",
            // It may be either of the two names.
            "mv" | "ln" => {
                "check the name; if a directory for DST is missing, 'onewriter mkdir' makes it"
            }
            "rm" => "check the name; with -f, what does not exist is no error",
            "report" => {
                "'onewriter make' or --build begins one; 'onewriter report --list' names all"
            }
            _ => "check the name",
        },
        Reason::OutsideRoot | Reason::PathAbsolute | Reason::PathParent => {
            "only paths below the build root can be changed; 'onewriter init' further up makes a larger one"
        }
        Reason::PathReserved => ".onewriter holds the daemon's state: choose another name",
        Reason::NotEmpty | Reason::IsADirectory => match verb {
            "rm" => "a directory goes with everything in it by 'onewriter rm -r'",
            "cat" => "name a file in it",
            _ => "name a file in that directory, or choose another name",
        },
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
        Reason::WaitTimeout => {
            "'onewriter status' shows who works on what; --timeout waits longer; is the name right?"
        }
        Reason::PositionGone => {
            "--from with a position that there is; what was pruned can only be seen in the tree"
        }
        Reason::Draining | Reason::AskAgain => "run the command again when the daemon has ended",
        Reason::NotOwner => {
            "name the root instead of a daemon: --server etcd://HOST:PORT/NAME follows its owner"
        }
        Reason::VersionMismatch => {
            "'onewriter stop' ends the old daemon; the next command starts a matching one"
        }
        Reason::SymlinkRace => {
            "something outside onewriter keeps replacing symbolic links: find and order it"
        }
        Reason::Conflict if verb == "recipe" => {
            "order the two recipes in the makefile; with --on-conflict rerun, the default, one of them runs again"
        }
        Reason::Conflict => {
            "order the two, or let the command run again with --on-conflict rerun and more --retries"
        }
        Reason::Undeclared => "declare the files with -o, or leave out --strict",
        Reason::StaleLease => {
            "the lease ended before its command: another may hold it by now; run the command again"
        }
        Reason::Deadlock => "take the leases in the same order everywhere",
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
            | Self::Barred { message, .. }
            | Self::TimedOut(message)
            | Self::Broken(message)
            | Self::Unknown(message)
            | Self::NotExecuted { message, .. }
            | Self::NoSandbox(message)
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
            index: error.index,
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
                    index: None,
                },
                Code::DeadlineExceeded => Self::TimedOut(status.message),
                _ => Self::Broken(format!("the daemon failed: {}", status.message)),
            };
        };
        let path = info.metadata.get("path").cloned().unwrap_or_default();
        let index = info.metadata.get("index").and_then(|index| index.parse().ok());
        let (reason, message) = (Reason::from_name(&info.reason), status.message);
        Self::Refused { reason, message, path, index }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: Reason, path: &str) -> Failure {
        Failure::Refused {
            reason: Some(reason),
            message: String::new(),
            path: path.into(),
            index: None,
        }
    }

    #[test]
    fn a_hint_is_of_use_to_who_gave_the_command() {
        for verb in crate::verbs().iter().map(|verb| verb.name) {
            for reason in Reason::ALL {
                let hint = refused(reason, "x").hint(verb).unwrap_or_default();
                assert_eq!(hint.contains("rm -r"), {
                    verb == "rm" && matches!(reason, Reason::IsADirectory | Reason::NotEmpty)
                });
                let makes_directories =
                    matches!(verb, "publish" | "install" | "cp" | "mv" | "ln" | "touch" | "mkdir");
                if reason == Reason::NotFound && !makes_directories {
                    assert!(!hint.contains("director"), "{verb}: {hint}");
                }
            }
        }
        assert!(refused(Reason::BadRequest, ".").hint("rm").is_some());
        assert_eq!(refused(Reason::BadRequest, "x").hint("rm"), None);
    }
}
