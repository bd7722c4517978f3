//! Leases, and what runs once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use onewriter_core::{
    Caller, Engine, OnceKey, Turn,
    leases::{DEFAULT_TTL, Lease, Subject},
};
use onewriter_proto::{
    convert,
    v1::{
        self, HoldRequest, HoldResponse, LeaseAcquire, LeaseGranted, LeaseKept, OnceBegin,
        OnceEnded, OnceFinish, OnceForget, OnceForgotten, OnceRequest, OnceResponse, OnceRun,
        hold_request, hold_response, lease_acquire, once_request, once_response,
    },
};
use onewriter_tree::{Error, Reason, RelPath, mutation::Access};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Answers, Sender, answers, send};
use crate::{lifecycle::Lifecycle, peer::Terms, status::status};

/// The longest name and the longest key, in bytes.
const MAX_NAME: usize = 255;
const MAX_KEY: usize = 1024;

/// The most outputs that are looked at before a success counts.
const MAX_OUTPUTS: usize = 10_000;

/// The shortest and the longest time to live, in milliseconds.
const TTL: std::ops::RangeInclusive<u64> = 100..=86_400_000;

/// What a client may get ahead of its reading: an answer to each sign of life while it is busy.
const AHEAD: usize = 4;

pub(crate) struct Leases {
    engine: Arc<Engine>,
    lifecycle: Arc<Lifecycle>,
}

impl Leases {
    pub(crate) fn new(engine: Arc<Engine>, lifecycle: Arc<Lifecycle>) -> Self {
        Self { engine, lifecycle }
    }
}

#[async_trait]
impl v1::leases_server::Leases for Leases {
    type HoldStream = Answers<HoldResponse>;

    async fn hold(
        &self,
        request: Request<Streaming<HoldRequest>>,
    ) -> Result<Response<Self::HoldStream>, Status> {
        let (call, steps) = Call::new(self, request);
        let served = answers(AHEAD, None, |to| async move { call.hold(steps, &to).await });
        Ok(Response::new(served))
    }

    type OnceStream = Answers<OnceResponse>;

    async fn once(
        &self,
        request: Request<Streaming<OnceRequest>>,
    ) -> Result<Response<Self::OnceStream>, Status> {
        let (call, steps) = Call::new(self, request);
        let served = answers(AHEAD, None, |to| async move { call.once(steps, &to).await });
        Ok(Response::new(served))
    }
}

/// One call of a client.
struct Call {
    engine: Arc<Engine>,
    lifecycle: Arc<Lifecycle>,
    request: Request<()>,
}

impl Call {
    fn new<T>(services: &Leases, request: Request<Streaming<T>>) -> (Self, Streaming<T>) {
        let (request, steps) = super::split(request);
        let (engine, lifecycle) = (Arc::clone(&services.engine), Arc::clone(&services.lifecycle));
        (Self { engine, lifecycle, request }, steps)
    }

    async fn hold(
        self,
        mut steps: Streaming<HoldRequest>,
        to: &Sender<HoldResponse>,
    ) -> Result<(), Status> {
        use hold_request::Step as In;
        use hold_response::Step as Out;
        let Some(HoldRequest { step: Some(In::Acquire(acquire)) }) = steps.message().await? else {
            return Err(bad("acquire", "a call begins with it"));
        };
        let caller = self.caller(acquire.context.clone(), acquire.wait_ms);
        let (subject, ttl) = (subject(&acquire)?, ttl(acquire.ttl_ms)?);
        let access = if acquire.shared { Access::Shared } else { Access::Exclusive };
        let lease = self.engine.lease(caller, subject, access, ttl);
        let Some(lease) = while_open(&mut steps, lease).await? else { return Ok(()) };
        let granted = LeaseGranted { token: lease.token() };
        send(to, HoldResponse { step: Some(Out::Granted(granted)) }).await?;
        loop {
            match self.next(&mut steps, &lease).await? {
                Some(HoldRequest { step: Some(In::KeepAlive(_)) }) => {
                    let kept = HoldResponse { step: Some(Out::Kept(LeaseKept {})) };
                    // A client that reads nothing is alive all the same.
                    let _ = to.try_send(Ok(kept));
                }
                None => return Ok(()),
                Some(_) => return Err(bad("step", "a lease is only to be kept alive")),
            }
        }
    }

