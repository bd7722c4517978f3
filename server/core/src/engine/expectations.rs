//! Who waits for something to be at a path, and is woken when that may have come true.
//!
//! One who waits says first for which paths, and looks then; what changes the tree does so first, and
//! looks then who waits. So whichever comes second sees the other, and no wake-up is lost. Where
//! nobody waits, a change pays one load of an atomic.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst, fence},
    },
};

use onewriter_tree::RelPath;
use tokio::sync::Notify;

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    waiting: AtomicUsize,
    /// By path, in whose order all that is below a path lies side by side.
    paths: Mutex<ByPath>,
}

type ByPath = BTreeMap<Vec<u8>, Vec<(Arc<Bell>, usize)>>;

/// Wakes one who waits.
#[derive(Debug, Default)]
struct Bell {
    /// Which of his paths it rang for.
    rung: Mutex<Vec<usize>>,
    wake: Notify,
}

/// One who waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Expectation {
    all: Arc<Expectations>,
    bell: Arc<Bell>,
    /// All that he waits for.
    paths: Vec<(RelPath, usize)>,
}

impl Expectations {
    /// Somebody who waits for nothing yet.
    pub(super) fn join(self: &Arc<Self>) -> Expectation {
        self.waiting.fetch_add(1, SeqCst);
        Expectation { all: Arc::clone(self), bell: Arc::default(), paths: Vec::new() }
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Something was changed at `path`. It concerns those who wait for that, for what is below it (a
    /// directory may have come with all that is in it), and for a directory above it.
    pub(super) fn changed(&self, path: &RelPath) {
        fence(SeqCst);
        if self.count() == 0 {
            return;
        }
        let paths = self.lock();
        let ring = |(bell, which): &(Arc<Bell>, usize)| bell.ring(*which);
        let mut at = Some(path.clone());
        while let Some(here) = at {
            paths.get(here.as_bytes()).into_iter().flatten().for_each(ring);
            at = here.parent();
        }
        let (from, to) = match path.is_root() {
            true => (vec![0], vec![0xff]),
            false => ([path.as_bytes(), b"/"].concat(), [path.as_bytes(), b"0"].concat()),
        };
        paths.range(from..to).for_each(|(_, waiting)| waiting.iter().for_each(ring));
    }

    fn lock(&self) -> MutexGuard<'_, ByPath> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    fn ring(&self, which: usize) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).push(which);
        self.wake.notify_one();
    }

    fn take(&self) -> Vec<usize> {
        let mut rung = take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner));
        rung.sort_unstable();
        rung.dedup();
        rung
    }
}

impl Expectation {
    /// Waits for `path`, too, which is called `which`; whether that is new.
    pub(super) fn expect(&mut self, path: &RelPath, which: usize) -> bool {
        let mut paths = self.all.lock();
        let there = paths.entry(path.as_bytes().to_vec()).or_default();
        if there.iter().any(|(bell, name)| Arc::ptr_eq(bell, &self.bell) && *name == which) {
            return false;
        }
        there.push((Arc::clone(&self.bell), which));
        drop(paths);
        self.paths.push((path.clone(), which));
        // What comes next is a look at the tree.
        fence(SeqCst);
        true
    }

    /// Returns when something happened at a path that he waits for, and which these are.
    pub(super) async fn rung(&self) -> Vec<usize> {
        loop {
            let rung = self.bell.take();
            if !rung.is_empty() {
                return rung;
            }
            self.bell.wake.notified().await;
        }
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        let mut paths = self.all.lock();
        for (path, _) in &self.paths {
            if let Some(there) = paths.get_mut(path.as_bytes()) {
                there.retain(|(bell, _)| !Arc::ptr_eq(bell, &self.bell));
                if there.is_empty() {
                    paths.remove(path.as_bytes());
                }
            }
        }
        drop(paths);
        self.all.waiting.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn path(path: &str) -> RelPath {
        RelPath::parse(path.as_bytes()).unwrap()
    }

    /// Which of `paths` a change at `changed` wakes.
    fn woken(paths: &[&str], changed: &str) -> Vec<usize> {
        let all = Arc::new(Expectations::default());
        let mut one = all.join();
        paths.iter().enumerate().for_each(|(n, p)| assert!(one.expect(&path(p), n)));
        all.changed(&path(changed));
        let rung = one.bell.take();
        drop(one);
        assert!(all.lock().is_empty() && all.count() == 0, "nothing is left behind");
        rung
    }

    #[test]
    fn a_change_concerns_its_path_and_those_above_and_below() {
        let paths = ["a", "a/b", "a/b/c", "a/bc", "a/b.c", "b", "."];
        assert_eq!(woken(&paths, "a/b"), [0, 1, 2, 6]);
        assert_eq!(woken(&paths, "a"), [0, 1, 2, 3, 4, 6]);
        assert_eq!(woken(&paths, "a/b/c/d"), [0, 1, 2, 6]);
        assert_eq!(woken(&paths, "."), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(woken(&paths, "ab"), [6]);
        assert_eq!(woken(&["\u{10ffff}"], "."), [0]);
    }

    #[tokio::test]
    async fn who_was_woken_before_he_waits_is_awake() {
        let all = Arc::new(Expectations::default());
        let (mut one, mut other) = (all.join(), all.join());
        assert!(one.expect(&path("a"), 0) && !one.expect(&path("a"), 0));
        other.expect(&path("b"), 7);
        all.changed(&path("a"));
        all.changed(&path("a"));
        assert_eq!(one.rung().await, [0]);
        let limit = Duration::from_millis(1);
        assert!(tokio::time::timeout(limit, other.rung()).await.is_err());
        assert!(tokio::time::timeout(limit, one.rung()).await.is_err(), "once is enough");
        drop(one);
        all.changed(&path("b/c"));
        assert_eq!(other.rung().await, [7], "he stays when others go");
    }
}
