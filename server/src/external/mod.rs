//! A content store that is none of ours: bazel-remote, NativeLink, Buildbarn, BuildGrid or another
//! `onewriterd`, asked by the Remote Execution API.
//!
//! One HTTP/2 connection, made when it is needed and made again when it broke. The daemon starts and
//! goes on without the store; what needs it fails, and says so. No answer is waited for longer than
//! the request's deadline, nor for longer than the store may be silent.

mod abilities;
mod asking;
mod fault;
mod fetch;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use onewriter_proto::{
    bytestream::byte_stream_client::ByteStreamClient,
    reapi::{
        action_cache_client::ActionCacheClient, capabilities_client::CapabilitiesClient,
        content_addressable_storage_client::ContentAddressableStorageClient,
    },
};
use tonic::{
    Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use self::fault::Kind;
pub(crate) use self::{
    abilities::{Abilities, number},
    asking::Asking,
    fault::StoreFault,
};
use crate::{
    channel::channel,
    config::{StoreSettings, StoreUrl},
    services::MAX_BLOB_MESSAGE,
    tls::{self, TlsError},
};

/// How much longer than we the store may think that it is waited for, so that it is we who say so.
const SLACK: Duration = Duration::from_secs(1);

/// The store.
#[derive(Debug)]
pub(crate) struct External {
    url: Arc<StoreUrl>,
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
    /// How long it may be silent.
    patience: Duration,
    /// `None` until it was asked, and when it broke off: another one may have taken its place.
    abilities: Mutex<Option<Arc<Abilities>>>,
    /// Whether the log says last that it cannot be used.
    is_down: AtomicBool,
    faults: AtomicU64,
}

impl External {
    /// The store that `settings` name. Nothing is sent before somebody needs it.
    ///
    /// # Errors
    /// [`TlsError`], where a file that they name cannot be used.
    pub(crate) fn new(settings: &StoreSettings) -> Result<Arc<Self>, TlsError> {
        let token = settings.token.as_deref().map(token).transpose()?;
        Ok(Arc::new(Self {
            url: Arc::new(settings.url.clone()),
            channel: channel(settings.url.at(), &settings.tls, settings.patience)?,
            token,
            patience: settings.patience,
            abilities: Mutex::default(),
            is_down: AtomicBool::default(),
            faults: AtomicU64::default(),
        }))
    }

    /// Asks it once who it is, beside the caller, so that the log tells whether it is there.
    pub(crate) fn greet(self: &Arc<Self>) {
        let store = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(abilities) = store.abilities(&Asking::default()).await {
                tracing::info!(address = %store.url, ?abilities, "the external store is there");
            }
        });
    }

    /// How often it could not be used.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }

    /// The instance that is meant where a request names none.
    pub(crate) fn instance(&self) -> &str {
        self.url.instance()
    }

    pub(crate) fn storage(&self) -> ContentAddressableStorageClient<Channel> {
        let client = ContentAddressableStorageClient::new(self.channel.clone());
        client.max_decoding_message_size(MAX_BLOB_MESSAGE)
    }

    pub(crate) fn results(&self) -> ActionCacheClient<Channel> {
        let client = ActionCacheClient::new(self.channel.clone());
        client.max_decoding_message_size(MAX_BLOB_MESSAGE)
    }

    pub(crate) fn streams(&self) -> ByteStreamClient<Channel> {
        let client = ByteStreamClient::new(self.channel.clone());
        client.max_decoding_message_size(MAX_BLOB_MESSAGE)
    }

    fn capabilities(&self) -> CapabilitiesClient<Channel> {
        CapabilitiesClient::new(self.channel.clone())
    }

    /// What it can do. It is asked once for as long as it answers.
    pub(crate) async fn abilities(&self, asking: &Asking) -> Result<Arc<Abilities>, StoreFault> {
        if let Some(known) = self.known().clone() {
            return Ok(known);
        }
        let request = abilities::question(self.instance());
        let mut capabilities = self.capabilities();
        let answer = capabilities.get_capabilities(self.unary(asking, request));
        let abilities = Arc::new(Abilities::of(self.answer(asking, answer).await?));
        *self.known() = Some(Arc::clone(&abilities));
        Ok(abilities)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<Abilities>>> {
        self.abilities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request to it that is answered by one message.
    pub(crate) fn unary<M>(&self, asking: &Asking, message: M) -> tonic::Request<M> {
        let limit = asking.left().map_or(self.patience, |left| left.min(self.patience));
        self.request(asking, Some(limit), message)
    }

    /// A request to it that is streamed, or is answered by a stream.
    pub(crate) fn streamed<M>(&self, asking: &Asking, message: M) -> tonic::Request<M> {
        self.request(asking, asking.left(), message)
    }

    fn request<M>(
        &self,
        asking: &Asking,
        limit: Option<Duration>,
        message: M,
    ) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        asking.tell(request.metadata_mut());
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if let Some(limit) = limit {
            request.set_timeout(limit + SLACK);
        }
        request
    }

    /// Its answer, by the deadline and while there is patience.
    pub(crate) async fn answer<T>(
        &self,
        asking: &Asking,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, StoreFault> {
        self.told(self.in_time(asking, answer).await).map(Response::into_inner)
    }

    /// The next message of its answer; `None` at the end.
    pub(crate) async fn next<T>(
        &self,
        asking: &Asking,
        answers: &mut Streaming<T>,
    ) -> Result<Option<T>, StoreFault> {
        self.told(self.in_time(asking, answers.message()).await)
    }

    async fn in_time<T>(
        &self,
        asking: &Asking,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Kind> {
        tokio::select! {
            answer = answer => answer.map_err(Kind::of),
            () = asking.over() => Err(Kind::Late),
            () = tokio::time::sleep(self.patience) => Err(Kind::Silent(self.patience)),
        }
    }

    /// Its answer, which somebody else has waited for.
    pub(crate) fn heard<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, StoreFault> {
        self.told(answer.map_err(Kind::of)).map(Response::into_inner)
    }

    /// It has been silent for all its patience, as somebody else has found out.
    pub(crate) fn silent(&self) -> StoreFault {
        self.fault(Kind::Silent(self.patience))
    }

    /// It has not answered by the request's deadline, as somebody else has found out.
    pub(crate) fn late(&self) -> StoreFault {
        self.fault(Kind::Late)
    }

    /// How long it may be silent.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    fn told<T>(&self, answer: Result<T, Kind>) -> Result<T, StoreFault> {
        match answer {
            Ok(answer) => {
                if self.is_down.swap(false, Relaxed) {
                    tracing::info!(address = %self.url, "the external store answers again");
                }
                Ok(answer)
            }
            Err(kind) => Err(self.fault(kind)),
        }
    }

    fn fault(&self, kind: Kind) -> StoreFault {
        let is_down = kind.is_of_the_store();
        let fault = StoreFault::new(Arc::clone(&self.url), kind);
        if is_down {
            *self.known() = None;
            self.faults.fetch_add(1, Relaxed);
            // Once, and not for each request that needs it.
            if !self.is_down.swap(true, Relaxed) {
                tracing::warn!(cause = %fault, "requests that need the external store fail for now");
            }
        }
        fault
    }
}

/// The `authorization` that shows the token in `file`.
fn token(file: &Path) -> Result<MetadataValue<Ascii>, TlsError> {
    tls::check_private(file)?;
    let token = tls::read(file)?;
    let shown = [b"Bearer ", token.trim_ascii()].concat();
    let shown = MetadataValue::try_from(&*shown).ok().filter(|_| !token.trim_ascii().is_empty());
    let mut shown = shown.ok_or_else(|| TlsError::Token { file: file.to_owned() })?;
    shown.set_sensitive(true);
    Ok(shown)
}
