//! Waiting for something to be at paths.

use std::sync::Arc;

use onewriter_core::{Arrived, Caller, Engine};
use onewriter_proto::{
    convert,
    v1::{Awaited, WaitRequest, WaitResponse},
};
use onewriter_tree::RelPath;
use tonic::Status;

use super::{Sender, send, while_it_serves};
use crate::{lifecycle::Lifecycle, status::status};

/// What is waited for.
pub(super) struct Wanted {
    paths: Vec<RelPath>,
    changed: bool,
    after: Option<i64>,
}

/// What a request asks for.
pub(super) fn read(request: WaitRequest) -> Result<Wanted, Status> {
    let WaitRequest { paths, changed, after_seq: after, .. } = request;
    if paths.is_empty() || paths.len() > convert::MAX_ITEMS {
        return Err(status(convert::bad("paths", "a request names 1 to 10,000 paths")));
    }
    let paths = paths.iter().map(|path| RelPath::parse(path)).collect::<Result<_, _>>();
    Ok(Wanted { paths: paths.map_err(status)?, changed, after })
}

pub(super) async fn serve(
    engine: Arc<Engine>,
    lifecycle: Arc<Lifecycle>,
    caller: Caller,
    wanted: Wanted,
    to: Sender<WaitResponse>,
) -> Result<(), Status> {
    while_it_serves(&lifecycle, wait(engine, caller, wanted, &to)).await
}

async fn wait(
    engine: Arc<Engine>,
    caller: Caller,
    wanted: Wanted,
    to: &Sender<WaitResponse>,
) -> Result<(), Status> {
    let Wanted { paths, changed, after } = wanted;
    engine.journal().flushed().await;
    let seq = after.unwrap_or_else(|| engine.journal().position());
    let mut wait = engine.wait(caller, paths, changed.then_some(seq));
    send(to, WaitResponse { seq, found: Vec::new() }).await?;
    while let Some(arrived) = wait.next().await.map_err(status)? {
        let found = arrived.into_iter().map(awaited).collect();
        send(to, WaitResponse { seq, found }).await?;
    }
    Ok(())
}

fn awaited(Arrived { which, stat, seq }: Arrived) -> Awaited {
    let path = stat.path.clone();
    Awaited {
        index: which as u32,
        stat: Some(convert::stat(&path, Some(stat))),
        seq: seq.unwrap_or(0),
    }
}
