//! Figures for Prometheus, on a port of their own.
//!
//! Nothing is counted for them that would not be counted anyway, but for how long requests take,
//! and that only where somebody wants to know: without `--metrics` there is no [`Meters`].

mod figures;
mod page;
mod requests;
mod serve;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use onewriter_core::Engine;
use tokio::{net::TcpListener, task::JoinHandle};

pub(crate) use self::requests::Meters;
use crate::{external::External, lifecycle::Lifecycle, spans::Spans};

/// What the figures are taken from.
pub(crate) struct Sources {
    pub(crate) engine: Arc<Engine>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) others: Others,
}

/// Servers that the daemon is a client of.
#[derive(Clone, Default)]
pub(crate) struct Others {
    pub(crate) spans: Option<Arc<Spans>>,
    pub(crate) store: Option<Arc<External>>,
}

/// Where Prometheus will ask.
pub(crate) struct Endpoint {
    listener: TcpListener,
    meters: Arc<Meters>,
}

impl Endpoint {
    /// Listens at `address`, if there is one.
    pub(crate) async fn bind(address: Option<&str>) -> io::Result<Option<Self>> {
        let Some(address) = address else { return Ok(None) };
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "figures are served");
        Ok(Some(Self { listener, meters: Arc::default() }))
    }

    /// Listens at `address`, with what counts requests already.
    pub(crate) async fn with_meters(address: &str, meters: Arc<Meters>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, meters })
    }

    /// What counts requests.
    pub(crate) fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.meters)
    }

    /// Answers until `lifecycle` is over, beside everything else. The last figures can still be
    /// fetched while the daemon drains.
    pub(crate) fn serve(
        self,
        engine: &Arc<Engine>,
        lifecycle: &Arc<Lifecycle>,
        others: Others,
    ) -> JoinHandle<()> {
        let (engine, lifecycle) = (Arc::clone(engine), Arc::clone(lifecycle));
        let sources =
            Sources { engine, lifecycle: Arc::clone(&lifecycle), meters: self.meters, others };
        let serve = serve::serve(self.listener, Arc::new(sources));
        tokio::spawn(async move {
            tokio::select! {
                () = serve => {}
                () = lifecycle.ended() => {}
            }
        })
    }
}
