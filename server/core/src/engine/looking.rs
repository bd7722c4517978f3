//! Looking at the tree for somebody: never at what is half done.

use std::{sync::Arc, time::Instant};

use onewriter_tree::{
    Error, Last, Reason, RelPath,
    mutation::{Access, Deed},
};
use tokio::task::spawn_blocking;

use super::{Caller, DEFAULT_WAIT, Engine, Refusal, Sight, broken, denied, lock_timeout_at};
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
        look: impl Fn(&Sight<'_>, &[RelPath]) -> Result<T, Error> + Copy + Send + 'static,
    ) -> Result<T, Refusal> {
        for path in &*paths {
            self.permit(&caller, Deed::Read, path).await?;
        }
        let _turn = self.turn_to_look(&caller, paths.first().unwrap_or(&RelPath::ROOT)).await?;
        let seen = || {
            let (tree, paths) = (Arc::clone(self.tree()), Arc::clone(&paths));
            let rights = caller.rights.clone();
            let seen = spawn_blocking(move || look(&Sight::new(&tree, rights.as_deref()), &paths));
            async { seen.await.unwrap_or_else(|_| Err(broken(b".").error)) }
        };
        if let before @ Some(_) = self.hands.calm(None) {
            let seen = seen().await;
            if self.hands.calm(before).is_some() {
                return self.told(&caller, seen).await;
            }
        }
        let _held = self.hold_still(caller.clone(), &paths).await?;
        let seen = seen().await;
        self.told(&caller, seen).await
    }

    /// What was seen; who was led to where he may not look finds that on record.
    async fn told<T>(&self, caller: &Caller, seen: Result<T, Error>) -> Result<T, Refusal> {
        match (seen, &caller.rights) {
            (Err(error), Some(rights)) if error.reason == Reason::Forbidden => {
                let refusal = match RelPath::parse(&error.path) {
                    Ok(path) => denied(error.reason, &path, rights.refuse(Deed::Read, &path)),
                    Err(_) => error.into(),
                };
                Err(self.refused(caller, refusal).await)
            }
            (seen, _) => Ok(seen?),
        }
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
