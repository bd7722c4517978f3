//! A real gRPC server on a Unix socket.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::{Buf, Bytes};
use prost::Message;
use tokio::sync::{mpsc as channel, oneshot};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::StreamingService;
use tonic::{Code, Request, Response, Status, Streaming};

use super::Piece;
use crate::wire::{Connection, Socket};

type Answer = channel::Sender<Result<Piece, Status>>;

/// A server that runs until it is dropped; its connections end with it.
pub(super) struct Server {
    directory: tempfile::TempDir,
    /// Hears of every call of `Silence` once it is being handled.
    pub(super) silences: mpsc::Receiver<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server with windows and frames as large as onewriterd's.
    pub(super) fn start() -> Self {
        Self::start_with(|server| {
            server
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(8 << 20)
                .max_frame_size(1 << 20)
        })
    }

    /// A server that is configured by `configure`.
    pub(super) fn start_with(
        configure: impl FnOnce(tonic::transport::Server) -> tonic::transport::Server,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = configure(tonic::transport::Server::builder());
        let (stop, stopped) = oneshot::channel();
        let (heard, silences) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener).unwrap();
                let incoming = UnixListenerStream::new(listener);
                tokio::select! {
                    _ = server.serve_with_incoming(Methods { heard }, incoming) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { directory, silences, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    pub(super) fn connect(&self) -> Connection<Socket> {
        Connection::new(Socket::connect_unix(&self.path(), None).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The methods; on the wire, all of them stream in both directions.
#[derive(Clone)]
struct Methods {
    heard: mpsc::Sender<()>,
}

impl Methods {
    async fn answer(self, request: Request<Streaming<Piece>>, method: String, answer: Answer) {
        let metadata = request.metadata().clone();
        let mut pieces = request.into_inner();
        let mut next = async || pieces.message().await.ok().flatten();
        let result = match method.as_str() {
            // One piece in, the same out.
            "/test/Echo" => Ok(next().await.unwrap()),
            // All pieces in, their number and length out.
            "/test/Count" => {
                let (mut number, mut size) = (0, 0u64);
                while let Some(piece) = next().await {
                    assert_eq!(piece, Piece::of_size(number, piece.content.len()));
                    number += 1;
                    size += piece.content.len() as u64;
                }
                Ok(Piece { number, content: size.to_be_bytes().to_vec() })
            }
            // So many pieces of 256 KiB out.
            "/test/Pour" => {
                for number in 0..next().await.unwrap().number {
                    let piece = Piece::of_size(number, 256 << 10);
                    if answer.send(Ok(piece)).await.is_err() {
                        return;
                    }
                }
                return;
            }
            // One piece of that size out.
            "/test/Big" => Ok(Piece::of_size(0, next().await.unwrap().number as usize)),
            // Each piece out again, until one with the number 0.
            "/test/Chat" => loop {
                match next().await {
                    Some(Piece { number: 0, .. }) => break Err(Status::aborted("zero")),
                    Some(piece) => answer.send(Ok(piece)).await.unwrap(),
                    None => return,
                }
            },
            // One piece of many in, one out.
            "/test/Enough" => Ok(next().await.unwrap()),
            // One piece of many in, and a refusal out.
            "/test/TooMuch" => {
                next().await.unwrap();
                Err(Status::resource_exhausted("too much"))
            }
            "/test/Metadata" => {
                let get = |key| metadata.get(key).map_or("-", |value| value.to_str().unwrap());
                let seen = ["x-target", "user-agent", "grpc-timeout"].map(get).join("; ");
                Ok(Piece { number: 0, content: seen.into() })
            }
            "/test/Fail" => {
                let details = Bytes::from(next().await.unwrap().content);
                Err(Status::with_details(Code::FailedPrecondition, "100% né\n", details))
            }
            "/test/Silence" => {
                self.heard.send(()).unwrap();
                answer.closed().await;
                return;
            }
            _ => Err(Status::unimplemented(method)),
        };
        let _ = answer.send(result).await;
    }
}

impl Service<http::Request<tonic::body::Body>> for Methods {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let method = Method { methods: self.clone(), name: request.uri().path().to_owned() };
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(PieceCodec)
                .apply_max_message_size_config(Some(usize::MAX), Some(usize::MAX));
            Ok(grpc.streaming(method, request).await)
        })
    }
}

/// One of the methods, as tonic calls it.
struct Method {
    methods: Methods,
    name: String,
}

impl StreamingService<Piece> for Method {
    type Response = Piece;
    type ResponseStream = ReceiverStream<Result<Piece, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Piece>>) -> Self::Future {
        // Failure comes before any other header, as from a unary method.
        let at_once = self.name == "/test/Fail";
        let (answer, mut answers) = channel::channel(1);
        tokio::spawn(self.methods.clone().answer(request, self.name.clone(), answer));
        Box::pin(async move {
            if at_once && let Some(Err(status)) = answers.recv().await {
                return Err(status);
            }
            Ok(Response::new(ReceiverStream::new(answers)))
        })
    }
}

#[derive(Clone, Copy)]
struct PieceCodec;

impl Codec for PieceCodec {
    type Encode = Piece;
    type Decode = Piece;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for PieceCodec {
    type Item = Piece;
    type Error = Status;

    fn encode(&mut self, piece: Piece, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        piece.encode(buffer).map_err(|err| Status::internal(err.to_string()))
    }
}

impl Decoder for PieceCodec {
    type Item = Piece;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Piece>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Piece::decode(bytes).map(Some).map_err(|err| Status::internal(err.to_string()))
    }
}
