//! Publishing content that is named and not sent.

use std::sync::Arc;

use onewriter_core::{Caller, Engine};
use onewriter_proto::{
    convert,
    v1::{MutationResponse, Publication, PublishDigest, PublishDigestRequest},
};
use onewriter_store::StoreError;
use onewriter_tree::{
    Error, Reason, RelPath, Staged,
    mutation::{Change, Deed, Publish, Source, Unchanged},
};
use tonic::{Request, Status};

use super::recognise::Recognise;
use crate::{
    content::{Content, ObtainError, Wanted},
    peer::Terms,
    status::status,
};

/// Serves one publish.
pub(super) async fn serve(
    engine: &Engine,
    content: &Arc<Content>,
    request: Request<PublishDigestRequest>,
) -> Result<MutationResponse, Status> {
    let (request, message) = super::split(request);
    let PublishDigestRequest { context, publish } = message;
    let PublishDigest { to, digest } =
        publish.ok_or_else(|| status(convert::bad("publish", "there is none")))?;
    let terms = Terms::of(&request, context);
    terms.check_key(1).map_err(status)?;
    let Terms { caller, umask, .. } = terms;
    let digest = digest.ok_or_else(|| status(convert::bad("digest", "there is none")))?;
    let wanted = wanted(&digest).map_err(status)?;
    match known(engine, content, &caller, (&to, umask), wanted).await? {
        Some(done) => Ok(done),
        None => {
            let path = to.unwrap_or_default().path;
            let why = "its content is not known here: upload it (ByteStream, BatchUpdateBlobs) and \
                       ask again, or send it (PublishStream)";
            Err(status(Error::new(Reason::MissingBlob, &path, why)))
        }
    }
}

/// The answer, if it can be given without being sent any content: where the path has it already,
/// or another path of the root or the store has. Whoever may not publish there does not learn that.
pub(super) async fn known(
    engine: &Engine,
    content: &Arc<Content>,
    caller: &Caller,
    (to, umask): (&Option<Publication>, u32),
    wanted: Wanted,
) -> Result<Option<MutationResponse>, Status> {
    let publication = |source| convert::publication(to.clone(), source, umask).map_err(status);
    let publish = publication(nothing())?;
    let path = publish.path.clone();
    engine.permit(caller, Deed::Publish, &path).await.map_err(status)?;
    if publish.unchanged != Unchanged::Replace {
        let recognise = Recognise::new(publish, wanted, Arc::clone(content));
        let changes = engine.run(caller.clone(), Box::new(recognise)).await.map_err(status)?;
        if !changes.is_empty() {
            return Ok(Some(done(content, wanted, changes)));
        }
    }
    let turn = engine.turn_to_look(caller, &path).await.map_err(status)?;
    let staged = content.obtain(wanted, caller.rights.clone(), caller.deadline).await;
    // To be put in its place, it waits for another.
    drop(turn);
    let lost = |error| status(engine.tree().or_lost(failed(&path, error)));
    let Some(staged) = staged.map_err(lost)? else { return Ok(None) };
    put(engine, content, caller.clone(), (to, umask), staged, wanted).await.map(Some)
}

/// Puts content at its place that lies in staging, all of it, and is known by its digest.
pub(super) async fn put(
    engine: &Engine,
    content: &Content,
    caller: Caller,
    (to, umask): (&Option<Publication>, u32),
    staged: Staged,
    found: Wanted,
) -> Result<MutationResponse, Status> {
    let on_its_way = content.digests.on_its_way(&staged, found).await;
    let publish = convert::publication(to.clone(), Source::Staged(staged), umask);
    let publish: Publish = publish.map_err(status)?;
    let changes = engine.run(caller, Box::new(publish)).await.map_err(status)?;
    content.digests.arrived(on_its_way);
    Ok(done(content, found, changes))
}

/// The answer of a publish, whose place is remembered.
fn done(content: &Content, found: Wanted, changes: Vec<Change>) -> MutationResponse {
    // Directories that were made on the way come before it.
    let path = changes.last().map(|change| change.path.clone());
    if let Some(path) = path.and_then(|path| RelPath::parse(path.as_bytes()).ok()) {
        content.places.remember(&found, path);
    }
    convert::response(changes)
}

/// A source that is never opened.
pub(super) fn nothing() -> Source {
    Source::Local { path: "/dev/null".into(), consume: false }
}

fn wanted(digest: &onewriter_proto::v1::Digest) -> Result<Wanted, Error> {
    use onewriter_proto::v1::digest::Function;
    let function = match Function::try_from(digest.function) {
        Ok(Function::Sha256) => onewriter_store::Function::Sha256,
        Ok(Function::Blake3) => onewriter_store::Function::Blake3,
        _ => return Err(convert::bad("function", "SHA256 and BLAKE3 are known here")),
    };
    let hash = <[u8; 32]>::try_from(&*digest.hash);
    let hash = hash.map_err(|_| convert::bad("hash", "a digest has 32 bytes"))?;
    Ok(Wanted { function, hash, size: Some(digest.size) })
}

/// What the store's failure is to somebody who asked for `path`.
pub(super) fn failed(path: &RelPath, error: ObtainError) -> Error {
    match error {
        ObtainError::Here(StoreError::Io { what, errno }) => {
            Error::io(path.as_bytes(), what, errno)
        }
        ObtainError::Here(other) => Error::new(Reason::Io, path.as_bytes(), other.to_string()),
        ObtainError::There(fault) => fault.error(path.as_bytes()),
    }
}
