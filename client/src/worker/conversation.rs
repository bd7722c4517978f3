//! The conversation with a daemon elsewhere about one transaction, over as many calls as it takes.
//!
//! A link may break at any moment. Until the commit was sent, nothing has happened, and the same is
//! brought again; a command does not run again for that. When it was sent, the daemon is asked what
//! became of it, by the transaction's key, and asking ends what was not committed.

use std::{
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use onewriter_proto::v1::{
    RemoteAsk, RemoteBegin, RemoteContentEnd, RemoteKnown, RemoteRequest, RemoteResponse,
    TransactionAbandon, TransactionBegin, TransactionCommit, TransactionCommitted,
    remote_known::Fate, remote_request::Step as Out, remote_response::Step as In,
};

use super::{
    Cargo, Loaded, Manifest,
    manifest::{Batch, opened, unreadable},
};
use crate::{
    context::Context,
    failure::{Failure, with_sources},
    leased,
    process::{Ended, Ending, Next, Tick},
    reruns::Reruns,
    server::Server,
    session::BACK_OFF,
    transaction::{COMMIT, Committed, Wish, begin, is_draining, unknown},
    upload,
    wire::{Call, CallError, GRACE, Line},
};

const METHOD: &str = "/onewriter.v1.Transactions/TransactRemote";

/// How often the daemon is listened to while a command runs: it asks whether this end still lives.
const LISTEN: Duration = Duration::from_millis(500);

/// The length of a key, in bytes.
const KEY: usize = 16;

type Key = [u8; KEY];

/// Has the daemon commit what `cargo` is loaded with; again after conflicts. `directory` is where
/// that is made, below the root.
pub(crate) fn transact(
    context: &mut Context,
    server: &Server,
    wish: &Wish,
    directory: &str,
    cargo: &mut dyn Cargo,
) -> Result<(Ending, Option<Committed>), Failure> {
    let mut begin = begin(context, server, wish);
    begin.context.get_or_insert_default().directory = directory.to_owned();
    let reruns = Reruns::new(wish, &begin.command);
    let mut conversation = Conversation {
        context,
        wish,
        begin,
        cargo,
        reruns,
        loaded: None,
        loads: 0,
        conflicts: Vec::new(),
        asked: None,
        is_unsure: false,
    };
    let mut broken = Broken::default();
    loop {
        let mut session = conversation.context.session(server)?;
        let talked = session.converse(METHOD, |call| Ok(conversation.talk(call)));
        let failure = match talked {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(Stop::Failed(failure))) => return Err(failure),
            Ok(Err(Stop::Broken(error))) => error.into(),
            // There never was a connection.
            Err(failure) if broken.since.is_none() => return Err(failure),
            Err(failure) => failure,
        };
        if !broken.is_tried_again(wish.wait, conversation.loads) {
            return Err(conversation.given_up(failure));
        }
    }
}

/// A link that broke, and may be mended.
#[derive(Default)]
struct Broken {
    since: Option<Instant>,
    pause: Option<Duration>,
    /// How often a cargo had been loaded when it was last tried.
    loads: u64,
}

impl Broken {
    /// Waits a little, longer each time; `false` when it was tried for long enough.
    fn is_tried_again(&mut self, patience: Duration, loads: u64) -> bool {
        if self.loads != loads {
            // It was mended meanwhile.
            *self = Self { loads, ..Self::default() };
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let pause = self.pause.map_or(BACK_OFF.0, |pause| (pause * 2).min(BACK_OFF.1));
        self.pause = Some(pause);
        std::thread::sleep(pause);
        since.elapsed() < patience
    }
}

struct Conversation<'a> {
    context: &'a mut Context,
    wish: &'a Wish,
    begin: TransactionBegin,
    cargo: &'a mut dyn Cargo,
    reruns: Reruns<'a>,
    loaded: Option<(Manifest, Ended)>,
    /// How often it was.
    loads: u64,
    /// What others changed: to be looked at before it is loaded again.
    conflicts: Vec<Vec<u8>>,
    /// The key of the transaction of which the commit was sent, and no answer has come.
    asked: Option<Key>,
    /// A daemon that is no more may have committed it.
    is_unsure: bool,
}

