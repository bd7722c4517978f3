//! What was changed while transactions were under way, and by whom: how a commit finds out that
//! somebody else was there first.
//!
//! While nobody watches, nothing is kept. A change is noted before the locks of its path are given
//! back, and looked up while they are held: a commit that has its locks sees every change that was
//! made since its transaction began. It may also see one that was made a moment before, and noted
//! a moment after; then a command runs once more than it had to.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use onewriter_tree::{
    RelPath,
    mutation::{Change, Outcome},
    transaction,
};

use crate::locks::Owner;

/// The latest change of each path, as far back as anybody cares.
#[derive(Debug, Default)]
pub(crate) struct History {
    watchers: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts requests that changed something.
    clock: u64,
    /// From when on watchers watch, and how many from then.
    since: BTreeMap<u64, usize>,
    latest: BTreeMap<Vec<u8>, Latest>,
}

/// Who changed a path last.
#[derive(Clone, Debug)]
struct Mark {
    at: u64,
    who: Arc<Owner>,
}

#[derive(Debug)]
struct Latest {
    change: Mark,
    /// The last change with which all went that was below. What is made in its place later does
    /// not bring that back.
    uprooted: Option<Mark>,
}

/// One who wants to know what was changed since it came.
#[derive(Debug)]
pub(crate) struct Watch {
    history: Arc<History>,
    since: u64,
}

impl History {
    /// Notes what `who` has changed, for those who watch.
    pub(crate) fn note(&self, who: &Arc<Owner>, changes: &[Change]) {
        if self.watchers.load(SeqCst) == 0 {
            return;
        }
        let mut state = self.lock();
        state.clock += 1;
        for change in changes.iter().filter(|change| change.outcome.is_change()) {
            let mark = Mark { at: state.clock, who: Arc::clone(who) };
            let uproots = change.outcome == Outcome::Removed || change.other.is_some();
            let uprooted = uproots.then(|| mark.clone());
            match state.latest.entry(change.path.as_bytes().to_vec()) {
                Entry::Vacant(new) => {
                    new.insert(Latest { change: mark, uprooted });
                }
                Entry::Occupied(mut there) => {
                    let there = there.get_mut();
                    there.uprooted = uprooted.or(there.uprooted.take());
                    there.change = mark;
                }
            }
        }
    }

    /// Begins to watch.
    pub(crate) fn watch(self: &Arc<Self>) -> Watch {
        self.watchers.fetch_add(1, SeqCst);
        let mut state = self.lock();
        let since = state.clock;
        *state.since.entry(since).or_default() += 1;
        drop(state);
        Watch { history: Arc::clone(self), since }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what nobody asks for any more.
    fn forget(&mut self) {
        match self.since.first_key_value() {
            None => self.latest.clear(),
            Some((&oldest, _)) => self.latest.retain(|_, latest| latest.change.at > oldest),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.history.lock();
        if let Some(watchers) = state.since.get_mut(&self.since) {
            *watchers -= 1;
            if *watchers == 0 {
                state.since.remove(&self.since);
                state.forget();
            }
        }
        self.history.watchers.fetch_sub(1, SeqCst);
    }
}

impl transaction::History for Watch {
    /// What befell a directory on the way to it, befell the path.
    fn changed(&self, path: &RelPath) -> Option<String> {
        let state = self.history.lock();
        let itself = state.latest.get(path.as_bytes()).map(|latest| &latest.change);
        let above = std::iter::successors(path.parent(), RelPath::parent)
            .filter_map(|above| state.latest.get(above.as_bytes())?.uprooted.as_ref());
        let found = itself.into_iter().chain(above).find(|mark| mark.at > self.since);
        found.map(|mark| mark.who.to_string())
    }

    fn changed_below(&self, path: &RelPath) -> Vec<(RelPath, String)> {
        let state = self.history.lock();
        let from = if path.is_root() { Vec::new() } else { [path.as_bytes(), b"/"].concat() };
        let below = state.latest.range(from.clone()..).take_while(|(at, _)| at.starts_with(&from));
        let below = below.map(|(at, latest)| (at, &latest.change));
        let later = below.filter(|(at, mark)| !at.is_empty() && mark.at > self.since);
        later
            .filter_map(|(at, mark)| Some((RelPath::parse(at).ok()?, mark.who.to_string())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use onewriter_tree::transaction::History as _;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    fn note(history: &History, who: &str, outcome: Outcome, at: &str) {
        let who = Arc::new(Owner { target: who.into(), ..Owner::default() });
        history.note(&who, &[Change::new(&path(at), outcome)]);
    }

    fn kept(history: &History) -> usize {
        history.lock().latest.len()
    }

    #[test]
    fn a_watch_sees_what_came_after_it_and_who_was_last() {
        let history = Arc::new(History::default());
        let early = history.watch();
        note(&history, "one", Outcome::Created, "a/f");
        let late = history.watch();
        assert!(late.changed(&path("a/f")).is_none());
        note(&history, "two", Outcome::Replaced, "a/f");
        for watch in [&early, &late] {
            assert!(watch.changed(&path("a/f")).unwrap().contains("'two'"));
            assert!(watch.changed(&path("a")).is_none(), "a directory is not what is in it");
        }
        note(&history, "three", Outcome::Unchanged, "a/g");
        assert!(early.changed(&path("a/g")).is_none(), "nothing was changed");
    }

    #[test]
    fn what_befalls_a_directory_befalls_what_is_in_it() {
        let history = Arc::new(History::default());
        let watch = history.watch();
        note(&history, "made", Outcome::Created, "new");
        assert!(watch.changed(&path("new/f")).is_none());
        note(&history, "clean", Outcome::Removed, "old");
        assert!(watch.changed(&path("old/x/f")).unwrap().contains("'clean'"));
        let who = Arc::new(Owner { target: "moved".into(), ..Owner::default() });
        let to = Change { other: Some(path("a")), ..Change::new(&path("b"), Outcome::Created) };
        history.note(&who, &[to]);
        assert!(watch.changed(&path("b/f")).unwrap().contains("'moved'"));
    }

    #[test]
    fn what_went_with_a_directory_is_not_back_when_that_is_made_again() {
        let history = Arc::new(History::default());
        let watch = history.watch();
        note(&history, "clean", Outcome::Removed, "out");
        let late = history.watch();
        note(&history, "build", Outcome::Created, "out");
        assert!(watch.changed(&path("out/f")).unwrap().contains("'clean'"));
        assert!(watch.changed(&path("out")).unwrap().contains("'build'"));
        assert!(late.changed(&path("out/f")).is_none());
    }

    #[test]
    fn below_a_directory_is_not_beside_it() {
        let history = Arc::new(History::default());
        let watch = history.watch();
        for at in ["d", "d/x/y", "d-e", "d0", "d/z"] {
            note(&history, "x", Outcome::Created, at);
        }
        let below = watch.changed_below(&path("d"));
        let names: Vec<_> = below.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["d/x/y", "d/z"]);
        assert_eq!(watch.changed_below(&RelPath::ROOT).len(), 5);
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let history = Arc::new(History::default());
        note(&history, "x", Outcome::Created, "a");
        assert_eq!(kept(&history), 0);
        let first = history.watch();
        note(&history, "x", Outcome::Created, "b");
        let second = history.watch();
        note(&history, "x", Outcome::Created, "c");
        drop(first);
        assert_eq!(kept(&history), 1, "what only the first could ask for is forgotten");
        assert!(second.changed(&path("c")).is_some());
        drop(second);
        assert_eq!(kept(&history), 0);
    }
}