    async fn once(
        self,
        mut steps: Streaming<OnceRequest>,
        to: &Sender<OnceResponse>,
    ) -> Result<(), Status> {
        use once_request::Step as In;
        use once_response::Step as Out;
        let answer = |step| send(to, OnceResponse { step: Some(step) });
        let begin = match steps.message().await?.and_then(|message| message.step) {
            Some(In::Begin(begin)) => begin,
            Some(In::Forget(forget)) => return answer(self.forget(forget).await?).await,
            _ => return Err(bad("begin", "a call begins with it")),
        };
        let OnceBegin { context, key, root, wait_ms, ttl_ms } = begin;
        let caller = self.caller(context, wait_ms);
        let (key, ttl) = (once_key(&caller, key, root)?, ttl(ttl_ms)?);
        let turn = self.engine.once(caller, key, ttl);
        let run = match while_open(&mut steps, turn).await? {
            None => return Ok(()),
            Some(Turn::Told(ran)) => return answer(ended(ran)).await,
            Some(Turn::Run(run)) => run,
        };
        answer(Out::Run(OnceRun { token: run.lease.token() })).await?;
        let OnceFinish { exit_code, outputs } = loop {
            match self.next(&mut steps, &run.lease).await? {
                Some(OnceRequest { step: Some(In::KeepAlive(_)) }) => {
                    let kept = OnceResponse { step: Some(Out::Kept(LeaseKept {})) };
                    let _ = to.try_send(Ok(kept));
                }
                Some(OnceRequest { step: Some(In::Finish(finish)) }) => break finish,
                None => return Ok(()),
                Some(_) => return Err(bad("step", "it is to be kept alive and finished")),
            }
        };
        if outputs.len() > MAX_OUTPUTS {
            return Err(bad("outputs", "there are at most 10,000"));
        }
        let outputs = outputs.iter().map(|path| RelPath::parse(path)).collect::<Result<_, _>>();
        let outputs = outputs.map_err(status)?;
        let ran = self.engine.finish(run, exit_code, outputs).await.map_err(status)?;
        answer(ended(ran)).await
    }

    async fn forget(&self, forget: OnceForget) -> Result<once_response::Step, Status> {
        let OnceForget { context, key, root } = forget;
        let caller = self.caller(context, 0);
        let key = once_key(&caller, key, root)?;
        let existed = self.engine.forget(&caller, key).await.map_err(status)?;
        Ok(once_response::Step::Forgotten(OnceForgotten { existed }))
    }

    fn caller(&self, context: Option<v1::Context>, wait_ms: u64) -> Caller {
        let mut caller = Terms::of(&self.request, context).caller;
        if wait_ms > 0 {
            caller.deadline = Instant::now().checked_add(Duration::from_millis(wait_ms));
        }
        caller
    }

    /// The next message of one who has a lease; `None` when the client gives it up.
    async fn next<T>(&self, steps: &mut Streaming<T>, lease: &Lease) -> Result<Option<T>, Status> {
        let message = tokio::select! {
            // What has come counts before a time that has just passed.
            biased;
            message = steps.message() => message?,
            () = lease.expired() => {
                let why = format!(
                    "the lease {} is lost: its holder gave no sign for {:.1} s",
                    lease.token(),
                    lease.ttl().as_secs_f64(),
                );
                return Err(status(Error::new(Reason::StaleLease, b".", why)));
            }
            () = self.lifecycle.stopped() => {
                // Before this one is given up: nobody is to get it any more.
                self.engine.refuse();
                let why = "the daemon stops, and its leases end with it";
                return Err(status(Error::new(Reason::Draining, b".", why)));
            }
        };
        lease.keep_alive();
        Ok(message)
    }
}

/// What `work` returns, unless the client closes the call before: then nobody wants it.
async fn while_open<T, R>(
    steps: &mut Streaming<T>,
    work: impl Future<Output = Result<R, onewriter_core::Refusal>>,
) -> Result<Option<R>, Status> {
    tokio::select! {
        biased;
        done = work => done.map(Some).map_err(status),
        early = steps.message() => match early? {
            None => Ok(None),
            Some(_) => Err(bad("step", "it comes before its turn")),
        },
    }
}

fn subject(acquire: &LeaseAcquire) -> Result<Subject, Status> {
    match &acquire.subject {
        Some(lease_acquire::Subject::Path(path)) => {
            RelPath::parse(path).map(Subject::Path).map_err(status)
        }
        Some(lease_acquire::Subject::Name(name)) => {
            let is_good = (1..=MAX_NAME).contains(&name.len()) && !name.contains(['/', '\0']);
            let why = "a name has 1 to 255 bytes, and neither '/' nor NUL in it";
            if is_good { Ok(Subject::Name(name.clone())) } else { Err(bad("name", why)) }
        }
        None => Err(bad("subject", "there is neither a path nor a name")),
    }
}

fn once_key(caller: &Caller, key: String, root: bool) -> Result<OnceKey, Status> {
    if !(1..=MAX_KEY).contains(&key.len()) || key.contains('\0') {
        return Err(bad("key", "a key has 1 to 1,024 bytes, and no NUL in it"));
    }
    match (root, &caller.owner.build) {
        (true, _) => Ok(OnceKey { build: String::new(), key }),
        (false, build) if build.is_empty() => Err(bad("build", "there is none")),
        (false, build) => Ok(OnceKey { build: build.clone(), key }),
    }
}

fn ttl(millis: u64) -> Result<Duration, Status> {
    match millis {
        0 => Ok(DEFAULT_TTL),
        millis if TTL.contains(&millis) => Ok(Duration::from_millis(millis)),
        _ => Err(bad("ttl_ms", "a time to live is 100 to 86,400,000 milliseconds")),
    }
}

fn ended(ran: onewriter_core::journal::Ran) -> once_response::Step {
    once_response::Step::Ended(OnceEnded { exit_code: ran.exit_code, by: ran.by })
}

fn bad(field: &str, why: &str) -> Status {
    status(convert::bad(field, why))
}
