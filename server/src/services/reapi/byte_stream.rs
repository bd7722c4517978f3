//! Content in streams.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::Bytes;
use onewriter_proto::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse, byte_stream_server::ByteStream,
};
use onewriter_store::{Blob, StoreError};
use onewriter_tree::{Reason, RelPath, mutation::Deed};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use super::{
    Api, CHUNK, bad,
    names::{self, Resource},
    refusal::{missing, refuse, stored},
};
use crate::{
    content::{Inlet, OwnStore, blocking},
    peer,
    services::{Answers, Sender, answers, caller, send},
    status::status,
};

/// What may wait for the disk, in bytes, before the network has to wait too.
const AHEAD: usize = 1 << 20;

/// How hard content is compressed: the level at which it costs little more than to send it.
const LEVEL: i32 = 1;

#[async_trait]
impl ByteStream for Api {
    type ReadStream = Answers<ReadResponse>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        self.permit(&request, Deed::Read).await?;
        let caller = caller(&request, "content");
        let turn = self.engine.turn_to_receive(&caller, &RelPath::ROOT).await.map_err(status)?;
        let deadline = peer::deadline(request.metadata());
        let ReadRequest { resource_name, read_offset, read_limit } = request.into_inner();
        let Resource { digest, compressed } = names::to_read(&resource_name)?;
        let (Ok(from), Ok(limit)) = (u64::try_from(read_offset), u64::try_from(read_limit)) else {
            return Err(bad("read_offset and read_limit are not negative"));
        };
        if compressed && limit > 0 {
            return Err(bad("read_limit: compressed content is read to its end"));
        }
        let found = self.content.run(move |store| store.get(&digest)).await.map_err(stored)?;
        let blob = found.ok_or_else(|| missing(Code::NotFound, &digest))?;
        if from > blob.size() {
            let what = format!("read_offset: {digest} ends before {from}");
            return Err(refuse(Code::OutOfRange, Reason::BadRequest, what));
        }
        let to = if limit == 0 { blob.size() } else { blob.size().min(from.saturating_add(limit)) };
        let part = Part { blob, at: from, to };
        Ok(Response::new(answers(1, deadline, move |answers| async move {
            let _turn = turn;
            match compressed {
                false => send_all(part, &answers).await,
                true => {
                    let packed = zstd::stream::read::Encoder::new(part, LEVEL);
                    send_all(packed.map_err(broken)?, &answers).await
                }
            }
        })))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        self.permit(&request, Deed::Publish).await?;
        let caller = caller(&request, "content");
        let turn = self.engine.turn_to_send(&caller, &RelPath::ROOT).await.map_err(status)?;
        let (content, requests) = (Arc::clone(&self.content), request.into_inner());
        // Beside the request, so that what came is not lost with the connection.
        let written = tokio::spawn(async move {
            let _turn = turn;
            write(content, requests).await
        });
        let written = written.await;
        let committed_size = written.unwrap_or_else(|_| Err(Status::internal("it panicked")))?;
        Ok(Response::new(WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        self.permit(&request, Deed::Publish).await?;
        let name = request.into_inner().resource_name;
        let resource = names::to_write(&name)?;
        let is_there = self.content.run(move |store| store.contains(&resource.digest));
        if is_there.await.map_err(stored)? {
            let committed_size = whole(&resource);
            return Ok(Response::new(QueryWriteStatusResponse { committed_size, complete: true }));
        }
        let Some(taken) = self.content.parked.taken(&name) else {
            let what = "nothing waits under this name; begin at 0";
            return Err(refuse(Code::NotFound, Reason::Incomplete, what));
        };
        let committed_size = taken as i64;
        Ok(Response::new(QueryWriteStatusResponse { committed_size, complete: false }))
    }
}

/// What is said of content that is there already.
fn whole(resource: &Resource) -> i64 {
    // How much it would be when compressed, nobody knows.
    if resource.compressed { -1 } else { resource.digest.size as i64 }
}

/// A part of a content, from where it is read.
struct Part {
    blob: Blob,
    at: u64,
    to: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        let want = buffer.len().min(usize::try_from(self.to - self.at).unwrap_or(usize::MAX));
        let n = self.blob.file().read_at(&mut buffer[..want], self.at)?;
        self.at += n as u64;
        if n == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(n)
    }
}

async fn send_all(
    mut source: impl Read + Send + 'static,
    answers: &Sender<ReadResponse>,
) -> Result<(), Status> {
    loop {
        let piece = blocking(move || {
            let mut piece = Vec::with_capacity(CHUNK);
            match source.by_ref().take(CHUNK as u64).read_to_end(&mut piece) {
                Ok(_) => Ok((piece, source)),
                Err(error) => Err(unreadable(&error)),
            }
        });
        let (piece, rest) = piece.await.map_err(stored)?;
        if piece.is_empty() {
            return Ok(());
        }
        source = rest;
        send(answers, ReadResponse { data: piece.into() }).await?;
    }
}

