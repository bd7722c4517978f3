//! Looking at the tree and at what was done to it.

use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc};

use onewriter_core::{
    Caller, Engine, Sight,
    journal::{PathFilter, Query, Record},
};
use onewriter_proto::{
    convert,
    v1::{
        self, JournalRecord, ListJournalRequest, ListTreeRequest, ListTreeResponse,
        ReadFileRequest, ReadFileResponse, StatRequest, StatResponse, WaitRequest, WaitResponse,
        WatchJournalRequest, WatchJournalResponse, read_file_response::Step,
    },
};
use onewriter_tree::{Error, Last, RelPath, mutation::Deed};
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, Sender, answers, blocking, caller, list_tree, send, wait, watch};
use crate::{
    lifecycle::Lifecycle,
    peer,
    status::{status, unreadable_journal},
};

/// A piece of a file, read and sent at once, in bytes.
const CHUNK: u64 = 256 * 1024;

/// Chunks that wait for a client: one to be sent while the next is read. A client that takes its
/// time costs so much memory and no more.
const CHUNKS_AHEAD: usize = 1;

/// The same for journal records, of some 200 bytes.
const RECORDS_AHEAD: usize = 64;

/// Journal records that are read at once.
const PAGE: usize = 1000;

pub(crate) struct Reading {
    engine: Arc<Engine>,
    lifecycle: Arc<Lifecycle>,
}

impl Reading {
    pub(crate) fn new(engine: Arc<Engine>, lifecycle: Arc<Lifecycle>) -> Self {
        Self { engine, lifecycle }
    }
}

#[async_trait]
impl v1::reading_server::Reading for Reading {
    async fn stat(&self, request: Request<StatRequest>) -> Result<Response<StatResponse>, Status> {
        let caller = caller(&request, "stat");
        let StatRequest { paths, follow, .. } = request.into_inner();
        if paths.is_empty() || paths.len() > convert::MAX_ITEMS {
            return Err(status(convert::bad("paths", "a request names 1 to 10,000 paths")));
        }
        let paths = paths.iter().map(|path| RelPath::parse(path)).collect::<Result<Arc<_>, _>>();
        let paths: Arc<[RelPath]> = paths.map_err(status)?;
        let last = if follow { Last::Follow } else { Last::Keep };
        let describe = move |sight: &Sight<'_>, paths: &[RelPath]| describe(sight, paths, last);
        let stats = self.engine.look(caller, paths, describe).await.map_err(status)?;
        Ok(Response::new(StatResponse { stats }))
    }

    type ReadFileStream = Answers<ReadFileResponse>;

    async fn read_file(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        let (deadline, caller) = (peer::deadline(request.metadata()), caller(&request, "read"));
        let (engine, request) = (Arc::clone(&self.engine), request.into_inner());
        Ok(Response::new(answers(CHUNKS_AHEAD, deadline, |to| read(engine, caller, request, to))))
    }

    type ListTreeStream = Answers<ListTreeResponse>;

    async fn list_tree(
        &self,
        request: Request<ListTreeRequest>,
    ) -> Result<Response<Self::ListTreeStream>, Status> {
        let (deadline, caller) = (peer::deadline(request.metadata()), caller(&request, "list"));
        let (engine, paths) = (Arc::clone(&self.engine), request.into_inner().paths);
        list_tree::serve(engine, caller, paths, deadline).map(Response::new)
    }

    type ListJournalStream = Answers<JournalRecord>;

    async fn list_journal(
        &self,
        request: Request<ListJournalRequest>,
    ) -> Result<Response<Self::ListJournalStream>, Status> {
        let deadline = peer::deadline(request.metadata());
        let caller = caller(&request, "log");
        let (engine, request) = (Arc::clone(&self.engine), request.into_inner());
        let query = query(&request).map_err(status)?;
        let asked = match &query.path {
            Some(PathFilter::Exactly(path) | PathFilter::AtOrBelow(path)) if !path.is_empty() => {
                RelPath::parse(path).map_err(status)?
            }
            _ => RelPath::ROOT,
        };
        engine.permit(&caller, Deed::Read, &asked).await.map_err(status)?;
        Ok(Response::new(answers(RECORDS_AHEAD, deadline, move |to| {
            list(engine, caller, query, request.limit, to)
        })))
    }

    type WatchJournalStream = Answers<WatchJournalResponse>;

    async fn watch_journal(
        &self,
        request: Request<WatchJournalRequest>,
    ) -> Result<Response<Self::WatchJournalStream>, Status> {
        let (deadline, caller) = (peer::deadline(request.metadata()), caller(&request, "watch"));
        let lifecycle = Arc::clone(&self.lifecycle);
        let watch = watch::begin(&self.engine, caller, request.into_inner()).await?;
        Ok(Response::new(answers(1, deadline, |to| watch.serve(lifecycle, to))))
    }

    type WaitStream = Answers<WaitResponse>;

    async fn wait(
        &self,
        request: Request<WaitRequest>,
    ) -> Result<Response<Self::WaitStream>, Status> {
        let caller = caller(&request, "wait");
        let (engine, lifecycle) = (Arc::clone(&self.engine), Arc::clone(&self.lifecycle));
        let request = wait::read(request.into_inner())?;
        // The wait ends at the deadline by itself, and says then what it was for.
        Ok(Response::new(answers(1, None, |to| {
            wait::serve(engine, lifecycle, caller, request, to)
        })))
    }
}

