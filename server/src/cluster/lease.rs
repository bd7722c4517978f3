//! A lease of etcd's, and how long this side may count on it.
//!
//! etcd counts from when it hears of us; we from when we spoke, and a fifth less: whoever begins to act
//! in the last moment has so long to end it before another can own the root.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    clock,
    etcd::{Etcd, EtcdError},
};

/// How much of its life a lease is not counted on.
const MARGIN: u32 = 5;

/// How often in its life it is to be renewed.
const RENEWALS: u32 = 3;

/// How long to wait after a renewal that failed, at most.
const AGAIN: Duration = Duration::from_millis(500);

/// A lease.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: i64,
    /// Until when it is counted on, in milliseconds of [`clock::now`].
    until: AtomicU64,
    over: watch::Sender<bool>,
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) lease: Arc<Lease>,
    renewing: JoinHandle<()>,
}

impl Lease {
    /// One that lives for `ttl` from `sent` on.
    fn new(id: i64, sent: Duration, ttl: Duration) -> Arc<Self> {
        let lease = Self { id, until: AtomicU64::new(0), over: watch::Sender::new(false) };
        lease.extend(sent, ttl);
        Arc::new(lease)
    }

    fn extend(&self, sent: Duration, ttl: Duration) {
        let until = sent + ttl - ttl / MARGIN;
        self.until.fetch_max(until.as_millis() as u64, SeqCst);
    }

    /// How long it may be counted on; `None`: not at all.
    pub(super) fn left(&self) -> Option<Duration> {
        if *self.over.borrow() {
            return None;
        }
        let until = Duration::from_millis(self.until.load(SeqCst));
        until.checked_sub(clock::now()).filter(|left| !left.is_zero())
    }

    /// Returns when it may be counted on no more.
    pub(super) async fn over(&self) {
        let mut over = self.over.subscribe();
        while let Some(left) = self.left() {
            // The runtime's clock may stand still while the machine sleeps: it looks again then.
            tokio::select! {
                _ = over.wait_for(|over| *over) => return,
                () = sleep(left) => {}
            }
        }
    }

    /// From now on.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }
}

impl Kept {
    /// Asks for one, and renews it.
    pub(super) async fn grant(etcd: &Arc<Etcd>, ttl: Duration) -> Result<Self, EtcdError> {
        let sent = clock::now();
        let (id, ttl) = etcd.grant(ttl).await?;
        let lease = Lease::new(id, sent, ttl);
        let renewing = tokio::spawn(renew(Arc::clone(etcd), Arc::clone(&lease), ttl));
        Ok(Self { lease, renewing })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.renewing.abort();
        self.lease.end();
    }
}

async fn renew(etcd: Arc<Etcd>, lease: Arc<Lease>, ttl: Duration) {
    let mut pause = ttl / RENEWALS;
    let mut told = false;
    while lease.left().is_some() {
        sleep(pause).await;
        let sent = clock::now();
        let begun = Instant::now();
        match etcd.keep_alive(lease.id).await {
            Ok(ttl) => {
                lease.extend(sent, ttl);
                pause = (ttl / RENEWALS).saturating_sub(begun.elapsed());
                told = false;
            }
            Err(EtcdError::LeaseEnded) => break,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(cause = %error, "the lease in etcd is not renewed");
                }
                pause = AGAIN.min(ttl / 10);
            }
        }
    }
    lease.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn it_is_counted_on_from_when_it_was_asked_for_and_a_fifth_less() {
        let now = clock::now();
        let left = Lease::new(1, now, TTL).left().unwrap();
        assert!(left <= Duration::from_secs(8) && left > Duration::from_secs(7), "{left:?}");
        // The answer came late: it counts from the question.
        assert_eq!(Lease::new(1, now - Duration::from_millis(8001), TTL).left(), None);
        let lease = Lease::new(1, now - Duration::from_secs(7), TTL);
        assert!(lease.left().is_some());
        // One that is overtaken by a later one shortens nothing.
        lease.extend(now, TTL);
        lease.extend(now - Duration::from_secs(5), TTL);
        assert!(lease.left().unwrap() > Duration::from_secs(7));
        lease.end();
        assert_eq!(lease.left(), None);
    }
}
