//! The daemon itself.

use std::{sync::Arc, time::Duration};

use onewriter_core::{
    Durability, Engine,
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
        StopRequest, StopResponse, TransactionStatus, leased,
    },
};
use onewriter_tree::{Error, Reason};
use tonic::{Request, Response, Status, async_trait};
use tonic_health::ServingStatus;

use super::within;
use crate::{lifecycle::Lifecycle, peer, process, status::status};

pub(crate) struct Administration {
    engine: Arc<Engine>,
    lifecycle: Arc<Lifecycle>,
}

impl Administration {
    pub(crate) fn new(engine: Arc<Engine>, lifecycle: Arc<Lifecycle>) -> Self {
        Self { engine, lifecycle }
    }
}

#[async_trait]
impl v1::administration_server::Administration for Administration {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        use std::os::unix::ffi::OsStrExt as _;
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
            locks: self.engine.locks().snapshot().into_iter().map(locked_path).collect(),
            transactions: self.engine.transactions().into_iter().map(underway).collect(),
            turns: self.engine.turns().snapshot().into_iter().map(locked_path).collect(),
            journal_mode: match self.engine.journal().mode() {
                Mode::Wal => "wal".to_owned(),
                Mode::Exclusive => "exclusive".to_owned(),
            },
            leases: self.engine.leases().into_iter().map(leased).collect(),
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

    async fn drain(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<DrainResponse>, Status> {
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

    async fn stop(&self, _: Request<StopRequest>) -> Result<Response<StopResponse>, Status> {
        self.lifecycle.stop("a client asked for it");
        Ok(Response::new(StopResponse { pid: std::process::id() }))
    }
}

fn locked_path(status: KeyStatus) -> LockedPath {
    let holder = |h: onewriter_core::locks::Holding| party(&h.owner, h.access, h.held_for);
    let waiter = |w: onewriter_core::locks::Waiting| party(&w.owner, w.access, w.waited);
    LockedPath {
        path: status.key.as_bytes().to_vec(),
        holders: status.holders.into_iter().map(holder).collect(),
        waiters: status.waiters.into_iter().map(waiter).collect(),
    }
}

fn leased(status: LeaseStatus) -> Leased {
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

fn underway(transaction: Underway) -> TransactionStatus {
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

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
