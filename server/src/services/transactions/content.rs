//! Content of a transaction that arrives in the stream.

use onewriter_core::{Caller, Engine, policy::Usage};
use onewriter_proto::{
    convert,
    v1::{RemoteRequest, remote_request::Step as In},
};
use onewriter_tree::{Error, Reason, Staged};
use tonic::{Status, Streaming};

use super::{bad, entries::File};
use crate::{content::Inflow, services::MAX_CHUNK, status::status};

/// Writes the content of `file` into staging as it comes, and checks that it is what was announced.
pub(super) async fn receive(
    engine: &Engine,
    caller: &Caller,
    usage: &mut Option<Usage>,
    steps: &mut Streaming<RemoteRequest>,
    file: &File,
) -> Result<Staged, Status> {
    let path = file.path.as_bytes();
    let fail = |errno| status(Error::io(path, "cannot write its content into staging", errno));
    let mismatch = |why| status(Error::new(Reason::ContentMismatch, path, why));
    let announced = file.wanted.size.unwrap_or_default();
    let staged = engine.tree().staging().create_own().map_err(fail)?;
    let mut inflow = Inflow::new(&staged, Some(file.wanted.function)).map_err(fail)?;
    let mut left = announced;
    loop {
        let step = steps.message().await?.and_then(|request| request.step);
        match step {
            Some(In::Chunk(chunk)) if chunk.len() > MAX_CHUNK => {
                return Err(status(convert::bad("chunk", "a chunk has at most 1 MiB")));
            }
            Some(In::Chunk(chunk)) => {
                left = left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                    mismatch("more of its content arrived than was announced; nothing was changed")
                })?;
                let mut room = None;
                if let (Some(rights), Some(usage)) = (&caller.rights, usage.as_mut()) {
                    let bytes = chunk.len();
                    let spent = engine.spend(caller, usage, bytes as u64, &file.path).await;
                    spent.map_err(status)?;
                    room = Some(rights.room(bytes).await);
                }
                inflow.push(chunk, room).await.map_err(fail)?;
            }
            Some(In::ContentEnd(_)) => break,
            _ => return Err(bad("step", "the content of a file is awaited")),
        }
    }
    let (size, found) = inflow.end().await.map_err(fail)?;
    if size != announced || found.is_none_or(|found| !file.wanted.is(&found)) {
        return Err(mismatch(
            "the content that arrived does not have the digest that was announced; nothing was \
             changed",
        ));
    }
    Ok(staged)
}
