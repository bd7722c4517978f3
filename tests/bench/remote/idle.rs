//! What a thousand connections cost that ask for nothing.

use std::{future::poll_fn, sync::Arc};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tower::Service as _;

use super::team::{Team, until};
use crate::support::{Setup, verdict};

const CONNECTIONS: usize = 1000;

const MOST: f64 = 64.0;

pub(super) fn figures(setup: &Setup) {
    allow_descriptors();
    let team = Team::new(setup, 0, "");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (count, tls) = (setup.rounds(CONNECTIONS), team.tls(true));
    // What the first one brings up is not what each costs.
    drop(runtime.block_on(ready(&team, &tls)));
    until("it is gone", || team.connections() == 1);
    let before = team.resident();
    let idle = runtime.block_on(async {
        let mut idle = Vec::new();
        for _ in 0..count {
            idle.push(ready(&team, &tls).await);
        }
        idle
    });
    assert_eq!(team.connections(), count as u64 + 1);
    let grown = team.resident().saturating_sub(before) as f64 / f64::from(1 << 20);
    let verdict = verdict(grown < MOST);
    let what = format!("memory for {count} idle TLS connections");
    println!("  {what:<44} {grown:>10.1} MiB (under {MOST}: {verdict})");
    drop(idle);
}

/// A connection on which both sides have said all that they say before a request.
async fn ready(team: &Team, tls: &Arc<rustls::ClientConfig>) -> super::team::Wire {
    let mut wire = team.wire(tls).await;
    poll_fn(|cx| wire.poll_ready(cx)).await.expect("it is open");
    wire
}

/// As many open files as may be, here and in the daemons that this process starts.
pub(super) fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a limit");
}