fn unreadable(error: &io::Error) -> StoreError {
    let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
    StoreError::Io { what: "cannot read stored content", errno }
}

fn broken(error: io::Error) -> Status {
    stored(unreadable(&error))
}

/// Takes content; how much of it is there then.
async fn write(
    content: Arc<OwnStore>,
    mut requests: Streaming<WriteRequest>,
) -> Result<i64, Status> {
    let Some(first) = requests.message().await? else {
        return Err(bad("the stream has no message"));
    };
    let name = first.resource_name.clone();
    let resource = names::to_write(&name)?;
    let is_there = content.run(move |store| store.contains(&resource.digest));
    if is_there.await.map_err(stored)? {
        return Ok(whole(&resource));
    }
    let inlet = begin(&content, &name, &resource, first.write_offset).await?;
    let mut intake = Intake::new(inlet);
    let mut next = Some(first);
    while let Some(request) = next {
        let last = request.finish_write;
        match intake.accept(&name, request) {
            Ok(()) if last => return intake.finish().await.map_err(stored),
            Ok(()) => {}
            Err(nonsense) => return Err(nonsense),
        }
        intake.write_some().await.map_err(stored)?;
        next = match requests.message().await {
            Ok(next) => next,
            Err(cut_off) => {
                park(&content, name, intake).await?;
                return Err(cut_off);
            }
        };
    }
    park(&content, name, intake).await
}

/// Keeps what came until the client comes back; how much it is.
async fn park(content: &Arc<OwnStore>, name: String, intake: Intake) -> Result<i64, Status> {
    let inlet = intake.end().await.map_err(stored)?;
    let taken = inlet.taken() as i64;
    content.park(name, inlet);
    Ok(taken)
}

/// Goes on with what waits, or begins anew.
async fn begin(
    content: &Arc<OwnStore>,
    name: &str,
    resource: &Resource,
    offset: i64,
) -> Result<Inlet, Status> {
    let taken = content.parked.taken(name);
    if offset != 0 && taken.map(|taken| taken as i64) != Some(offset) {
        let what = format!(
            "write_offset: {} bytes are here, so that the content cannot go on at {offset}",
            taken.unwrap_or(0)
        );
        return Err(bad(what));
    }
    let waiting = content.parked.take(name);
    if let Some(inlet) = waiting.filter(|_| offset != 0) {
        return Ok(inlet);
    }
    let Resource { digest, compressed } = *resource;
    content.run(move |store| Inlet::new(store.upload(digest)?, compressed)).await.map_err(stored)
}

/// An upload and what has come for it: while something is written, more may come.
struct Intake {
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    writing: JoinHandle<Result<Inlet, StoreError>>,
    /// How much has come, in bytes of what is sent.
    taken: u64,
}

impl Intake {
    fn new(inlet: Inlet) -> Self {
        let taken = inlet.taken();
        let writing = tokio::spawn(std::future::ready(Ok(inlet)));
        Self { waiting: Vec::new(), waiting_bytes: 0, writing, taken }
    }

    /// Takes what a message has, if it belongs where this upload stands.
    fn accept(&mut self, name: &str, request: WriteRequest) -> Result<(), Status> {
        if !request.resource_name.is_empty() && request.resource_name != name {
            return Err(bad("resource_name: it is another than in the first message"));
        }
        if u64::try_from(request.write_offset) != Ok(self.taken) {
            let what = format!("write_offset: it is to be {} here", self.taken);
            return Err(bad(what));
        }
        self.taken += request.data.len() as u64;
        self.waiting_bytes += request.data.len();
        self.waiting.push(request.data);
        Ok(())
    }

    /// Begins to write what waits, if it is much or nothing is being written.
    async fn write_some(&mut self) -> Result<(), StoreError> {
        if self.waiting_bytes < AHEAD && !self.writing.is_finished() {
            return Ok(());
        }
        self.turn().await
    }

    async fn turn(&mut self) -> Result<(), StoreError> {
        let mut inlet = joined(&mut self.writing).await?;
        let pieces = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.writing = tokio::spawn(blocking(move || {
            pieces.iter().try_for_each(|piece| inlet.push(piece))?;
            Ok(inlet)
        }));
        Ok(())
    }

    /// The upload, with all that came.
    async fn end(mut self) -> Result<Inlet, StoreError> {
        self.turn().await?;
        joined(&mut self.writing).await
    }

    /// Keeps the content; how much was sent for it.
    async fn finish(self) -> Result<i64, StoreError> {
        let taken = self.taken as i64;
        let inlet = self.end().await?;
        blocking(move || inlet.finish()).await?;
        Ok(taken)
    }
}

async fn joined(writing: &mut JoinHandle<Result<Inlet, StoreError>>) -> Result<Inlet, StoreError> {
    let failed = StoreError::Io { what: "an upload failed inside", errno: rustix::io::Errno::IO };
    writing.await.unwrap_or(Err(failed))
}
