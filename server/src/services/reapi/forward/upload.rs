//! Content on its way from a client through the daemon to the store.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use onewriter_proto::bytestream::{WriteRequest, WriteResponse};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::{super::names, refused};
use crate::external::{Asking, External};

/// The messages of a client, as the store is to have them. The store takes one when it has room for
/// it, so that no more than one waits here.
pub(super) struct Upload {
    first: Option<WriteRequest>,
    rest: Streaming<WriteRequest>,
    instance: String,
    turn: Arc<Turn>,
}

/// Whose turn it is, and what became of the client.
#[derive(Default)]
struct Turn(Mutex<Standing>);

#[derive(Default)]
struct Standing {
    /// Since when the store could go on; `None`: the client is to send more.
    waiting_for_store: Option<Instant>,
    cut_off: Option<Status>,
}

impl Turn {
    fn with<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when the store could have gone on for so long, and has not.
    async fn exceeds(&self, patience: Duration) {
        loop {
            let since = self.with(|standing| standing.waiting_for_store);
            let until = since.unwrap_or_else(Instant::now) + patience;
            if since.is_some() && until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until.into()).await;
        }
    }
}

impl Upload {
    /// What begins with `first` and goes on with `rest`.
    pub(super) fn new(first: WriteRequest, rest: Streaming<WriteRequest>, instance: &str) -> Self {
        let (instance, turn) = (instance.to_owned(), Arc::<Turn>::default());
        turn.with(|standing| standing.waiting_for_store = Some(Instant::now()));
        Self { first: Some(first), rest, instance, turn }
    }

    /// Sends it to the store; what that says in the end. A client that is cut off leaves the store
    /// with what it has: there, too, it can be gone on with.
    pub(super) async fn send(
        self,
        store: &External,
        asking: &Asking,
    ) -> Result<WriteResponse, Status> {
        let turn = Arc::clone(&self.turn);
        let mut streams = store.streams();
        let written = tokio::select! {
            written = streams.write(store.streamed(asking, self)) => store.heard(written),
            () = asking.over() => Err(store.late()),
            () = turn.exceeds(store.patience()) => Err(store.silent()),
        };
        match turn.with(|standing| standing.cut_off.take()) {
            Some(cut_off) => Err(cut_off),
            None => written.map_err(refused),
        }
    }
}

impl Stream for Upload {
    type Item = WriteRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WriteRequest>> {
        let this = &mut *self;
        this.turn.with(|standing| standing.waiting_for_store = None);
        let next = match this.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(Pin::new(&mut this.rest).poll_next(cx)),
        };
        let next = this.turn.with(|standing| {
            standing.waiting_for_store = Some(Instant::now());
            match next {
                Some(Err(cut_off)) => {
                    standing.cut_off = Some(cut_off);
                    None
                }
                Some(Ok(next)) => Some(next),
                None => None,
            }
        });
        Poll::Ready(next.map(|mut next| {
            if !next.resource_name.is_empty() {
                next.resource_name = names::within(&this.instance, next.resource_name);
            }
            next
        }))
    }
}
