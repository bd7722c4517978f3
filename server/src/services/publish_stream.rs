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
    mutation::{Deed, Publish, Source},
};
use tonic::{Request, Status};

use super::{
    Answers, Sender, answers,
    arrival::{Arrival, Arrived},
    messages::Messages,
    publish_digest::{known, nothing, put},
    send, within,
};
use crate::{
    content::{Content, Wanted},
    peer::Terms,
    status::status,
};

/// Serves one publish. It ends with the client: nothing is left in staging.
pub(crate) fn serve(
    engine: Arc<Engine>,
    content: Arc<Content>,
    request: Request<()>,
    steps: impl Messages<PublishStreamRequest> + 'static,
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
    mut steps: impl Messages<PublishStreamRequest>,
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
    let place = publication(to.clone(), nothing(), umask)?.path;
    let wanted = blake3.map(wanted).transpose().map_err(status)?;
    if let Some(wanted) = wanted
        && let Some(done) = known(&engine, &content, &caller, (&to, umask), wanted).await?
    {
        return Ok(done);
    }
    // Asked again when all of it is there; but it would have taken room until then.
    engine.permit(&caller, Deed::Publish, &place).await.map_err(status)?;
    let _turn = engine.turn_to_send(&caller, &place).await.map_err(status)?;
    if wanted.is_some() {
        let proceed = PublishStreamResponse { step: Some(Out::Proceed(PublishProceed {})) };
        send(answers, proceed).await?;
    }
    let staged = receive(&engine, &mut steps, &place, wanted, &caller).await?;
    if let Some(found) = wanted {
        return put(&engine, &content, caller, (&to, umask), staged, found).await;
    }
    let publish = publication(to, Source::Staged(staged), umask)?;
    let changes = engine.run(caller, Box::new(publish)).await.map_err(status)?;
    Ok(convert::response(changes))
}

fn publication(to: Option<Publication>, source: Source, umask: u32) -> Result<Publish, Status> {
    convert::publication(to, source, umask).map_err(status)
}

/// Writes the content into staging as it comes, and checks that it is what was announced.
async fn receive(
    engine: &Engine,
    steps: &mut impl Messages<PublishStreamRequest>,
    place: &RelPath,
    wanted: Option<Wanted>,
    caller: &Caller,
) -> Result<Staged, Status> {
    let path = place.as_bytes();
    let function = wanted.map(|wanted| wanted.function);
    let mut arrival = Arrival::begin(engine, caller, place, function)?;
    let mut usage = caller.rights.as_ref().map(Rights::usage);
    let PublishFinish { size: announced } = loop {
        match next(steps, caller.deadline, path).await? {
            Some(In::Chunk(chunk)) => arrival.take(chunk, &mut usage).await?,
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
    let Arrived { staged, size, digest } = arrival.end().await?;
    let mismatch = |why| status(Error::new(Reason::ContentMismatch, path, why));
    if size != announced {
        let why =
            format!("{size} bytes arrived, {announced} were announced; nothing was published");
        return Err(mismatch(why));
    }
    if wanted.zip(digest).is_some_and(|(wanted, found)| !wanted.is(&found)) {
        let why = "the content that arrived does not have the digest that was announced; nothing \
                   was published";
        return Err(mismatch(why.to_owned()));
    }
    Ok(staged)
}

/// The next step of the stream; `None` at its end.
async fn next(
    steps: &mut impl Messages<PublishStreamRequest>,
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

fn wanted(blake3: Vec<u8>) -> Result<Wanted, Error> {
    let hash = <[u8; 32]>::try_from(blake3);
    let hash = hash.map_err(|_| convert::bad("blake3", "a BLAKE3 digest has 32 bytes"))?;
    Ok(Wanted { function: Function::Blake3, hash, size: None })
}
