//! The Remote Execution API, as far as it stores content and results: what build farms speak.

mod action_cache;
mod byte_stream;
mod capabilities;
mod directories;
mod forward;
mod names;
mod refusal;
mod storage;
mod tree;

use std::sync::Arc;

use onewriter_core::Engine;
use onewriter_proto::{
    bytestream::byte_stream_server::{ByteStream, ByteStreamServer},
    reapi::{
        self,
        action_cache_server::{ActionCache, ActionCacheServer},
        capabilities_server::{Capabilities, CapabilitiesServer},
        content_addressable_storage_server::{
            ContentAddressableStorage, ContentAddressableStorageServer,
        },
        digest_function::Value,
    },
};
use onewriter_store::{Digest, Function};
use onewriter_tree::{Reason, mutation::Deed};
use tonic::{Code, Request, Status, service::Routes};

use self::{forward::Forward, refusal::refuse};
use super::caller;
use crate::{
    content::{Backing, Content, OwnStore},
    status::status,
};

/// The contents of one batch, in bytes.
pub(crate) const MAX_BATCH: u64 = 4 << 20;

/// The largest message, in bytes: a batch, and what says which content is which. A batch of empty
/// contents has as many as fit.
pub(crate) const MAX_MESSAGE: usize = MAX_BATCH as usize + (1 << 20);

/// What one message of a stream has of a content, in bytes.
const CHUNK: usize = 256 << 10;

/// The names of the services.
pub(super) const NAMES: [&str; 4] = [
    "build.bazel.remote.execution.v2.ActionCache",
    "build.bazel.remote.execution.v2.Capabilities",
    "build.bazel.remote.execution.v2.ContentAddressableStorage",
    "google.bytestream.ByteStream",
];

/// The services, where the store is the daemon's own.
#[derive(Clone)]
struct Api {
    engine: Arc<Engine>,
    content: Arc<OwnStore>,
}

impl Api {
    async fn permit<T>(&self, request: &Request<T>, deed: Deed) -> Result<(), Status> {
        permit(&self.engine, request, deed).await
    }
}

/// Refuses whoever may not do `deed` anywhere: what lies in the store lies at no path, and who asks
/// for content has its digest. What is missing may be asked by whoever a rule names (`Deed::Stay`).
async fn permit<T>(engine: &Engine, request: &Request<T>, deed: Deed) -> Result<(), Status> {
    let caller = caller(request, "content");
    engine.permit_somewhere(&caller, deed).await.map_err(status)
}

/// Adds the services to the daemon's.
pub(super) fn add_to(routes: Routes, engine: &Arc<Engine>, content: &Arc<Content>) -> Routes {
    let engine = Arc::clone(engine);
    match content.backing().clone() {
        Backing::Own(content) => add(routes, Api { engine, content }),
        Backing::External(store) => add(routes, Forward { engine, store }),
    }
}

fn add<A>(routes: Routes, api: A) -> Routes
where
    A: ActionCache + Capabilities + ContentAddressableStorage + ByteStream + Clone,
{
    let storage = ContentAddressableStorageServer::new(api.clone());
    let results = ActionCacheServer::new(api.clone());
    routes
        .add_service(storage.max_decoding_message_size(MAX_MESSAGE))
        .add_service(results.max_decoding_message_size(MAX_MESSAGE))
        .add_service(CapabilitiesServer::new(api.clone()))
        .add_service(ByteStreamServer::new(api))
}

/// The digest function that a request names.
fn function(value: i32) -> Result<Function, Status> {
    match Value::try_from(value) {
        // Both have as many digits, but whoever does not say has not heard of the other.
        Ok(Value::Unknown | Value::Sha256) => Ok(Function::Sha256),
        Ok(Value::Blake3) => Ok(Function::Blake3),
        _ => Err(bad("digest_function: SHA256 and BLAKE3 are known here")),
    }
}

fn digest(function: Function, digest: &reapi::Digest) -> Result<Digest, Status> {
    Digest::parse(function, &digest.hash, digest.size_bytes).map_err(|e| bad(e.to_string()))
}

/// A digest that a request cannot do without.
fn required(function: Function, given: Option<&reapi::Digest>) -> Result<Digest, Status> {
    digest(function, given.ok_or_else(|| bad("the request names no digest"))?)
}

/// A request without meaning.
fn bad(what: impl Into<String>) -> Status {
    refuse(Code::InvalidArgument, Reason::BadRequest, what)
}
