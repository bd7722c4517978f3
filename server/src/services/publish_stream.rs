//! Publishing content that arrives in the stream.

use std::sync::Arc;

use onewriter_core::{Caller, Engine, policy::Rights};
use onewriter_proto::{
    convert,
    v1::{
        MutationResponse, Publication, PublishBegin, PublishFinish, PublishProceed,
        PublishStreamRequest, PublishStreamResponse, publish_stream_request::Step as In,
        publish_stream_response::Step as Out,
    },
};
use onewriter_store::Function;
use onewriter_tree::{
    Error, Reason, RelPath, Staged,
    mutation::{Publish, Source},
};
use tonic::{Request, Status, Streaming};

use super::{
    Answers, Sender, answers,
    inflow::Inflow,
    publish_digest::{done, known, nothing},
    send, within,
};
use crate::{
    content::{Content, Wanted},
    peer::Terms,
    status::status,
};

/// The most that one message may carry of the content, in bytes.
const MAX_CHUNK: usize = 1 << 20;

/// Serves one publish. It ends with the client: nothing is left in staging.
pub(crate) fn serve(
    engine: Arc<Engine>,
    content: Arc<Content>,
    request: Request<()>,
    steps: Streaming<PublishStreamRequest>,
) -> Answers<PublishStreamResponse> {
    // Bounded by its own waits, each of which says what it waited for.
    answers(1, None, |to| async move {
        let done = publish(engine, content, request, steps, &to).await?;
        send(&to, PublishStreamResponse { step: Some(Out::Done(done)) }).await
    })
}

async fn publish(
    engine: Arc<Engine>,
    content: Arc<Content>,
    request: Request<()>,
    mut steps: Streaming<PublishStreamRequest>,
    answers: &Sender<PublishStreamResponse>,
) -> Result<MutationResponse, Status> {
    let arrival = Terms::of(&request, None).caller.deadline;
    let begin = match next(&mut steps, arrival, b".").await? {
        Some(In::Begin(begin)) => begin,
        _ => return Err(status(convert::bad("begin", "a stream begins with it"))),
    };
    let PublishBegin { context, to, blake3 } = begin;
    let terms = Terms::of(&request, context);
    terms.check_key(1).map_err(status)?;
    let Terms { caller, umask, .. } = terms;
    // Checked before any content is sent.
    publication(to.clone(), nothing(), umask)?;
    let digest = blake3.map(digest).transpose().map_err(status)?;
    let wanted =
        digest.map(|hash| Wanted { function: Function::Blake3, hash: hash.into(), size: None });
    if let Some(wanted) = wanted {
        if let Some(done) = known(&engine, &content, &caller, (&to, umask), wanted).await? {
            return Ok(done);
        }
        let proceed = PublishStreamResponse { step: Some(Out::Proceed(PublishProceed {})) };
        send(answers, proceed).await?;
    }
    let path = to.as_ref().map(|to| to.path.clone()).unwrap_or_default();
    let staged = receive(&engine, &mut steps, &path, digest, &caller).await?;
    let publish = publication(to, Source::Staged(staged), umask)?;
    let changes = engine.run(caller, Box::new(publish)).await.map_err(status)?;
    Ok(match wanted {
        Some(found) => done(&content, found, changes),
        None => convert::response(changes),
    })
}

fn publication(to: Option<Publication>, source: Source, umask: u32) -> Result<Publish, Status> {
    convert::publication(to, source, umask).map_err(status)
}

/// Writes the content into staging as it comes, and checks that it is what was announced.
async fn receive(
    engine: &Engine,
    steps: &mut Streaming<PublishStreamRequest>,
    path: &[u8],
    digest: Option<blake3::Hash>,
    caller: &Caller,
) -> Result<Staged, Status> {
    let fail = |errno| {
        let error = Error::io(path, "cannot write its content into staging", errno);
        status(engine.tree().or_lost(error))
    };
    let staged = engine.tree().staging().create_own().map_err(fail)?;
    let mut inflow = Inflow::new(&staged, digest.is_some()).map_err(fail)?;
    let mut usage = caller.rights.as_ref().map(Rights::usage);
    let place = RelPath::parse(path).unwrap_or_default();
    let PublishFinish { size: announced } = loop {
        match next(steps, caller.deadline, path).await? {
            Some(In::Chunk(chunk)) if chunk.len() > MAX_CHUNK => {
                return Err(status(convert::bad("chunk", "a chunk has at most 1 MiB")));
            }
            Some(In::Chunk(chunk)) => {
                let mut room = None;
                if let (Some(rights), Some(usage)) = (&caller.rights, &mut usage) {
                    let bytes = chunk.len();
                    engine.spend(caller, usage, bytes as u64, &place).await.map_err(status)?;
                    room = Some(rights.room(bytes).await);
                }
                inflow.push(chunk, room).await.map_err(fail)?;
            }
            Some(In::Finish(finish)) => break finish,
            Some(In::Begin(_)) => {
                return Err(status(convert::bad("begin", "the stream has begun already")));
            }
            None => {
                let why = "the stream ended before it was finished; nothing was published";
                return Err(status(Error::new(Reason::Incomplete, path, why)));
            }
        }
    };
    let (size, found) = inflow.end().await.map_err(fail)?;
    let mismatch = |why| status(Error::new(Reason::ContentMismatch, path, why));
    if size != announced {
        let why =
            format!("{size} bytes arrived, {announced} were announced; nothing was published");
        return Err(mismatch(why));
    }
    if digest.is_some_and(|digest| digest != found) {
        let why = "the content that arrived does not have the digest that was announced; nothing \
                   was published";
        return Err(mismatch(why.to_owned()));
    }
    Ok(staged)
}

/// The next step of the stream; `None` at its end.
async fn next(
    steps: &mut Streaming<PublishStreamRequest>,
    deadline: Option<std::time::Instant>,
    path: &[u8],
) -> Result<Option<In>, Status> {
    let Some(message) = within(deadline, steps.message()).await else {
        let why = "the request's deadline passed before the content was there; nothing was \
                   published";
        return Err(status(Error::new(Reason::Incomplete, path, why)));
    };
    match message? {
        Some(PublishStreamRequest { step: Some(step) }) => Ok(Some(step)),
        Some(PublishStreamRequest { step: None }) => {
            Err(status(convert::bad("step", "the message holds none")))
        }
        None => Ok(None),
    }
}

fn digest(bytes: Vec<u8>) -> Result<blake3::Hash, Error> {
    let bytes: [u8; 32] =
        bytes.try_into().map_err(|_| convert::bad("blake3", "a BLAKE3 digest has 32 bytes"))?;
    Ok(blake3::Hash::from_bytes(bytes))
}
