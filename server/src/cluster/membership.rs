//! One daemon among those that may own a root: registered in etcd, and its owner or waiting to be.
//!
//! ```text
//! /onewriter/roots/NAME/owner          who owns it, with the lease that this depends on
//! /onewriter/roots/NAME/epoch          how often it had another owner; stays
//! /onewriter/roots/NAME/members/ID     who may own it
//! ```
//!
//! The value of `owner` and of a member is its address and, for people, who that is, a line each. Nobody
//! writes `owner` where there is one: it goes with its lease.

use std::{sync::Arc, time::Duration};

use onewriter_proto::etcd::mvccpb::KeyValue;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    epoch::Epochs,
    etcd::{self, Etcd, EtcdError},
    lease::{Kept, Lease},
};

/// How long to wait before etcd is asked again that did not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// What this daemon is in the cluster.
pub(super) struct Membership {
    etcd: Arc<Etcd>,
    keys: Keys,
    ttl: Duration,
    address: String,
    /// What its keys hold.
    value: String,
    id: String,
    epochs: Arc<Epochs>,
}

struct Keys {
    owner: String,
    epoch: String,
    members: String,
}

/// What one is told while he waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// etcd does not answer.
    Cut,
    /// Another one owns the root; his address.
    Following(String),
    /// Nobody does yet.
    Vacant,
}

/// The time during which this daemon owns the root.
pub(super) struct Term {
    pub(super) epoch: u64,
    kept: Kept,
    etcd: Arc<Etcd>,
    owner: String,
}

/// What etcd says of a root at one moment.
struct Seen {
    owner: Option<KeyValue>,
    epoch: Option<KeyValue>,
    revision: i64,
}

impl Membership {
    /// Of the daemon at `address`, for the root called `name`.
    pub(super) fn new(
        etcd: Etcd,
        name: &str,
        (address, ttl): (String, Duration),
        epochs: Arc<Epochs>,
    ) -> Self {
        let prefix = format!("/onewriter/roots/{name}");
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let pid = std::process::id();
        let born = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        Self {
            etcd: Arc::new(etcd),
            keys: Keys {
                owner: format!("{prefix}/owner"),
                epoch: format!("{prefix}/epoch"),
                members: format!("{prefix}/members"),
            },
            ttl,
            value: format!("{address}\n{host} pid {pid}\n"),
            address,
            id: format!("{host}-{pid}-{born:x}"),
            epochs,
        }
    }

    /// What tells this daemon from all others.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn epochs(&self) -> Arc<Epochs> {
        Arc::clone(&self.epochs)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until this daemon owns the root, however long that takes. `tell` hears how it stands.
    pub(super) async fn elected(&self, tell: impl Fn(Standing)) -> Term {
        let mut told = false;
        loop {
            match self.campaign(&tell).await {
                Ok(term) => return term,
                Err(error) => {
                    tell(Standing::Cut);
                    if !std::mem::replace(
                        &mut told,
                        matches!(error, EtcdError::Silent(_) | EtcdError::Failed { .. }),
                    ) {
                        tracing::error!(cause = %error, "etcd cannot say who owns the root; asking again until it does");
                    }
                    sleep(AGAIN).await;
                }
            }
        }
    }

    async fn campaign(&self, tell: &impl Fn(Standing)) -> Result<Term, EtcdError> {
        let kept = Kept::grant(&self.etcd, self.ttl).await?;
        let member = format!("{}/{}", self.keys.members, self.id);
        let put = etcd::put(&member, &self.value, kept.lease.id);
        self.etcd.transact(Vec::new(), vec![put], Vec::new()).await?;
        loop {
            if kept.lease.left().is_none() {
                return Err(EtcdError::LeaseEnded);
            }
            let seen = self.look().await?;
            let epoch = match &seen.owner {
                // It was given to us, and the answer was lost.
                Some(owner) if owner.lease == kept.lease.id => number(seen.epoch.as_ref()),
                Some(owner) => {
                    tell(Standing::Following(address(owner)));
                    self.changed(&kept.lease, seen.revision + 1).await?;
                    continue;
                }
                None => {
                    tell(Standing::Vacant);
                    match self.claim(kept.lease.id, &seen).await? {
                        Some(epoch) => epoch,
                        None => continue,
                    }
                }
            };
            let (etcd, owner) = (Arc::clone(&self.etcd), self.keys.owner.clone());
            return Ok(Term { epoch, kept, etcd, owner });
        }
    }

