//! Content of a stream on its way into staging, at somebody's expense.

use bytes::Bytes;
use onewriter_core::{Caller, Engine, policy::Usage};
use onewriter_proto::convert;
use onewriter_store::{Digest, Function};
use onewriter_tree::{Error, RelPath, Staged};
use rustix::io::Errno;
use tonic::Status;

use super::MAX_CHUNK;
use crate::{content::Inflow, status::status};

/// Content that is to become a path. Dropped, nothing of it is left.
pub(super) struct Arrival<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    path: &'a RelPath,
    staged: Staged,
    inflow: Inflow,
}

/// All of it.
pub(super) struct Arrived {
    pub(super) staged: Staged,
    /// In bytes.
    pub(super) size: u64,
    /// By the function that was wanted, if one was.
    pub(super) digest: Option<Digest>,
}

impl<'a> Arrival<'a> {
    /// Begins with nothing of it there.
    pub(super) fn begin(
        engine: &'a Engine,
        caller: &'a Caller,
        path: &'a RelPath,
        wanted: Option<Function>,
    ) -> Result<Self, Status> {
        let failed = |errno| failed(engine, path, errno);
        let staged = engine.tree().staging().create_own().map_err(failed)?;
        let inflow = Inflow::new(&staged, wanted).map_err(failed)?;
        Ok(Self { engine, caller, path, staged, inflow })
    }

    /// Takes one more chunk, when its sender has room for it, and counts it in his `usage`.
    pub(super) async fn take(
        &mut self,
        chunk: Bytes,
        usage: &mut Option<Usage>,
    ) -> Result<(), Status> {
        let bytes = chunk.len();
        if bytes > MAX_CHUNK {
            return Err(status(convert::bad("chunk", "a chunk has at most 1 MiB")));
        }
        let mut room = None;
        if let (Some(rights), Some(usage)) = (&self.caller.rights, usage) {
            let spent = self.engine.spend(self.caller, usage, bytes as u64, self.path).await;
            spent.map_err(status)?;
            room = Some(rights.room(bytes).await);
        }
        let pushed = self.inflow.push(chunk, room).await;
        pushed.map_err(|errno| failed(self.engine, self.path, errno))
    }

    /// Returns when all that came is written.
    pub(super) async fn end(self) -> Result<Arrived, Status> {
        let Self { engine, path, staged, inflow, .. } = self;
        let (size, digest) = inflow.end().await.map_err(|errno| failed(engine, path, errno))?;
        Ok(Arrived { staged, size, digest })
    }
}

fn failed(engine: &Engine, path: &RelPath, errno: Errno) -> Status {
    let error = Error::io(path.as_bytes(), "cannot write its content into staging", errno);
    status(engine.tree().or_lost(error))
}
