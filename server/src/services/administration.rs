//! The daemon itself.

use std::{sync::Arc, time::Duration};

use onewriter_core::{
    Caller, Durability, Engine,
    journal::Mode,
    leases::{LeaseHolding, LeaseStatus, LeaseWaiting, Subject},
    locks::{Access, KeyStatus, Owner},
    transactions::Underway,
};
use onewriter_proto::{
    PROTOCOL, convert,
    v1::{
        self, DrainRequest, DrainResponse, Leased, LeasedOnce, LockParty, LockedPath,
        MutationCount, StatisticsRequest, StatisticsResponse, StatusRequest, StatusResponse,
        StopRequest, StopResponse, TransactionStatus, WorkersRequest, WorkersResponse, leased,
    },
};
use onewriter_tree::{Error, Reason, RelPath, mutation::Deed};
use tonic::{Request, Response, Status, async_trait};
use tonic_health::ServingStatus;

use super::{caller, within, workers};
use crate::{lifecycle::Lifecycle, peer, process, status::status};

pub(crate) struct Administration {
    engine: Arc<Engine>,
    lifecycle: Arc<Lifecycle>,
}

impl Administration {
    pub(crate) fn new(engine: Arc<Engine>, lifecycle: Arc<Lifecycle>) -> Self {
        Self { engine, lifecycle }
    }

    async fn may_end_it<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
    ) -> Result<(), Status> {
        let caller = caller(request, method);
        let permitted = self.engine.permit(&caller, Deed::Administer, &RelPath::ROOT).await;
        permitted.map_err(status)
    }
}

/// Whether the caller may know of what is done at a path.
pub(super) fn sees(caller: &Caller, path: &[u8]) -> bool {
    let Some(rights) = &caller.rights else { return true };
    let path = if path.is_empty() { Ok(RelPath::ROOT) } else { RelPath::parse(path) };
    path.is_ok_and(|path| rights.may(Deed::Read, &path))
}

