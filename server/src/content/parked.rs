//! Uploads that were cut off, until their client comes back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Inlet, OwnStore};

/// How long an upload waits.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many wait at most; the one that waits longest goes. Each has a file open.
const MAX: usize = 128;

/// By the name under which they were begun.
#[derive(Default)]
pub(crate) struct Parked(Mutex<HashMap<String, Waiting>>);

struct Waiting {
    since: Instant,
    inlet: Inlet,
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("uploads", &self.lock().len()).finish()
    }
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of the upload has come, if it waits.
    pub(crate) fn taken(&self, name: &str) -> Option<u64> {
        self.lock().get(name).map(|waiting| waiting.inlet.taken())
    }

    /// The upload, if it waits. It does not any more.
    pub(crate) fn take(&self, name: &str) -> Option<Inlet> {
        self.lock().remove(name).map(|waiting| waiting.inlet)
    }

    fn put(&self, name: String, inlet: Inlet, since: Instant) {
        let mut waiting = self.lock();
        waiting.insert(name, Waiting { since, inlet });
        if waiting.len() > MAX {
            let oldest = waiting.iter().min_by_key(|(_, waiting)| waiting.since);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| waiting.remove(&name));
        }
    }

    fn drop_older_than(&self, limit: Instant) {
        self.lock().retain(|_, waiting| waiting.since > limit);
    }
}

impl OwnStore {
    /// Lets an upload wait.
    pub(crate) fn park(self: &Arc<Self>, name: String, inlet: Inlet) {
        let since = Instant::now();
        self.parked.put(name, inlet, since);
        let own = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(own) = own.upgrade() {
                own.parked.drop_older_than(since);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use onewriter_store::{Digest, Function, Store};

    use super::*;

    #[test]
    fn so_many_wait_and_so_long() {
        let dir = tempfile::tempdir().unwrap();
        let state = std::fs::File::open(dir.path()).unwrap();
        let store = Store::open(state.as_fd(), 1 << 20).unwrap();
        let digest = Digest::of(Function::Sha256, b"content");
        let inlet = || Inlet::new(store.upload(digest).unwrap(), false).unwrap();
        let (parked, start) = (Parked::default(), Instant::now());
        let at = |n: u64| start + Duration::from_secs(n);
        for n in 0..=MAX as u64 {
            parked.put(n.to_string(), inlet(), at(n));
        }
        assert_eq!(parked.taken("0"), None);
        assert_eq!(parked.taken("1"), Some(0));
        parked.drop_older_than(at(5));
        assert_eq!((parked.taken("5"), parked.taken("6")), (None, Some(0)));
        assert!(parked.take("6").is_some());
        assert!(parked.take("6").is_none());
        let waiting = std::fs::read_dir(dir.path().join("cas/incoming")).unwrap().count();
        assert_eq!(waiting, MAX - 6);
    }
}
