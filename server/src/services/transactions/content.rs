//! Content of a transaction that arrives in the stream.

use onewriter_core::{Caller, Engine, policy::Usage};
use onewriter_proto::v1::{RemoteRequest, remote_request::Step as In};
use onewriter_tree::{Error, Reason, Staged};
use tonic::{Status, Streaming};

use super::{bad, entries::File};
use crate::{services::arrival::Arrival, status::status};

/// Writes the content of `file` into staging as it comes, and checks that it is what was announced.
pub(super) async fn receive(
    engine: &Engine,
    caller: &Caller,
    usage: &mut Option<Usage>,
    steps: &mut Streaming<RemoteRequest>,
    file: &File,
) -> Result<Staged, Status> {
    let path = file.path.as_bytes();
    let mismatch = |why| status(Error::new(Reason::ContentMismatch, path, why));
    let announced = file.wanted.size.unwrap_or_default();
    let mut arrival = Arrival::begin(engine, caller, &file.path, Some(file.wanted.function))?;
    let mut left = announced;
    loop {
        let step = steps.message().await?.and_then(|request| request.step);
        match step {
            Some(In::Chunk(chunk)) => {
                left = left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                    mismatch("more of its content arrived than was announced; nothing was changed")
                })?;
                arrival.take(chunk, usage).await?;
            }
            Some(In::ContentEnd(_)) => break,
            _ => return Err(bad("step", "the content of a file is awaited")),
        }
    }
    let arrived = arrival.end().await?;
    if arrived.size != announced || arrived.digest.is_none_or(|found| !file.wanted.is(&found)) {
        return Err(mismatch(
            "the content that arrived does not have the digest that was announced; nothing was \
             changed",
        ));
    }
    Ok(arrived.staged)
}
