//! The journal from a position on, without a gap and without an end.

use std::sync::Arc;

use onewriter_core::{
    Caller, Engine, Refusal,
    journal::{Interest, Page},
};
use onewriter_proto::{
    convert,
    v1::{WatchJournalRequest, WatchJournalResponse},
};
use onewriter_tree::{RelPath, mutation::Deed};
use tonic::Status;

use super::{
    Sender, blocking,
    reading::{hide, journal_record},
    send, while_it_serves,
};
use crate::{lifecycle::Lifecycle, status::status};

/// The most paths of one request: each record is held against all of them.
const MAX_PATHS: usize = 1000;

/// Records that may pass, none of them wanted, until the position is told: whoever asks again from
/// there has little to wait for, and is far from where the journal is pruned.
const TELL_EVERY: i64 = 10_000;

/// One watch.
pub(super) struct Watch {
    engine: Arc<Engine>,
    caller: Caller,
    interest: Interest,
    after: Option<i64>,
}

/// A watch of what `caller` may read.
pub(super) async fn begin(
    engine: &Arc<Engine>,
    caller: Caller,
    request: WatchJournalRequest,
) -> Result<Watch, Status> {
    let WatchJournalRequest { paths, target, build, changes_only, after_seq, .. } = request;
    if paths.len() > MAX_PATHS {
        return Err(status(convert::bad("paths", "a watch names at most 1,000 paths")));
    }
    let paths = paths.iter().map(|path| RelPath::parse(path)).collect::<Result<Vec<_>, _>>();
    let paths = paths.map_err(status)?;
    let everything = [RelPath::ROOT];
    for path in if paths.is_empty() { &everything[..] } else { &paths } {
        engine.permit(&caller, Deed::Read, path).await.map_err(status)?;
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    let interest = Interest {
        paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
        target: some(target),
        build: some(build),
        changes_only,
    };
    Ok(Watch { engine: Arc::clone(engine), caller, interest, after: after_seq })
}

impl Watch {
    pub(super) async fn serve(
        self,
        lifecycle: Arc<Lifecycle>,
        to: Sender<WatchJournalResponse>,
    ) -> Result<(), Status> {
        while_it_serves(&lifecycle, self.follow(&to)).await
    }

    async fn follow(&self, to: &Sender<WatchJournalResponse>) -> Result<(), Status> {
        let mut follower = self.engine.journal().follower();
        self.engine.journal().flushed().await;
        let mut position = self.after.unwrap_or_else(|| self.engine.journal().position());
        let mut told = None;
        loop {
            let page = self.read_on(position).await?;
            if self.caller.rights.as_ref().is_some_and(|rights| rights.are_superseded()) {
                return Err(status(Refusal::ask_again()));
            }
            position = page.position;
            let is_due = told.is_none_or(|told| position - told >= TELL_EVERY);
            if is_due || !page.records.is_empty() {
                told = Some(position);
                let shown = |record| journal_record(hide(record, &self.caller));
                let records = page.records.into_iter().map(shown).collect();
                send(to, WatchJournalResponse { seq: position, records }).await?;
            }
            if page.is_last {
                follower.beyond(position).await;
            }
        }
    }

    async fn read_on(&self, position: i64) -> Result<Page, Status> {
        let (engine, interest) = (Arc::clone(&self.engine), self.interest.clone());
        let page = blocking(move || Ok(engine.journal().read_on(position, &interest))).await?;
        page.map_err(status)
    }
}
