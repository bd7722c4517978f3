//! Who is connected, what they hold, and what they run: connections, locks, leases and transactions
//! by whose they are.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use onewriter_core::{
    Caller, Engine,
    leases::{LeaseStatus, Subject},
    locks::{KeyStatus, Owner},
};
use onewriter_proto::v1::{Leased, LockedPath, Worker, WorkerRequest};

use super::administration::{leased, locked_path, millis, sees, underway};
use crate::{lifecycle::Lifecycle, visitors::Seen};

/// Whose something is: a process of this machine, or an identity at an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Who {
    identity: String,
    address: Option<IpAddr>,
    pid: u32,
}

impl Who {
    fn connected(seen: &Seen) -> Self {
        let identity = match &seen.who {
            Some(who) => who.to_string(),
            None => seen.origin.to_string(),
        };
        let pid = seen.who.as_ref().map_or(0, |who| who.process().0);
        Self { identity, address: seen.address.map(|address| address.0), pid }
    }

    fn owner(owner: &Owner) -> Self {
        match &owner.identity {
            Some(identity) => {
                Self { identity: identity.to_string(), address: owner.address, pid: 0 }
            }
            None => Self { identity: format!("uid:{}", owner.uid), address: None, pid: owner.pid },
        }
    }
}

/// All workers, as they are found one by one.
#[derive(Default)]
struct Roll(BTreeMap<Who, Worker>);

/// All that `caller` may know of everybody.
pub(super) fn tell(engine: &Engine, lifecycle: &Lifecycle, caller: &Caller) -> Vec<Worker> {
    let mut roll = Roll::default();
    let own = caller.rights.as_ref().map(|rights| &**rights.who());
    // Others are told of by what they hold: what somebody runs may name any file.
    let knows = |who: &Who| own.is_none_or(|own| own == who.identity) || sees(caller, b"");
    for status in engine.locks().snapshot() {
        if sees(caller, status.key.as_bytes()) {
            roll.paths(&status, |worker| &mut worker.locks);
        }
    }
    for status in engine.turns().snapshot() {
        if sees(caller, status.key.as_bytes()) {
            roll.paths(&status, |worker| &mut worker.turns);
        }
    }
    for status in engine.leases() {
        match &status.subject {
            Subject::Path(path) if !sees(caller, path.as_bytes()) => {}
            _ => roll.lease(&status),
        }
    }
    for transaction in engine.transactions() {
        let who = Who::owner(&transaction.owner);
        if knows(&who) {
            roll.worker(&who).transactions.push(underway(transaction));
        }
    }
    for seen in lifecycle.visitors().seen() {
        let who = Who::connected(&seen);
        if knows(&who) {
            roll.visit(&who, seen);
        }
    }
    roll.0.into_values().collect()
}

impl Roll {
    fn worker(&mut self, who: &Who) -> &mut Worker {
        self.0.entry(who.clone()).or_insert_with(|| Worker {
            identity: who.identity.clone(),
            address: who.address.map(|address| address.to_string()).unwrap_or_default(),
            pid: who.pid,
            ..Worker::default()
        })
    }

    /// A path, to each of those who hold it or wait for it with nobody but himself.
    fn paths(&mut self, status: &KeyStatus, at: impl Fn(&mut Worker) -> &mut Vec<LockedPath>) {
        let holders = status.holders.iter().map(|holding| &holding.owner);
        for who in parties(holders.chain(status.waiters.iter().map(|waiting| &waiting.owner))) {
            let mut own = status.clone();
            own.holders.retain(|holding| Who::owner(&holding.owner) == who);
            own.waiters.retain(|waiting| Who::owner(&waiting.owner) == who);
            at(self.worker(&who)).push(locked_path(own));
        }
    }

    /// The same for what somebody has a lease on.
    fn lease(&mut self, status: &LeaseStatus) {
        let holders = status.holders.iter().map(|held| &held.holding.owner);
        for who in parties(holders.chain(status.waiters.iter().map(|waiting| &waiting.owner))) {
            let mut own = status.clone();
            own.holders.retain(|held| Who::owner(&held.holding.owner) == who);
            own.waiters.retain(|waiting| Who::owner(&waiting.owner) == who);
            let own: Leased = leased(own);
            self.worker(&who).leases.push(own);
        }
    }

    fn visit(&mut self, who: &Who, seen: Seen) {
        let (worker, idle) = (self.worker(who), millis(seen.idle));
        worker.idle_ms = if worker.connections == 0 { idle } else { worker.idle_ms.min(idle) };
        worker.connections += 1;
        worker.for_ms = worker.for_ms.max(millis(seen.stays));
        let request =
            |(method, time): (String, Duration)| WorkerRequest { method, for_ms: millis(time) };
        worker.requests.extend(seen.requests.into_iter().map(request));
        worker.requests.sort_by_key(|request| std::cmp::Reverse(request.for_ms));
    }
}

/// Everybody among them once.
fn parties<'a>(owners: impl Iterator<Item = &'a Arc<Owner>>) -> Vec<Who> {
    let mut all: Vec<_> = owners.map(|owner| Who::owner(owner)).collect();
    all.sort();
    all.dedup();
    all
}
