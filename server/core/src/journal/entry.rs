//! What is recorded: an [`Entry`] on its way in, a [`Record`] on its way out.

use std::time::{Duration, SystemTime};

/// Outcomes that say that nothing was changed.
const NOTHING_CHANGED: [&str; 5] = ["unchanged", "existed", "absent", "refused", "conflict"];

/// One mutation, as the journal is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the mutation was done. Kept to the nanosecond.
    pub at: SystemTime,
    /// How long it took, waiting included.
    pub took: Duration,
    /// The build that it belongs to; empty outside of one.
    pub build: String,
    /// The target whose recipe asked for it; empty if unknown.
    pub target: String,
    /// The directory in which make ran that recipe.
    pub directory: String,
    /// The process that asked.
    pub pid: u32,
    /// The user who asked.
    pub uid: u32,
    /// Who asked from another machine, as in `cert:builder-7`; empty for somebody on this one.
    pub identity: String,
    /// What was asked for: `mkdir`, `publish`, `rename`, …
    pub method: &'static str,
    /// The path that was to change, relative to the build root, as bytes.
    pub path: Vec<u8>,
    /// The other path of a rename or a link: where it came from.
    pub other: Option<Vec<u8>>,
    /// What the mutation did: `created`, `replaced`, `removed`, …; `unchanged`, `existed` or
    /// `absent` when there was nothing to do; `refused` when it was not done. One that failed
    /// half-way says here what it did, and the reason in `error`.
    pub outcome: &'static str,
    /// Bytes of content that it put in place.
    pub bytes: u64,
    /// Why it was refused, or failed; of a `conflict`, with whom.
    pub error: Option<String>,
}

impl Entry {
    /// Whether the tree is different for it. The outcomes `unchanged`, `existed`, `absent` and
    /// `refused` say that it is not.
    pub fn is_change(&self) -> bool {
        !NOTHING_CHANGED.contains(&self.outcome)
    }

    /// Whether nobody would miss it much: it changed nothing, and nothing went wrong.
    pub(super) fn is_droppable(&self) -> bool {
        !self.is_change() && self.error.is_none()
    }
}

/// One entry, as the journal tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number: from 1, growing by one in the order of appending.
    pub seq: i64,
    /// See [`Entry::at`].
    pub at: SystemTime,
    /// See [`Entry::took`].
    pub took: Duration,
    /// See [`Entry::build`].
    pub build: String,
    /// See [`Entry::target`].
    pub target: String,
    /// See [`Entry::directory`].
    pub directory: String,
    /// See [`Entry::pid`].
    pub pid: u32,
    /// See [`Entry::uid`].
    pub uid: u32,
    /// See [`Entry::identity`].
    pub identity: String,
    /// See [`Entry::method`].
    pub method: String,
    /// See [`Entry::path`].
    pub path: Vec<u8>,
    /// See [`Entry::other`].
    pub other: Option<Vec<u8>>,
    /// See [`Entry::outcome`].
    pub outcome: String,
    /// What [`Entry::is_change`] said.
    pub is_change: bool,
    /// See [`Entry::bytes`].
    pub bytes: u64,
    /// See [`Entry::error`].
    pub error: Option<String>,
}

/// Nanoseconds since the epoch: an `i64` of them lasts until the year 2262.
pub(crate) fn time_to_ns(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => duration_to_ns(after),
        Err(before) => -duration_to_ns(before.duration()),
    }
}

/// The reverse of [`time_to_ns`].
pub(super) fn time_from_ns(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

/// Nanoseconds, at most `i64::MAX` (292 years).
pub(super) fn duration_to_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use onewriter_tree::mutation::Outcome;
    use proptest::prelude::*;

    use super::*;
    use crate::journal::tests::entry;

    #[test]
    fn an_outcome_is_a_change_here_if_it_is_one_to_the_tree() {
        use Outcome::*;
        for outcome in [Created, Existed, Replaced, Unchanged, Attributes, Removed, Absent] {
            let entry = Entry { outcome: outcome.as_str(), ..entry("a") };
            assert_eq!(entry.is_change(), outcome.is_change(), "{outcome:?}");
        }
        let refused = Entry { outcome: crate::REFUSED, ..entry("a") };
        assert!(!refused.is_change());
    }

    proptest! {
        #[test]
        fn times_survive_the_way_to_nanoseconds_and_back(ns in any::<i64>()) {
            prop_assume!(ns > i64::MIN);
            prop_assert_eq!(time_to_ns(time_from_ns(ns)), ns);
        }
    }
}
