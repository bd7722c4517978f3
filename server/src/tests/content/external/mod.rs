//! Content that an external store keeps: another daemon, or one that is scripted to be bad.

mod bad;
mod fake;
mod forwarding;
mod publishing;

use std::net::SocketAddr;

use super::{publishing::publish, *};
use crate::{config::StoreSettings, tls::PeerFiles};

/// A daemon, and the one that is its store.
struct Farm {
    store: Daemon,
    daemon: Daemon,
}

/// What has a daemon use the store at `address`, in `instance`.
fn at(address: SocketAddr, instance: &str) -> StoreSettings {
    StoreSettings {
        url: format!("grpc://{address}/{instance}").parse().unwrap(),
        tls: PeerFiles { ca: None, own: None },
        token: None,
        patience: LIMIT,
    }
}

async fn with_store(settings: StoreSettings) -> Daemon {
    Daemon::with(new_root(), |config| config.store = Some(settings)).await
}

/// A daemon that can be reached at an address, in clear text.
async fn reachable(adjust: impl FnOnce(&mut Config)) -> (Daemon, SocketAddr) {
    let daemon = Daemon::with(new_root(), |config| {
        *config = Config::of(Settings {
            listen: vec!["127.0.0.1:0".into()],
            insecure_loopback: Some(true),
            allow: vec!["loopback".into()],
            ..config.settings.clone()
        })
        .unwrap();
        adjust(config);
    })
    .await;
    let told = std::fs::read_to_string(daemon.path(".onewriter/listening")).unwrap();
    let address = told.trim().strip_prefix("http://").unwrap().parse().unwrap();
    (daemon, address)
}

impl Farm {
    async fn start() -> Self {
        let (store, address) = reachable(|_| ()).await;
        Self { store, daemon: with_store(at(address, "")).await }
    }

    /// Both end by themselves, and the daemon has kept nothing of its own.
    async fn end(self) {
        assert!(!self.daemon.path(".onewriter/cas").exists());
        assert_eq!(self.daemon.staging(), 0);
        self.daemon.end().await;
        self.store.end().await;
    }
}

/// What is told of a store that cannot be used.
fn unavailable() -> (Code, String, String) {
    (Code::Unavailable, "STORE_UNAVAILABLE".to_owned(), String::new())
}