    async fn look(&self) -> Result<Seen, EtcdError> {
        let gets = vec![etcd::get(&self.keys.owner), etcd::get(&self.keys.epoch)];
        let answer = self.etcd.transact(Vec::new(), gets, Vec::new()).await?;
        let revision = answer.header.map_or(0, |header| header.revision);
        let mut found = answer.responses.into_iter().map(etcd::found);
        let (owner, epoch) = (found.next().flatten(), found.next().flatten());
        Ok(Seen { owner, epoch, revision })
    }

    /// Takes the root that nobody owns, for an epoch above all that etcd and the root know of; `None` if
    /// somebody else was faster.
    async fn claim(&self, lease: i64, seen: &Seen) -> Result<Option<u64>, EtcdError> {
        let epochs = Arc::clone(&self.epochs);
        let on_disk = spawn_blocking(move || epochs.highest()).await;
        let on_disk = match on_disk {
            Ok(Ok(highest)) => highest,
            // It will be claimed on the disk, too, and fail there with the reason.
            _ => 0,
        };
        let epoch = number(seen.epoch.as_ref()).max(on_disk) + 1;
        let before = seen.epoch.as_ref().map_or(0, |epoch| epoch.mod_revision);
        let compare = vec![etcd::is_at(&self.keys.owner, 0), etcd::is_at(&self.keys.epoch, before)];
        let puts = vec![
            etcd::put(&self.keys.owner, &self.value, lease),
            etcd::put(&self.keys.epoch, &epoch.to_string(), 0),
        ];
        let done = self.etcd.transact(compare, puts, Vec::new()).await?;
        Ok(done.succeeded.then_some(epoch))
    }

    /// Returns when something may have happened to the owner's key since `revision`.
    async fn changed(&self, lease: &Lease, revision: i64) -> Result<(), EtcdError> {
        let mut changes = self.etcd.watch(&self.keys.owner, revision).await?;
        tokio::select! {
            // One that says nothing may be one that is dead.
            _ = timeout(self.ttl, changes.next()) => {}
            () = lease.over() => {}
        }
        Ok(())
    }
}

impl Term {
    pub(super) fn lease(&self) -> &Arc<Lease> {
        &self.kept.lease
    }

    /// Returns when this daemon does not own the root any more.
    pub(super) async fn over(&self) {
        tokio::select! {
            () = self.kept.lease.over() => {}
            () = self.deposed() => {}
        }
    }

    /// Returns when the owner's key is not ours any more, though our lease may live.
    async fn deposed(&self) {
        loop {
            let seen =
                self.etcd.transact(Vec::new(), vec![etcd::get(&self.owner)], Vec::new()).await;
            if let Ok(seen) = seen {
                let revision = seen.header.map_or(0, |header| header.revision);
                let owner = seen.responses.into_iter().next().and_then(etcd::found);
                if owner.is_none_or(|owner| owner.lease != self.kept.lease.id) {
                    return;
                }
                if let Ok(mut changes) = self.etcd.watch(&self.owner, revision + 1).await {
                    changes.next().await;
                    continue;
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Gives the root up, so that another one need not wait for the lease to end. Nothing may be under
    /// way any more.
    pub(super) async fn resign(self) {
        if let Err(error) = self.etcd.revoke(self.kept.lease.id).await {
            tracing::info!(cause = %error, "the lease ends by itself");
        }
    }
}

/// The first line of what an owner has written.
fn address(owner: &KeyValue) -> String {
    let text = String::from_utf8_lossy(&owner.value);
    text.lines().next().unwrap_or_default().to_owned()
}

fn number(epoch: Option<&KeyValue>) -> u64 {
    let text = epoch.and_then(|epoch| std::str::from_utf8(&epoch.value).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