/// Why a call ends early.
enum Stop {
    /// This is told to the user.
    Failed(Failure),
    /// The link broke, or the daemon went away.
    Broken(CallError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Status(ref status) if !is_draining(status) && status.info.is_some() => {
                Self::Failed(error.into())
            }
            CallError::Status(_)
            | CallError::Closed { .. }
            | CallError::Refused
            | CallError::Io { .. } => Self::Broken(error),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Done = (Ending, Option<Committed>);

impl Conversation<'_> {
    /// All of one call.
    fn talk(&mut self, call: &mut Call<'_, Line>) -> Result<Done, Stop> {
        if let Some(done) = self.ask(call)? {
            return Ok(done);
        }
        loop {
            let key = fresh_key()?;
            self.ask_to_begin(call, key)?;
            if self.loaded.is_some() && !self.cargo.is_fresh() {
                // What was seen before is not known to be seen now.
                let other = "another command of this copy, while the link was broken";
                self.reruns.yield_to(b".", other, 1)?;
                self.loaded = None;
            }
            if self.loaded.is_none()
                && let Some(done) = self.load(call)?
            {
                return Ok(done);
            }
            if self.loaded.is_none() {
                continue;
            }
            self.bring(call)?;
            if let Some(done) = self.commit(call, key)? {
                return Ok(done);
            }
        }
    }

    /// What became of the last transaction, where that is not known.
    fn ask(&mut self, call: &mut Call<'_, Line>) -> Result<Option<Done>, Stop> {
        let Some(key) = self.asked else { return Ok(None) };
        call.set_timeout(Some(self.wish.wait + COMMIT));
        let ask = RemoteAsk { context: self.begin.context.clone(), key: key.to_vec() };
        let answer = send(call, Out::Ask(ask)).and_then(|()| receive(call));
        let In::Known(known) = answer.map_err(|error| self.not_known(error))? else {
            return Err(unexpected());
        };
        let fate = known.fate();
        let RemoteKnown { committed, .. } = known;
        self.asked = None;
        match fate {
            Fate::Committed => self.landed(committed.unwrap_or_default(), Vec::new()).map(Some),
            Fate::NotCommitted => Ok(None),
            Fate::Unknown | Fate::Unspecified => {
                self.is_unsure = true;
                Ok(None)
            }
        }
    }

    /// It cannot be found out what became of a commit.
    fn not_known(&self, error: CallError) -> Stop {
        match Stop::from(error) {
            Stop::Failed(failure) => Stop::Failed(unknown(&with_sources(&failure))),
            broken @ Stop::Broken(_) => broken,
        }
    }

    fn ask_to_begin(&self, call: &mut Call<'_, Line>, key: Key) -> Result<(), Stop> {
        call.set_timeout(Some(self.wish.wait + GRACE));
        let begin = RemoteBegin { begin: Some(self.begin.clone()), key: key.to_vec() };
        send(call, Out::Begin(begin))?;
        match receive(call)? {
            In::Begun(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Gets the cargo ready, and listens to the daemon meanwhile. Returns how it ended if that is
    /// all; with nothing loaded then, it is to be begun again.
    fn load(&mut self, call: &mut Call<'_, Line>) -> Result<Option<Done>, Stop> {
        let mut broken = None;
        let mut listen = || {
            if broken.is_none() {
                broken = leased::still_there::<RemoteResponse>(call).err();
            }
            Next::Continue
        };
        let tick = Tick { every: LISTEN, call: &mut listen };
        let conflicts = std::mem::take(&mut self.conflicts);
        let loaded = self.cargo.load(self.context, &conflicts, tick)?;
        self.loads += 1;
        match loaded {
            Loaded::Failed(ended) => {
                self.abandon(call, ended.ending);
                return Ok(Some((ended.ending, None)));
            }
            Loaded::Overtaken(path) => {
                self.abandon(call, Ending::Exit(0));
                let other = "another command, or by hand, in this copy";
                self.reruns.yield_to(&path, other, 1)?;
                self.conflicts = vec![path];
                return Ok(None);
            }
            Loaded::Ready(manifest, ended) => {
                if ended.background {
                    self.wish.say_of_background();
                }
                self.loaded = Some((manifest, ended));
            }
        }
        broken.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Sends all that the daemon does not have.
    fn bring(&self, call: &mut Call<'_, Line>) -> Result<(), Stop> {
        let Some((manifest, _)) = &self.loaded else { return Ok(()) };
        let limit = self.wish.wait + COMMIT;
        for Batch { message, files } in manifest.batches() {
            call.set_timeout(Some(limit));
            send(call, Out::Entries(message))?;
            let In::Wanted(wanted) = receive(call)? else { return Err(unexpected()) };
            for index in wanted.files {
                let file = files.get(index as usize).and_then(Option::as_ref);
                send_content(call, file.ok_or_else(unexpected)?, limit)?;
            }
        }
        Ok(())
    }

    /// Has it committed; `None` after a conflict.
    fn commit(&mut self, call: &mut Call<'_, Line>, key: Key) -> Result<Option<Done>, Stop> {
        call.set_timeout(Some(self.wish.wait + COMMIT));
        self.asked = Some(key);
        send(call, Out::Commit(TransactionCommit { copy: false, ..self.wish.commit.clone() }))?;
        let mut changes = Vec::new();
        loop {
            let answer = receive(call).map_err(|error| self.not_committed(error))?;
            match answer {
                In::Changes(more) => changes.extend(more.changes),
                In::Committed(summary) => {
                    self.asked = None;
                    return self.landed(summary, changes).map(Some);
                }
                In::Conflicted(conflicted) => {
                    self.asked = None;
                    if self.is_unsure {
                        let why = "the daemon was killed, and others have changed the same since";
                        return Err(unknown(why).into());
                    }
                    self.reruns.yield_to_all(&conflicted.conflicts)?;
                    let conflicts = conflicted.conflicts.into_iter();
                    self.conflicts = conflicts.map(|conflict| conflict.path).collect();
                    self.loaded = None;
                    return Ok(None);
                }
                _ => return Err(unexpected()),
            }
        }
    }

    /// No answer came to a commit.
    fn not_committed(&mut self, error: CallError) -> Stop {
        match &error {
            CallError::Status(status) if status.info.is_some() => {
                // The daemon itself says so.
                self.asked = None;
                error.into()
            }
            _ => self.not_known(error),
        }
    }

    fn landed(
        &mut self,
        summary: TransactionCommitted,
        changes: Vec<onewriter_proto::v1::Change>,
    ) -> Result<Done, Stop> {
        let Some((_, ended)) = self.loaded.take() else { return Err(unexpected()) };
        self.cargo.landed(ended)?;
        Ok((ended.ending, Some(Committed { summary, changes })))
    }

    /// Gives the transaction up. Whatever becomes of that: nothing of it happens.
    fn abandon(&mut self, call: &mut Call<'_, Line>, ending: Ending) {
        let abandon = TransactionAbandon { keep: false, exit_code: ending.code() };
        call.set_timeout(Some(self.wish.wait + GRACE));
        let _ = send(call, Out::Abandon(abandon)).and_then(|()| receive(call));
        if self.wish.keep_failed && !ending.is_success() {
            match self.cargo.keep() {
                Ok(path) => {
                    self.wish.say(format_args!("what it had written is in '{}'", path.display()))
                }
                Err(failure) => {
                    let why = with_sources(&failure);
                    self.wish.say(format_args!("what it had written was not kept: {why}"));
                }
            }
        }
    }

    /// What to say when the link was broken for too long.
    fn given_up(&self, failure: Failure) -> Failure {
        let why = with_sources(&failure);
        match self.asked {
            Some(_) => unknown(&why),
            None => failure.with_message(|message| {
                format!("{message}; nothing of what the command did was kept")
            }),
        }
    }
}

/// Sends all of a file's content.
fn send_content(call: &mut Call<'_, Line>, path: &Path, limit: Duration) -> Result<(), Stop> {
    let mut file = opened(path)?;
    let mut buffer = BytesMut::zeroed(upload::CHUNK);
    loop {
        let read = file.read(&mut buffer).map_err(|error| unreadable(path, &error))?;
        if read == 0 {
            break;
        }
        call.set_timeout(Some(limit));
        let chunk = buffer.freeze();
        send(call, Out::Chunk(chunk.slice(..read)))?;
        // The memory comes back when the message is gone.
        buffer = chunk.try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(upload::CHUNK));
    }
    Ok(send(call, Out::ContentEnd(RemoteContentEnd {}))?)
}

fn fresh_key() -> Result<Key, Failure> {
    let mut key = Key::default();
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key));
    read.map_err(|e| Failure::Io(format!("there are no random numbers from /dev/urandom: {e}")))?;
    Ok(key)
}

fn unexpected() -> Stop {
    CallError::Protocol("an answer that does not belong to what was sent").into()
}

fn send(call: &mut Call<'_, Line>, step: Out) -> Result<(), CallError> {
    call.send(&RemoteRequest { step: Some(step) })
}

fn receive(call: &mut Call<'_, Line>) -> Result<In, CallError> {
    let answer = call.recv::<RemoteResponse>()?;
    answer.and_then(|answer| answer.step).ok_or(CallError::Protocol("no answer to a step"))
}
