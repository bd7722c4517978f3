//! Publishing content that arrives in the stream.

use std::{fs::File, io::Write as _, sync::Arc};

use bytes::Bytes;
use onewriter_core::Engine;
use onewriter_proto::{
    convert,
    v1::{
        self, Publication, PublishBegin, PublishFinish, PublishProceed, PublishStreamRequest,
        PublishStreamResponse, publish_stream_request::Step as In,
        publish_stream_response::Step as Out,
    },
};
use onewriter_tree::{
    Error, Last, Reason, RelPath, Staged, Tree,
    mutation::{Source, Unchanged},
    open_file,
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::Answers;
use crate::{peer::Terms, status::status};

/// Chunks that may wait for the disk, so that network and disk work at the same time.
const IN_FLIGHT: usize = 8;

type Answer = mpsc::Sender<Result<PublishStreamResponse, Status>>;

/// Serves one publish. It ends with the client: nothing is left in staging.
pub(crate) fn serve(
    engine: Arc<Engine>,
    request: Request<()>,
    steps: Streaming<PublishStreamRequest>,
) -> Answers<PublishStreamResponse> {
    let (answer, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let gone = answer.clone();
        tokio::select! {
            () = gone.closed() => {}
            done = publish(engine, request, steps, &answer) => {
                let done = done.map(|done| PublishStreamResponse { step: Some(Out::Done(done)) });
                let _ = answer.send(done).await;
            }
        }
    });
    Box::pin(ReceiverStream::new(answers))
}

async fn publish(
    engine: Arc<Engine>,
    request: Request<()>,
    mut steps: Streaming<PublishStreamRequest>,
    answer: &Answer,
) -> Result<v1::MutationResponse, Status> {
    let begin = match steps.message().await?.and_then(|message| message.step) {
        Some(In::Begin(begin)) => begin,
        _ => return Err(status(convert::bad("begin", "a stream begins with it"))),
    };
    let PublishBegin { context, to, blake3 } = begin;
    let Terms { caller, umask, .. } = Terms::of(&request, context);
    // Checked before any content is sent, with a source that costs nothing.
    let nothing = Source::Local { path: "/dev/null".into(), consume: false };
    let checked = convert::publication(to.clone(), nothing, umask).map_err(status)?;
    let digest = blake3.map(digest).transpose().map_err(status)?;

    let here = match digest {
        Some(digest) if checked.unchanged != Unchanged::Replace => {
            let (engine, path, last) = (
                Arc::clone(&engine),
                checked.path,
                if checked.follow { Last::Follow } else { Last::Keep },
            );
            run_blocking(move || Ok(find(engine.tree(), &path, last, digest))).await?
        }
        _ => None,
    };
    let source = match here {
        // The content is there: only its attributes may be left to do.
        Some(path) => Source::InTree { path, consume: false },
        None => {
            if digest.is_some() {
                let proceed = PublishStreamResponse { step: Some(Out::Proceed(PublishProceed {})) };
                let _ = answer.send(Ok(proceed)).await;
            }
            Source::Staged(receive(&engine, &mut steps, to.as_ref(), digest).await?)
        }
    };
    let publish = convert::publication(to, source, umask).map_err(status)?;
    let changes = engine.run(caller, Box::new(publish)).await.map_err(status)?;
    Ok(convert::response(changes))
}

/// Where the content with this digest is, if the path leads to it.
fn find(tree: &Tree, path: &RelPath, last: Last, digest: blake3::Hash) -> Option<RelPath> {
    if last == Last::Keep
        && onewriter_tree::stat(tree, path, last).ok()?.1?.kind
            != onewriter_tree::FileKind::RegularFile
    {
        return None;
    }
    let (file, stat) = open_file(tree, path).ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).ok()?;
    (hasher.finalize() == digest).then_some(stat.path)
}

/// Writes the chunks into staging as they come.
async fn receive(
    engine: &Arc<Engine>,
    steps: &mut Streaming<PublishStreamRequest>,
    to: Option<&Publication>,
    digest: Option<blake3::Hash>,
) -> Result<Staged, Status> {
    let path = to.map(|to| to.path.clone()).unwrap_or_default();
    let fail = {
        let path = path.clone();
        move |errno| Error::io(&path, "cannot write its content into staging", errno)
    };
    let staged = engine.tree().staging().create("s-").map_err(|errno| status(fail(errno)))?;
    let file = staged
        .file()
        .try_clone()
        .map_err(|e| status(Error::new(Reason::Io, &path, e.to_string())))?;
    let (chunks, arriving) = mpsc::channel(IN_FLIGHT);
    let writing = spawn_blocking(move || write(file, arriving, digest.is_some()));
    let announced = forward(steps, chunks).await;
    let written =
        writing.await.map_err(|e| status(Error::new(Reason::Io, &path, e.to_string())))?;
    let (size, found) = written.map_err(|e| {
        let errno = rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO);
        status(fail(errno))
    })?;
    let Some(PublishFinish { size: announced }) = announced? else {
        let why = "the stream ended before it was finished; nothing was published";
        return Err(status(Error::new(Reason::Incomplete, &path, why)));
    };
    if size != announced {
        let why =
            format!("{size} bytes arrived, {announced} were announced; nothing was published");
        return Err(status(Error::new(Reason::ContentMismatch, &path, why)));
    }
    if digest.is_some_and(|digest| digest != found) {
        let why = "the content that arrived does not have the digest that was announced; nothing was published";
        return Err(status(Error::new(Reason::ContentMismatch, &path, why)));
    }
    Ok(staged)
}

/// Hands chunks to the writer until the stream is finished, or ends without. A writer that failed
/// stops it.
async fn forward(
    steps: &mut Streaming<PublishStreamRequest>,
    chunks: mpsc::Sender<Bytes>,
) -> Result<Option<PublishFinish>, Status> {
    while let Some(message) = steps.message().await? {
        match message.step {
            Some(In::Chunk(chunk)) => {
                if chunks.send(chunk).await.is_err() {
                    return Ok(None);
                }
            }
            Some(In::Finish(finish)) => return Ok(Some(finish)),
            Some(In::Begin(_)) | None => {
                return Err(status(convert::bad("step", "chunks or finish were expected")));
            }
        }
    }
    Ok(None)
}

/// The number of bytes written, and their digest where it is `wanted`.
fn write(
    mut file: File,
    mut chunks: mpsc::Receiver<Bytes>,
    wanted: bool,
) -> std::io::Result<(u64, blake3::Hash)> {
    let (mut size, mut hasher) = (0, blake3::Hasher::new());
    while let Some(chunk) = chunks.blocking_recv() {
        file.write_all(&chunk)?;
        size += chunk.len() as u64;
        if wanted {
            hasher.update(&chunk);
        }
    }
    Ok((size, hasher.finalize()))
}

fn digest(bytes: Vec<u8>) -> Result<blake3::Hash, Error> {
    let bytes: [u8; 32] =
        bytes.try_into().map_err(|_| convert::bad("blake3", "a BLAKE3 digest has 32 bytes"))?;
    Ok(blake3::Hash::from_bytes(bytes))
}

/// Runs what may wait for the disk where it delays nobody else.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Status> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(status),
        Err(panic) => Err(status(Error::new(Reason::Io, b".", panic.to_string()))),
    }
}
