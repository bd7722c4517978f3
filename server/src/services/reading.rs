//! Looking at the tree and at what was done to it.

use std::{os::unix::fs::FileExt as _, sync::Arc, time::UNIX_EPOCH};

use onewriter_core::{
    Engine,
    journal::{PathFilter, Query, Record},
};
use onewriter_proto::{
    convert,
    v1::{
        self, JournalRecord, ListJournalRequest, ReadFileRequest, ReadFileResponse, StatRequest,
        StatResponse, read_file_response::Step,
    },
};
use onewriter_tree::{Error, Last, Reason, RelPath, open_file, stat};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, publish_stream::run_blocking};
use crate::status::status;

const CHUNK: u64 = 256 * 1024;

/// Journal records that are read at once.
const PAGE: usize = 1000;

pub(crate) struct Reading {
    engine: Arc<Engine>,
}

impl Reading {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl v1::reading_server::Reading for Reading {
    async fn stat(&self, request: Request<StatRequest>) -> Result<Response<StatResponse>, Status> {
        let (engine, request) = (Arc::clone(&self.engine), request.into_inner());
        let stats = run_blocking(move || describe(&engine, &request)).await?;
        Ok(Response::new(StatResponse { stats }))
    }

    type ReadFileStream = Answers<ReadFileResponse>;

    async fn read_file(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        let (engine, request) = (Arc::clone(&self.engine), request.into_inner());
        Ok(Response::new(stream(move |answers| read(&engine, &request, answers))))
    }

    type ListJournalStream = Answers<JournalRecord>;

    async fn list_journal(
        &self,
        request: Request<ListJournalRequest>,
    ) -> Result<Response<Self::ListJournalStream>, Status> {
        self.engine.journal().flushed().await;
        let (engine, request) = (Arc::clone(&self.engine), request.into_inner());
        Ok(Response::new(stream(move |answers| list(&engine, &request, answers))))
    }
}

/// Where a stream's answers go; an error of its own means that the client has gone away.
type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// What stops a stream before its end.
enum Stop {
    /// An error for the client.
    Error(Error),
    /// Nobody listens any more.
    Gone,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Runs `work`, which may wait for the disk, beside the stream of its answers.
fn stream<T: Send + 'static>(
    work: impl FnOnce(&Sender<T>) -> Result<(), Stop> + Send + 'static,
) -> Answers<T> {
    let (answers, stream) = mpsc::channel(4);
    spawn_blocking(move || {
        if let Err(Stop::Error(error)) = work(&answers) {
            let _ = answers.blocking_send(Err(status(error)));
        }
    });
    Box::pin(ReceiverStream::new(stream))
}

fn send<T>(answers: &Sender<T>, answer: T) -> Result<(), Stop> {
    answers.blocking_send(Ok(answer)).map_err(|_| Stop::Gone)
}

fn describe(engine: &Engine, request: &StatRequest) -> Result<Vec<v1::Stat>, Error> {
    if request.paths.is_empty() || request.paths.len() > convert::MAX_ITEMS {
        return Err(convert::bad("paths", "a request names 1 to 10,000 paths"));
    }
    let last = if request.follow { Last::Follow } else { Last::Keep };
    let describe = |path: &Vec<u8>| {
        let (path, found) = stat(engine.tree(), &RelPath::parse(path)?, last)?;
        Ok(convert::stat(&path, found))
    };
    request.paths.iter().map(describe).collect()
}

fn read(
    engine: &Engine,
    request: &ReadFileRequest,
    answers: &Sender<ReadFileResponse>,
) -> Result<(), Stop> {
    let path = RelPath::parse(&request.path)?;
    let (file, found) = open_file(engine.tree(), &path)?;
    let answer = |step| ReadFileResponse { step: Some(step) };
    send(answers, answer(Step::Stat(convert::stat(&found.path.clone(), Some(found)))))?;
    let mut at = request.offset;
    let end = request.length.map_or(u64::MAX, |length| at.saturating_add(length));
    while at < end {
        let mut chunk = vec![0; CHUNK.min(end - at) as usize];
        let n = file
            .read_at(&mut chunk, at)
            .map_err(|e| Error::new(Reason::Io, &request.path, e.to_string()))?;
        if n == 0 {
            break;
        }
        chunk.truncate(n);
        at += n as u64;
        send(answers, answer(Step::Chunk(chunk.into())))?;
    }
    Ok(())
}

fn list(
    engine: &Engine,
    request: &ListJournalRequest,
    answers: &Sender<JournalRecord>,
) -> Result<(), Stop> {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let path = (!request.path.is_empty()).then(|| RelPath::parse(&request.path)).transpose()?;
    let path = path.map(|path| path.as_bytes().to_vec());
    let mut query = Query {
        after_seq: request.after_seq,
        path: path.map(if request.below { PathFilter::AtOrBelow } else { PathFilter::Exactly }),
        target: some(&request.target),
        build: some(&request.build),
        changes_only: request.changes_only,
        ..Query::default()
    };
    let fetch = |query: &Query| {
        let found = engine.journal().list(query);
        found.map_err(|e| Stop::Error(Error::new(Reason::Journal, b".", e.to_string())))
    };
    let mut left = u64::MAX;
    if request.limit > 0 {
        // The newest ones, in the order in which they were written: find where they begin.
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let newest = fetch(&Query { newest_first: true, limit, ..query.clone() })?;
        let Some(first) = newest.last() else { return Ok(()) };
        query.after_seq = first.seq - 1;
        left = newest.len() as u64;
    }
    while left > 0 {
        query.limit = PAGE.min(usize::try_from(left).unwrap_or(PAGE));
        let page = fetch(&query)?;
        let Some(last) = page.last() else { break };
        query.after_seq = last.seq;
        left -= page.len() as u64;
        for record in page {
            send(answers, journal_record(record))?;
        }
    }
    Ok(())
}

fn journal_record(record: Record) -> JournalRecord {
    let at = record.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    JournalRecord {
        seq: record.seq,
        at: Some(v1::Time { seconds: at.as_secs() as i64, nanoseconds: at.subsec_nanos() }),
        took_us: record.took.as_micros() as u64,
        build: record.build,
        target: record.target,
        directory: record.directory,
        pid: record.pid,
        uid: record.uid,
        method: record.method,
        path: record.path,
        other: record.other,
        outcome: record.outcome,
        bytes: record.bytes,
        error: record.error,
    }
}
