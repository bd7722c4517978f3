//! What is below a path, with the digests of files.

use std::{sync::Arc, time::Instant};

use onewriter_core::{Caller, Engine, Sight};
use onewriter_proto::{
    convert,
    v1::{ListTreeResponse, TreeEntry},
};
use onewriter_store::{Digest, Function};
use onewriter_tree::{Error, FileKind, Last, Reason, RelPath, Stat};
use tonic::Status;

use super::{Answers, Sender, answers, blocking, send};
use crate::status::status;

/// Entries of one message at most.
const PAGE: usize = 64;

/// Serves one listing.
pub(super) fn serve(
    engine: Arc<Engine>,
    caller: Caller,
    paths: Vec<Vec<u8>>,
    deadline: Option<Instant>,
) -> Result<Answers<ListTreeResponse>, Status> {
    if paths.is_empty() || paths.len() > convert::MAX_ITEMS {
        return Err(status(convert::bad("paths", "a request names 1 to 10,000 paths")));
    }
    let paths = paths.iter().map(|path| RelPath::parse(path)).collect::<Result<Vec<_>, _>>();
    let paths = paths.map_err(status)?;
    Ok(answers(1, deadline, move |to| async move {
        let mut listing = Listing { engine, caller, page: Vec::new(), to: &to };
        for path in paths {
            listing.all(path).await?;
        }
        listing.flush().await
    }))
}

struct Listing<'a> {
    engine: Arc<Engine>,
    caller: Caller,
    /// What was not sent yet.
    page: Vec<TreeEntry>,
    to: &'a Sender<ListTreeResponse>,
}

impl Listing<'_> {
    /// All that is at `path` and below.
    async fn all(&mut self, path: RelPath) -> Result<(), Status> {
        let describe = |sight: &Sight<'_>, paths: &[RelPath]| sight.stat(&paths[0], Last::Keep);
        let (real, found) = self.look(&path, describe).await?;
        let missing = || status(Error::new(Reason::NotFound, real.as_bytes(), "it does not exist"));
        let mut ahead = vec![found.ok_or_else(missing)?];
        while let Some(next) = ahead.pop() {
            if next.kind == FileKind::Directory {
                let below = |sight: &Sight<'_>, paths: &[RelPath]| sight.list(&paths[0]);
                let Some(mut below) = self.look(&next.path, below).await? else { continue };
                below.reverse();
                ahead.append(&mut below);
            }
            self.entry(next).await?;
        }
        Ok(())
    }

    async fn look<T: Send + 'static>(
        &self,
        path: &RelPath,
        look: impl Fn(&Sight<'_>, &[RelPath]) -> Result<T, Error> + Copy + Send + 'static,
    ) -> Result<T, Status> {
        let (caller, paths) = (self.caller.clone(), [path.clone()].into());
        self.engine.look(caller, paths, look).await.map_err(status)
    }

    async fn entry(&mut self, found: Stat) -> Result<(), Status> {
        let path = found.path.clone();
        let entry = if found.kind == FileKind::RegularFile {
            // As it is now, and all of it of one moment.
            let open = |sight: &Sight<'_>, paths: &[RelPath]| match sight.open_file(&paths[0]) {
                Err(gone) if gone.reason == Reason::NotFound => Ok(None),
                opened => opened.map(Some),
            };
            let Some((file, mut found)) = self.look(&path, open).await? else { return Ok(()) };
            let digest = blocking(move || {
                Digest::of_file(Function::Blake3, &file)
                    .map_err(|e| Error::new(Reason::Io, b".", e.to_string()))
            });
            let digest = digest.await?;
            found.size = digest.size;
            let blake3 = Some(digest.hash.to_vec());
            TreeEntry { stat: Some(convert::stat(&path, Some(found))), blake3 }
        } else {
            TreeEntry { stat: Some(convert::stat(&path, Some(found))), blake3: None }
        };
        self.page.push(entry);
        if self.page.len() >= PAGE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Status> {
        let entries = std::mem::take(&mut self.page);
        if entries.is_empty() { Ok(()) } else { send(self.to, ListTreeResponse { entries }).await }
    }
}
