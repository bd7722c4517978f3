//! Bringing a request again: which may be, and what makes that harmless for the others.

use onewriter_proto::v1::{Publication, mutation::Kind};
use rustix::rand::GetRandomFlags;

use crate::{server::Server, wire::Stage};

/// Whether a request may be made again when it is not known what became of the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once.
    Safe,
    /// Only if nothing of its answer has come: it changes nothing.
    UntilAnswered,
    /// Only if it is certain that it was not begun.
    Never,
}

impl Repeat {
    /// Whether that is so after the daemon has broken off.
    pub(crate) fn allows_after(self, stage: Stage) -> bool {
        match self {
            Self::Safe => true,
            Self::UntilAnswered => stage < Stage::Answered,
            Self::Never => stage == Stage::Unread,
        }
    }
}

impl Server {
    /// What a request carries so that it happens once, however often it is brought; empty where that
    /// makes no difference, or the daemon is on this machine and cannot be lost from sight.
    pub(crate) fn key(&self, kind: &Kind) -> Vec<u8> {
        match self {
            Self::Remote(remote) if needs_key(kind, remote.is_cluster()) => key(),
            _ => Vec::new(),
        }
    }

    /// Whether each of these has to be a request of its own, with a key of its own.
    pub(crate) fn takes_one_by_one(&self, kinds: &[Kind]) -> bool {
        let Self::Remote(remote) = self else { return false };
        kinds.iter().any(|kind| needs_key(kind, remote.is_cluster()))
    }

    /// The same of content that is sent to a place.
    pub(crate) fn key_to(&self, to: &Publication) -> Vec<u8> {
        match self {
            Self::Remote(remote) if remote.is_cluster() || to.must_create => key(),
            _ => Vec::new(),
        }
    }
}

/// Where one owner follows another, a mutation that comes again may come after others' of the same path,
/// and would undo them.
fn needs_key(kind: &Kind, may_come_late: bool) -> bool {
    match kind {
        Kind::MakeDirectories(make) => make.must_create,
        Kind::SetAttributes(_) | Kind::Touch(_) => false,
        kind => may_come_late || repeatable(kind) == Repeat::Never,
    }
}

/// 16 random bytes. Where the system has none (it always has), there is no key, and nothing is repeated.
fn key() -> Vec<u8> {
    let mut key = [0; 16];
    match rustix::rand::getrandom(&mut key, GetRandomFlags::empty()) {
        Ok(16) => key.to_vec(),
        _ => Vec::new(),
    }
}

/// What can be done twice without a difference, and what would fail or do harm the second time.
pub(crate) fn repeatable(kind: &Kind) -> Repeat {
    let once_only = match kind {
        Kind::MakeDirectories(make) => make.must_create,
        Kind::PublishLocal(publish) => {
            publish.consume || publish.to.as_ref().is_some_and(|to| to.must_create)
        }
        Kind::Symlink(link) => !link.replace,
        Kind::HardLink(link) => !link.replace,
        Kind::Remove(remove) => !remove.allow_missing,
        Kind::SetAttributes(_) | Kind::Touch(_) => false,
        Kind::PublishStaged(_) | Kind::Rename(_) => true,
    };
    if once_only { Repeat::Never } else { Repeat::Safe }
}