fn describe(sight: &Sight<'_>, paths: &[RelPath], last: Last) -> Result<Vec<v1::Stat>, Error> {
    let describe = |path| {
        let (path, found) = sight.stat(path, last)?;
        Ok(convert::stat(&path, found))
    };
    paths.iter().map(describe).collect()
}

async fn read(
    engine: Arc<Engine>,
    caller: Caller,
    request: ReadFileRequest,
    answers: Sender<ReadFileResponse>,
) -> Result<(), Status> {
    let answer = |step| ReadFileResponse { step: Some(step) };
    let path = RelPath::parse(&request.path).map_err(status)?;
    let _turn = engine.turn_to_receive(&caller, &path).await.map_err(status)?;
    let open = |sight: &Sight<'_>, paths: &[RelPath]| sight.open_file(&paths[0]);
    let (file, found) = engine.look(caller, [path].into(), open).await.map_err(status)?;
    send(&answers, answer(Step::Stat(convert::stat(&found.path.clone(), Some(found))))).await?;
    let file = Arc::new(file);
    let mut at = request.offset;
    let end = request.length.map_or(u64::MAX, |length| at.saturating_add(length));
    while at < end {
        let (file, path, want) = (Arc::clone(&file), request.path.clone(), CHUNK.min(end - at));
        let chunk = blocking(move || read_chunk(&file, at, want, &path)).await?;
        at += chunk.len() as u64;
        let is_last = (chunk.len() as u64) < want;
        if !chunk.is_empty() {
            send(&answers, answer(Step::Chunk(chunk.into()))).await?;
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// `want` bytes from `at`; fewer only where the file ends.
fn read_chunk(file: &File, at: u64, want: u64, path: &[u8]) -> Result<Vec<u8>, Error> {
    let size = file.metadata().map_or(u64::MAX, |found| found.len());
    // One more than the file seems to have left, so that its end is seen.
    let mut chunk = vec![0; want.min(size.saturating_sub(at).saturating_add(1)) as usize];
    let mut filled = 0;
    while filled < chunk.len() {
        match file.read_at(&mut chunk[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => {
                let errno = rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO);
                return Err(Error::io(path, "cannot read it", errno));
            }
        }
    }
    chunk.truncate(filled);
    Ok(chunk)
}

/// The request's filters; its limit is another matter.
fn query(request: &ListJournalRequest) -> Result<Query, Error> {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let path = (!request.path.is_empty()).then(|| RelPath::parse(&request.path)).transpose()?;
    let path = path.map(|path| path.as_bytes().to_vec());
    Ok(Query {
        after_seq: request.after_seq,
        path: path.map(if request.below { PathFilter::AtOrBelow } else { PathFilter::Exactly }),
        target: some(&request.target),
        build: some(&request.build),
        changes_only: request.changes_only,
        ..Query::default()
    })
}

async fn list(
    engine: Arc<Engine>,
    caller: Caller,
    mut query: Query,
    limit: u64,
    answers: Sender<JournalRecord>,
) -> Result<(), Status> {
    engine.journal().flushed().await;
    let mut left = u64::MAX;
    if limit > 0 {
        let Some((first, found)) = newest(&engine, &query, limit).await? else { return Ok(()) };
        (query.after_seq, left) = (first - 1, found);
    }
    while left > 0 {
        query.limit = PAGE.min(usize::try_from(left).unwrap_or(PAGE));
        let page = fetch(&engine, query.clone()).await?;
        let Some(last) = page.last() else { break };
        query.after_seq = last.seq;
        left -= page.len() as u64;
        for record in page {
            send(&answers, journal_record(hide(record, &caller))).await?;
        }
    }
    Ok(())
}

/// What is left of a record for somebody: the other path of a rename may lie where he may not look.
pub(super) fn hide(mut record: Record, caller: &Caller) -> Record {
    if let Some(rights) = &caller.rights {
        let may =
            |path: &[u8]| RelPath::parse(path).is_ok_and(|path| rights.may(Deed::Read, &path));
        record.other = record.other.filter(|other| may(other));
        if !may(&record.path) {
            record.path = b"?".to_vec();
        }
    }
    record
}

/// Where the newest `limit` records begin, and how many of them there are: they are sent in the
/// order in which they were written.
async fn newest(
    engine: &Arc<Engine>,
    query: &Query,
    limit: u64,
) -> Result<Option<(i64, u64)>, Status> {
    let mut query = Query { newest_first: true, ..query.clone() };
    let (mut first, mut found) = (None, 0);
    while found < limit {
        query.limit = PAGE.min(usize::try_from(limit - found).unwrap_or(PAGE));
        let page = fetch(engine, query.clone()).await?;
        let Some(oldest) = page.last() else { break };
        (first, query.before_seq) = (Some(oldest.seq), Some(oldest.seq));
        found += page.len() as u64;
        if page.len() < query.limit {
            break;
        }
    }
    Ok(first.map(|first| (first, found)))
}

async fn fetch(engine: &Arc<Engine>, query: Query) -> Result<Vec<Record>, Status> {
    let engine = Arc::clone(engine);
    blocking(move || {
        let found = engine.journal().list(&query);
        found.map_err(unreadable_journal)
    })
    .await
}

pub(super) fn journal_record(record: Record) -> JournalRecord {
    JournalRecord {
        seq: record.seq,
        at: Some(peer::time_of(record.at)),
        took_us: record.took.as_micros() as u64,
        build: record.build,
        target: record.target,
        directory: record.directory,
        pid: record.pid,
        uid: record.uid,
        identity: record.identity,
        method: record.method,
        path: record.path,
        other: record.other,
        outcome: record.outcome,
        bytes: record.bytes,
        error: record.error,
    }
}
