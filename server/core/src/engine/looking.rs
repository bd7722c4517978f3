//! Looking at the tree for somebody: never at what is half done.

use std::{sync::Arc, time::Instant};

use onewriter_tree::{Error, Last, RelPath, Tree, mutation::Access};
use tokio::task::spawn_blocking;

use super::{Caller, DEFAULT_WAIT, Engine, Refusal, broken, lock_timeout_at};
use crate::locks::LockGuard;

impl Engine {
    /// What `look` sees of `paths`, at a moment when no commit is half done there. It may wait for
    /// the disk, and may be asked twice.
    ///
    /// # Errors
    /// [`Refusal`], where it fails, or such a commit does not end in time.
    pub async fn look<T: Send + 'static>(
        &self,
        caller: Caller,
        paths: Arc<[RelPath]>,
        look: impl Fn(&Tree, &[RelPath]) -> Result<T, Error> + Copy + Send + 'static,
    ) -> Result<T, Refusal> {
        let seen = || {
            let (tree, paths) = (Arc::clone(self.tree()), Arc::clone(&paths));
            let seen = spawn_blocking(move || look(&tree, &paths));
            async { seen.await.unwrap_or_else(|_| Err(broken(b".").error)) }
        };
        if let before @ Some(_) = self.hands.calm(None) {
            let seen = seen().await;
            if self.hands.calm(before).is_some() {
                return Ok(seen?);
            }
        }
        let _held = self.hold_still(caller, &paths).await?;
        Ok(seen().await?)
    }

    /// Keeps mutations away from `paths`.
    async fn hold_still(&self, caller: Caller, paths: &[RelPath]) -> Result<LockGuard, Refusal> {
        let real = |path: &RelPath| self.tree().canonicalize(path, Last::Follow);
        let keys = paths.iter().map(|path| real(path).unwrap_or_else(|_| path.clone()));
        let set = keys.map(|key| (key.as_bytes().into(), Access::Shared)).collect();
        let deadline = caller.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        let held = self.locks.acquire(set, Arc::new(caller.owner), Some(deadline.into())).await;
        held.map_err(|error| lock_timeout_at(error, paths.first().unwrap_or(&RelPath::ROOT)))
    }
}
