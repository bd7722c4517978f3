//! A store that does what a test tells it to.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, atomic::AtomicBool, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use onewriter_proto::{
    bytestream::{
        QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse,
        WriteResponse,
        byte_stream_server::{ByteStream, ByteStreamServer},
    },
    reapi::{
        CacheCapabilities, GetCapabilitiesRequest, ServerCapabilities,
        capabilities_server::{Capabilities, CapabilitiesServer},
    },
};
use tokio::{net::TcpListener, sync::Notify};
use tonic::{Request, Response, Streaming, async_trait, service::Routes};

use super::*;
use crate::services::Answers;

/// What a store does when it is read once.
pub(super) struct Take {
    pub(super) pieces: Vec<&'static [u8]>,
    pub(super) then: Then,
    /// Whether it leaves out of the one piece what it is asked to.
    minds_offset: bool,
}

/// How it goes on behind the last piece.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    End,
    /// The connection is gone, and with it perhaps what was sent before.
    Cut,
    /// Nothing comes any more.
    Silence,
    Say(Code),
}

impl Take {
    /// Sends these, whatever was asked for.
    pub(super) fn pieces(pieces: &[&'static [u8]], then: Then) -> Self {
        Self { pieces: pieces.to_vec(), then, minds_offset: false }
    }

    pub(super) fn all(content: &'static [u8]) -> Self {
        Self::pieces(&[content], Then::End)
    }

    /// Sends what is asked for of this beginning of a content.
    pub(super) fn up_to(beginning: &'static [u8], then: Then) -> Self {
        Self { pieces: vec![beginning], then, minds_offset: true }
    }
}

/// The store: SHA-256 only, no zstd, batches of 100 bytes.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    takes: Mutex<VecDeque<Take>>,
    reads: Mutex<Vec<(String, i64)>>,
    authorization: Mutex<Option<String>>,
    cut: Notify,
    is_down: AtomicBool,
    is_silent: AtomicBool,
    bars: AtomicBool,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Self { address, script: Arc::default() };
        let store = fake.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if !store.script.is_down.load(Relaxed) {
                    tokio::spawn(store.clone().serve(socket));
                }
            }
        });
        fake
    }

    async fn serve(self, socket: tokio::net::TcpStream) {
        let routes = Routes::new(ByteStreamServer::new(self.clone()))
            .add_service(CapabilitiesServer::new(self.clone()));
        tokio::select! {
            () = serving::serve(socket, routes) => {}
            () = self.script.cut.notified() => {}
        }
    }

    /// What it does the next time it is read.
    pub(super) fn will(&self, take: Take) {
        self.script.takes.lock().unwrap().push_back(take);
    }

    /// What it was asked to read, and from where.
    pub(super) fn reads(&self) -> Vec<(String, i64)> {
        self.script.reads.lock().unwrap().clone()
    }

    pub(super) fn authorization(&self) -> Option<String> {
        self.script.authorization.lock().unwrap().clone()
    }

    /// Nobody is there any more, or somebody is again.
    pub(super) fn is_down(&self, down: bool) {
        self.script.is_down.store(down, Relaxed);
        if down {
            self.script.cut.notify_waiters();
        }
    }

    /// It answers nothing at all.
    pub(super) fn is_silent(&self) {
        self.script.is_silent.store(true, Relaxed);
    }

    /// It knows nobody.
    pub(super) fn bars_everybody(&self) {
        self.script.bars.store(true, Relaxed);
    }

    async fn answers(&self) -> Result<(), Status> {
        if self.script.is_silent.load(Relaxed) {
            std::future::pending::<()>().await;
        }
        match self.script.bars.load(Relaxed) {
            true => Err(Status::unauthenticated("who are you")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Capabilities for Fake {
    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let said = request.metadata().get("authorization");
        *self.script.authorization.lock().unwrap() =
            said.map(|said| said.to_str().unwrap().to_owned());
        self.answers().await?;
        let cache = CacheCapabilities {
            digest_functions: vec![1],
            max_batch_total_size_bytes: 100,
            ..Default::default()
        };
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(cache),
            ..Default::default()
        }))
    }
}

#[async_trait]
impl ByteStream for Fake {
    type ReadStream = Answers<ReadResponse>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let ReadRequest { resource_name, read_offset, .. } = request.into_inner();
        self.script.reads.lock().unwrap().push((resource_name, read_offset));
        self.answers().await?;
        let take = self.script.takes.lock().unwrap().pop_front();
        let Take { mut pieces, then, minds_offset } =
            take.ok_or_else(|| Status::not_found("nothing"))?;
        if minds_offset {
            pieces[0] = &pieces[0][usize::try_from(read_offset).unwrap()..];
        }
        let (to, from) = tokio::sync::mpsc::channel(1);
        let script = Arc::clone(&self.script);
        tokio::spawn(async move {
            for piece in pieces {
                let _ = to.send(Ok(ReadResponse { data: Bytes::from_static(piece) })).await;
            }
            match then {
                Then::End => {}
                Then::Say(code) => drop(to.send(Err(Status::new(code, "as was told"))).await),
                Then::Silence => to.closed().await,
                Then::Cut => {
                    script.cut.notify_waiters();
                    to.closed().await;
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(from))))
    }

    async fn write(
        &self,
        _: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        std::future::pending().await
    }

    async fn query_write_status(
        &self,
        _: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        self.answers().await?;
        Err(Status::resource_exhausted("the store is full"))
    }
}