#[async_trait]
impl v1::administration_server::Administration for Administration {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        use std::os::unix::ffi::OsStrExt as _;
        let caller = caller(&request, "status");
        let sees = |path: &[u8]| sees(&caller, path);
        let locked = |statuses: Vec<KeyStatus>| {
            let seen = statuses.into_iter().filter(|status| sees(status.key.as_bytes()));
            seen.map(locked_path).collect()
        };
        let leases = self.engine.leases().into_iter().filter(|lease| match &lease.subject {
            Subject::Path(path) => sees(path.as_bytes()),
            Subject::Name(_) | Subject::Once { .. } => true,
        });
        // A command may name any file.
        let transactions = match sees(b"") {
            true => self.engine.transactions(),
            false => Vec::new(),
        };
        Ok(Response::new(StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            root: self.engine.tree().path().as_os_str().as_bytes().to_vec(),
            uptime_ms: millis(self.lifecycle.uptime()),
            durability: match self.engine.durability() {
                Durability::Process => "process".to_owned(),
                Durability::Power => "power".to_owned(),
            },
            draining: self.engine.is_draining(),
            connections: self.lifecycle.connections(),
            locks: locked(self.engine.locks().snapshot()),
            transactions: transactions.into_iter().map(underway).collect(),
            turns: locked(self.engine.turns().snapshot()),
            journal_mode: match self.engine.journal().mode() {
                Mode::Wal => "wal".to_owned(),
                Mode::Exclusive => "exclusive".to_owned(),
            },
            leases: leases.map(leased).collect(),
        }))
    }

    async fn statistics(
        &self,
        _: Request<StatisticsRequest>,
    ) -> Result<Response<StatisticsResponse>, Status> {
        let counts = self.engine.counts();
        let (locks, journal) = (self.engine.locks().counters(), self.engine.journal().stats());
        let (sync_rounds, sync_requests) = self.engine.syncs();
        let count = |((method, outcome), count): ((&str, &str), u64)| MutationCount {
            method: method.to_owned(),
            outcome: outcome.to_owned(),
            count,
        };
        Ok(Response::new(StatisticsResponse {
            mutations: counts.mutations.into_iter().map(count).collect(),
            bytes_written: counts.bytes,
            lock_acquisitions: locks.acquisitions,
            lock_waits: locks.waited,
            lock_wait_us: locks.total_wait.as_micros() as u64,
            lock_holders: locks.holders,
            lock_waiters: locks.waiters,
            journal_written: journal.written,
            journal_queued: journal.queued,
            journal_dropped: journal.dropped_unchanged,
            journal_lost: journal.lost,
            sync_rounds,
            sync_requests,
            trash: self.engine.trash(),
            resident_bytes: process::resident_bytes(),
        }))
    }

    async fn workers(
        &self,
        request: Request<WorkersRequest>,
    ) -> Result<Response<WorkersResponse>, Status> {
        let caller = caller(&request, "workers");
        let workers = workers::tell(&self.engine, &self.lifecycle, &caller);
        Ok(Response::new(WorkersResponse { workers }))
    }

    async fn drain(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<DrainResponse>, Status> {
        self.may_end_it(&request, "drain").await?;
        self.engine.refuse();
        self.lifecycle.report(ServingStatus::NotServing).await;
        let deadline = peer::deadline(request.metadata());
        if within(deadline, self.engine.drain()).await.is_none() {
            let why = "requests are still under way (`onewriter status` shows them); the daemon \
                       takes no new ones and ends when it is stopped";
            return Err(status(Error::new(Reason::LockTimeout, b".", why)));
        }
        Ok(Response::new(DrainResponse {}))
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopResponse>, Status> {
        self.may_end_it(&request, "stop").await?;
        self.lifecycle.stop("a client asked for it");
        Ok(Response::new(StopResponse { pid: std::process::id() }))
    }
}

pub(super) fn locked_path(status: KeyStatus) -> LockedPath {
    let holder = |h: onewriter_core::locks::Holding| party(&h.owner, h.access, h.held_for);
    let waiter = |w: onewriter_core::locks::Waiting| party(&w.owner, w.access, w.waited);
    LockedPath {
        path: status.key.as_bytes().to_vec(),
        holders: status.holders.into_iter().map(holder).collect(),
        waiters: status.waiters.into_iter().map(waiter).collect(),
    }
}

pub(super) fn leased(status: LeaseStatus) -> Leased {
    let subject = match status.subject {
        Subject::Path(path) => leased::Subject::Path(convert::shown(&path)),
        Subject::Name(name) => leased::Subject::Name(name),
        Subject::Once { build, key } => leased::Subject::Once(LeasedOnce { build, key }),
    };
    let holder = |h: LeaseHolding| LockParty {
        token: h.token,
        ..party(&h.holding.owner, h.holding.access, h.holding.held_for)
    };
    let waiter = |w: LeaseWaiting| party(&w.owner, w.access, w.waited);
    Leased {
        subject: Some(subject),
        holders: status.holders.into_iter().map(holder).collect(),
        waiters: status.waiters.into_iter().map(waiter).collect(),
    }
}

pub(super) fn underway(transaction: Underway) -> TransactionStatus {
    let Underway { owner, command, for_so_long } = transaction;
    TransactionStatus {
        method: owner.method.to_owned(),
        build: owner.build,
        target: owner.target,
        pid: owner.pid,
        uid: owner.uid,
        command,
        for_ms: millis(for_so_long),
    }
}

fn party(owner: &Owner, access: Access, time: Duration) -> LockParty {
    LockParty {
        method: owner.method.to_owned(),
        build: owner.build.clone(),
        target: owner.target.clone(),
        pid: owner.pid,
        uid: owner.uid,
        exclusive: access == Access::Exclusive,
        for_ms: millis(time),
        token: 0,
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
