//! From when a daemon takes the root over to when it has lost it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use onewriter_core::{Engine, journal::succession};
use onewriter_tree::{Fence as _, Tree, path::STATE_DIR};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use super::{Member, fence::Right, membership::Term};
use crate::{
    content::Content,
    daemon,
    launch::AnyError,
    lifecycle::Lifecycle,
    listener::{Host, SOCKET, unix},
    metrics::{self, Others},
    services,
};

/// All that an owner has.
pub(super) struct Tenure {
    engine: Arc<Engine>,
    right: Arc<Right>,
    term: Term,
    /// What serves clients on this machine, and Prometheus.
    beside: Vec<JoinHandle<()>>,
}

impl Tenure {
    /// Takes the root over: the epoch is raised on its disk; what the last owner had begun is completed or
    /// undone, and what it had prepared is taken away; journal and keys are adopted; then it is served.
    pub(super) async fn begin(member: &Member, term: Term, host: &Host) -> Result<Self, AnyError> {
        let (root, durability) = (member.config.root.clone(), member.config.durability);
        let (epochs, address) =
            (member.membership.epochs(), member.membership.address().to_owned());
        let (lease, epoch) = (Arc::clone(term.lease()), term.epoch);
        let taken = spawn_blocking(move || -> Result<_, AnyError> {
            let mark = epochs.claim(epoch, &address)?;
            let right = Right::new(&lease, mark);
            let tree = Arc::new(Tree::open(&root)?.fenced(Arc::clone(&right) as _));
            let state: PathBuf = tree.path().join(STATE_DIR);
            let journal = succession::succeed(&state, epoch)?;
            let engine = Engine::succeed(tree, &journal, durability, epoch)?;
            match right.holds() {
                true => Ok((engine, right)),
                false => Err("it was lost again before it could be served".into()),
            }
        });
        let (engine, right) = taken.await??;
        let engine = Arc::new(engine);
        let backing = daemon::backing(&member.config, engine.tree())?;
        let others = Others { spans: member.spans.clone(), store: backing.external() };
        let content = Content::new(Arc::clone(engine.tree()), backing);
        let routes = services::routes(&engine, &member.lifecycle, &content);
        let mut tenure = Self { engine, right, term, beside: Vec::new() };
        tenure.serve_this_machine(member, host);
        tenure.serve_figures(member, others).await;
        member.owns(&tenure.engine);
        member.desk.serve(routes, Arc::clone(&tenure.right) as _);
        Ok(tenure)
    }

    /// Clients on this machine find the owner by the socket. It is left when the root is lost: the next
    /// owner puts its own in its place, and might have done so already.
    fn serve_this_machine(&mut self, member: &Member, host: &Host) {
        let temporary = format!("{SOCKET}.{}", member.membership.id());
        match unix::bind_by(self.engine.tree(), SOCKET, &temporary) {
            Ok(listener) => {
                let host = host.clone();
                self.beside.push(tokio::spawn(async move { host.listen(&listener).await }));
            }
            Err(error) => {
                tracing::error!(cause = %error, "clients on this machine cannot come by the socket");
            }
        }
    }

    async fn serve_figures(&mut self, member: &Member, others: Others) {
        let (Some(address), Some(meters)) = (&member.config.metrics, &member.meters) else {
            return;
        };
        match metrics::Endpoint::with_meters(address, Arc::clone(meters)).await {
            Ok(figures) => self.beside.push(figures.serve(&self.engine, &member.lifecycle, others)),
            Err(error) => tracing::error!(cause = %error, address, "figures cannot be served"),
        }
    }

    /// Returns when the root may be another's.
    pub(super) async fn over(&self) {
        self.term.over().await;
        self.right.lose();
    }

    /// Leaves the root to whoever owns it now. What is under way fails at its next step; that may take
    /// as long as the disk does.
    pub(super) fn abandon(self, patience: u64) {
        let Self { engine, right, term, beside } = self;
        right.lose();
        beside.iter().for_each(JoinHandle::abort);
        engine.refuse();
        tokio::spawn(async move {
            let drained = timeout(Duration::from_secs(patience), engine.drain()).await.is_ok();
            let _ = spawn_blocking(move || engine.journal().close()).await;
            // Where something still acts, the lease ends by itself.
            if drained {
                term.resign().await;
            }
        });
    }

    /// Ends what is under way, and gives the root up.
    pub(super) async fn end(self, lifecycle: &Lifecycle, patience: u64) {
        let Self { engine, right, term, beside } = self;
        beside.iter().for_each(JoinHandle::abort);
        let drained = daemon::wind_up(engine, lifecycle, patience).await;
        right.lose();
        if drained {
            term.resign().await;
        }
    }
}
