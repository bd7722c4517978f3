//! Who answers requests at this moment: the services of a daemon that owns its root, or a word on who
//! does.

use std::sync::{Arc, PoisonError, RwLock};

use onewriter_tree::Fence;
use tokio::sync::watch;
use tonic::{Status, service::Routes};

use crate::status::not_owner;

/// What everybody may ask a daemon that owns nothing.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Where requests go.
pub(crate) struct Desk {
    answering: RwLock<Answering>,
    /// Which set of connections may go on.
    shift: watch::Sender<u64>,
}

enum Answering {
    /// This daemon's services, as long as it owns the root.
    Services(Routes, Option<Arc<dyn Fence>>),
    /// Nobody here: only the daemon's health is told.
    Nobody { health: Routes, owner: Option<String>, why: &'static str },
}

impl Desk {
    /// One of a daemon that owns its root for life.
    pub(crate) fn open(routes: Routes) -> Arc<Self> {
        Self::new(Answering::Services(routes, None))
    }

    /// One of a daemon that waits to own it.
    pub(crate) fn closed(health: Routes, why: &'static str) -> Arc<Self> {
        Self::new(Answering::Nobody { health, owner: None, why })
    }

    fn new(answering: Answering) -> Arc<Self> {
        Arc::new(Self { answering: RwLock::new(answering), shift: watch::Sender::new(0) })
    }

    /// Has these services answer, as long as `fence` holds.
    pub(crate) fn serve(&self, routes: Routes, fence: Arc<dyn Fence>) {
        *self.write() = Answering::Services(routes, Some(fence));
    }

    /// Sends everybody away from now on, to the `owner` if he is known.
    pub(crate) fn send_away(&self, health: Routes, owner: Option<String>, why: &'static str) {
        *self.write() = Answering::Nobody { health, owner, why };
    }

    /// Breaks all connections that there are: what was begun on them nobody here will end.
    pub(crate) fn hang_up(&self) {
        self.shift.send_modify(|shift| *shift += 1);
    }

    /// Who answers a request for `path`.
    pub(crate) fn answering(&self, path: &str) -> Result<Routes, Status> {
        match &*self.answering.read().unwrap_or_else(PoisonError::into_inner) {
            Answering::Services(routes, fence) => match fence {
                Some(fence) if !fence.holds() && !path.starts_with(HEALTH) => {
                    Err(not_owner(None, "it has lost the build root"))
                }
                _ => Ok(routes.clone()),
            },
            Answering::Nobody { health, .. } if path.starts_with(HEALTH) => Ok(health.clone()),
            Answering::Nobody { owner, why, .. } => Err(not_owner(owner.as_deref(), why)),
        }
    }

    /// Tells a connection when it has to end.
    pub(crate) fn shift(&self) -> watch::Receiver<u64> {
        self.shift.subscribe()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Answering> {
        self.answering.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use tonic_types::StatusExt as _;

    use super::*;
    use crate::{lifecycle::Lifecycle, services};

    #[derive(Debug)]
    struct Right(AtomicBool);

    impl Fence for Right {
        fn holds(&self) -> bool {
            self.0.load(SeqCst)
        }
    }

    const ANY: &str = "/onewriter.v1.Mutations/Remove";
    const CHECK: &str = "/grpc.health.v1.Health/Check";

    #[tokio::test]
    async fn who_does_not_own_the_root_says_who_does_and_how_he_is() {
        let health = || services::health(&Lifecycle::new());
        let owner = |desk: &Desk| {
            let info = desk.answering(ANY).unwrap_err().get_details_error_info().unwrap();
            assert_eq!(info.reason, "NOT_OWNER");
            info.metadata.get("owner").cloned()
        };
        let desk = Desk::closed(health(), "it waits");
        assert_eq!(owner(&desk), None);
        desk.send_away(health(), Some("https://b:1".into()), "it waits");
        assert_eq!(owner(&desk).as_deref(), Some("https://b:1"));
        let right = Arc::new(Right(AtomicBool::new(true)));
        desk.serve(health(), Arc::clone(&right) as _);
        assert!(desk.answering(ANY).is_ok());
        // Lost, and nobody has noticed yet.
        right.0.store(false, SeqCst);
        assert_eq!(owner(&desk), None);
        assert!(desk.answering(CHECK).is_ok());
    }
}
