//! What is asked of etcd. Every question has an end; where one of its members does not answer, the
//! next question goes to another.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use onewriter_proto::etcd::{
    etcdserverpb::{
        Compare, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest,
        RangeRequest, RequestOp, ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest,
        WatchRequest, WatchResponse,
        compare::{CompareResult, CompareTarget, TargetUnion},
        kv_client::KvClient,
        lease_client::LeaseClient,
        request_op::Request,
        response_op::Response,
        watch_client::WatchClient,
        watch_request::RequestUnion,
    },
    mvccpb::KeyValue,
};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};

/// etcd, by all of its members.
pub(super) struct Etcd {
    members: Vec<(String, Channel)>,
    /// Which of them is asked.
    current: AtomicUsize,
    /// How long a question may take.
    limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EtcdError {
    /// None came in time.
    #[error("etcd at {0} does not answer in time")]
    Silent(String),
    /// It refused, or cannot be reached.
    #[error("etcd at {member}: {message}")]
    Failed {
        /// Which one was asked.
        member: String,
        /// What it, or the network, says.
        message: String,
    },
    /// The lease ended: etcd did not hear of this daemon for too long, or somebody revoked it.
    #[error("the lease in etcd has ended")]
    LeaseEnded,
    /// No name of a host, or no port.
    #[error("'{0}' cannot be an address of etcd")]
    Address(String),
}

impl Etcd {
    /// At these `HOST:PORT`. Nothing is connected to before it is needed. Within a runtime.
    pub(super) fn new(endpoints: &[String], limit: Duration) -> Result<Self, EtcdError> {
        let member = |address: &String| {
            let endpoint = Endpoint::from_shared(format!("http://{address}"));
            let endpoint = endpoint.map_err(|_| EtcdError::Address(address.clone()))?;
            // A watch says nothing as long as nothing happens.
            let endpoint = endpoint
                .connect_timeout(limit)
                .http2_keep_alive_interval(limit.max(Duration::from_secs(1)))
                .keep_alive_timeout(limit)
                .keep_alive_while_idle(true);
            Ok((address.clone(), endpoint.connect_lazy()))
        };
        let members = endpoints.iter().map(member).collect::<Result<_, _>>()?;
        Ok(Self { members, current: AtomicUsize::new(0), limit })
    }

    /// What `ask` learns of one member. Where it does not answer, the next question goes to another.
    async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(Channel) -> Result<T, Status>,
    ) -> Result<T, EtcdError> {
        let current = self.current.load(Relaxed);
        let (member, channel) = &self.members[current % self.members.len()];
        let answer = timeout(self.limit, ask(channel.clone())).await;
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) if status.code() == Code::NotFound => EtcdError::LeaseEnded,
            Ok(Err(status)) => {
                EtcdError::Failed { member: member.clone(), message: status.message().to_owned() }
            }
            Err(_) => EtcdError::Silent(member.clone()),
        };
        let _ = self.current.compare_exchange(current, current.wrapping_add(1), Relaxed, Relaxed);
        Err(error)
    }

    /// A lease: its number, and how long it lives.
    pub(super) async fn grant(&self, ttl: Duration) -> Result<(i64, Duration), EtcdError> {
        let request = LeaseGrantRequest { ttl: ttl.as_secs().max(1) as i64, id: 0 };
        let granted = self
            .ask(async |channel| LeaseClient::new(channel).lease_grant(request).await)
            .await?
            .into_inner();
        Ok((granted.id, Duration::from_secs(granted.ttl.max(0) as u64)))
    }

    /// Has the lease live on; for how long.
    pub(super) async fn keep_alive(&self, id: i64) -> Result<Duration, EtcdError> {
        let kept = self
            .ask(async |channel| {
                let once = tokio_stream::once(LeaseKeepAliveRequest { id });
                let mut kept = LeaseClient::new(channel).lease_keep_alive(once).await?.into_inner();
                kept.message().await?.ok_or_else(|| Status::unavailable("no answer"))
            })
            .await?;
        match kept.ttl {
            ttl if ttl > 0 => Ok(Duration::from_secs(ttl as u64)),
            _ => Err(EtcdError::LeaseEnded),
        }
    }

    /// Ends the lease, and all keys with it.
    pub(super) async fn revoke(&self, id: i64) -> Result<(), EtcdError> {
        let request = LeaseRevokeRequest { id };
        self.ask(async |channel| LeaseClient::new(channel).lease_revoke(request).await)
            .await
            .map(drop)
    }

    /// All of `success`, if all of `compare` holds, at one moment. Else `failure`.
    pub(super) async fn transact(
        &self,
        compare: Vec<Compare>,
        success: Vec<RequestOp>,
        failure: Vec<RequestOp>,
    ) -> Result<TxnResponse, EtcdError> {
        let request = TxnRequest { compare, success, failure };
        let done = self.ask(async |channel| KvClient::new(channel).txn(request).await).await?;
        Ok(done.into_inner())
    }

    /// What happens to `key` from `revision` on.
    pub(super) async fn watch(&self, key: &str, revision: i64) -> Result<Changes, EtcdError> {
        let create =
            WatchCreateRequest { key: key.into(), range_end: Vec::new(), start_revision: revision };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        // As long as this side has not ended it, etcd goes on.
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        let stream = self
            .ask(async |channel| WatchClient::new(channel).watch(requests).await)
            .await?
            .into_inner();
        Ok(Changes(stream))
    }
}

/// What happens to a key.
pub(super) struct Changes(Streaming<WatchResponse>);

impl Changes {
    /// Returns when something has happened, or the stream has ended: then look again.
    pub(super) async fn next(&mut self) {
        while let Ok(Some(response)) = self.0.message().await {
            if response.canceled || !response.events.is_empty() {
                return;
            }
        }
    }
}

/// That the key is as it was at `revision`; 0: that there is none.
pub(super) fn is_at(key: &str, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key: key.into(),
        target_union: Some(TargetUnion::ModRevision(revision)),
    }
}

pub(super) fn put(key: &str, value: &str, lease: i64) -> RequestOp {
    let put = PutRequest { key: key.into(), value: value.into(), lease };
    RequestOp { request: Some(Request::RequestPut(put)) }
}

pub(super) fn get(key: &str) -> RequestOp {
    let range = RangeRequest { key: key.into(), range_end: Vec::new(), limit: 0 };
    RequestOp { request: Some(Request::RequestRange(range)) }
}

/// What [`get`] found.
pub(super) fn found(response: ResponseOp) -> Option<KeyValue> {
    match response.response {
        Some(Response::ResponseRange(mut range)) => range.kvs.pop(),
        _ => None,
    }
}
