//! A transaction as a client sees it: the conversation with the daemon around whatever fills the
//! transaction's directory.

use std::{io::Write as _, time::Duration};

use onewriter_proto::v1::{
    Change, Conflict, TransactRequest, TransactResponse, TransactionAbandon, TransactionBegin,
    TransactionCommit, TransactionCommitted, transact_request::Step as Out,
    transact_response::Step as In,
};
use onewriter_tree::Reason;
use serde_json::Value;

use crate::{
    context::Context,
    failure::{Failure, with_sources},
    leased::millis,
    output,
    process::{Ended, Ending, Tick},
    reruns::Reruns,
    server::Server,
    wire::{Call, CallError, GRACE, Line},
};

const METHOD: &str = "/onewriter.v1.Transactions/Transact";

/// What the daemon keeps of a command line, in bytes.
const LINE_MAX: usize = 1024;

/// How often it is filled again after a conflict, unless the user says otherwise.
pub(crate) const RETRIES: u64 = 3;

/// How long a commit may take beside its waiting for locks: it may be that of many files, on a
/// slow disk.
pub(crate) const COMMIT: Duration = Duration::from_secs(600);

/// What is wanted of a transaction, but for what it does.
#[derive(Debug)]
pub(crate) struct Wish {
    /// The command that the user gave: what messages, status and journal call it.
    pub(crate) verb: &'static str,
    /// What runs in it, as people read it.
    pub(crate) line: String,
    pub(crate) retries: u64,
    /// Where it fails, keep what it had written.
    pub(crate) keep_failed: bool,
    pub(crate) verbose: bool,
    /// How long each step may wait for locks.
    pub(crate) wait: Duration,
    /// The commit that is asked for; `copy` depends on how it was filled.
    pub(crate) commit: TransactionCommit,
}

/// What a transaction does.
pub(crate) trait Filling {
    /// Fills the directory of the transaction `name`. Called again after a conflict, with another
    /// name. What does not end well is given up, unless it [stays](Self::stays). What is done at a
    /// `tick` is done while a command runs.
    fn fill(&mut self, name: &str, tick: Option<Tick<'_>>) -> Result<Ended, Failure>;

    /// Whether what it did stays, although it ended in this way, which is not well.
    fn stays(&self, _ending: Ending) -> bool {
        false
    }
}

/// Fills a transaction, and has it committed if that went well; again after conflicts.
pub(crate) fn transact(
    context: &mut Context,
    server: &Server,
    wish: &Wish,
    filling: &mut dyn Filling,
) -> Result<(Ending, Option<Committed>), Failure> {
    let begin = begin(context, server, wish);
    // A request is told the umask; a command has it.
    context.restore_umask();
    let reruns = Reruns::new(wish, &begin.command);
    let mut transaction = Transaction { wish, begin, filling, reruns };
    loop {
        let mut session = context.session(server)?;
        match session.converse(METHOD, |call| transaction.talk(call))?? {
            Talked::Ended(ending, committed) => return Ok((ending, committed)),
            Talked::DaemonGone => {}
        }
    }
}

/// What a transaction begins with.
pub(crate) fn begin(context: &mut Context, server: &Server, wish: &Wish) -> TransactionBegin {
    let mut line = wish.line.clone();
    line.truncate(line.floor_char_boundary(LINE_MAX));
    TransactionBegin {
        context: Some(context.request(server)),
        method: wish.verb.into(),
        command: line,
        wait_ms: millis(wish.wait),
    }
}

/// What came of a conversation.
enum Talked {
    /// It was filled. What was committed, if anything was.
    Ended(Ending, Option<Committed>),
    /// The daemon ended before it was asked to commit: nothing has happened.
    DaemonGone,
}

/// What a commit did.
pub(crate) struct Committed {
    pub(crate) summary: TransactionCommitted,
    /// Where they were asked for.
    pub(crate) changes: Vec<Change>,
}

/// The answer to a commit.
enum Verdict {
    Committed(Committed),
    Conflicted(Vec<Conflict>),
}

/// A transaction and its conversation, over as many calls as it takes.
struct Transaction<'a> {
    wish: &'a Wish,
    begin: TransactionBegin,
    filling: &'a mut dyn Filling,
    reruns: Reruns<'a>,
}

/// Why a conversation ends early.
enum Stop {
    /// This is told to the user.
    Failed(Failure),
    /// The call broke off, and nothing has happened.
    Broken(CallError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Broken(error)
    }
}

impl Transaction<'_> {
    /// All of one call. The outer error is one that came before it was filled: the call may
    /// be made again.
    fn talk(&mut self, call: &mut Call<'_, Line>) -> Result<Result<Talked, Failure>, CallError> {
        let name = self.ask_to_begin(call)?;
        Ok(match self.run_until_committed(call, name) {
            Ok(talked) => Ok(talked),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Broken(error)) => self.take_stock(error),
        })
    }

    fn ask_to_begin(&self, call: &mut Call<'_, Line>) -> Result<String, CallError> {
        call.set_timeout(Some(self.wish.wait + GRACE));
        send(call, Out::Begin(self.begin.clone()))?;
        match receive(call)? {
            In::Begun(begun) => Ok(begun.name),
            _ => Err(CallError::Protocol("another answer than 'begun'")),
        }
    }

    fn run_until_committed(
        &mut self,
        call: &mut Call<'_, Line>,
        mut name: String,
    ) -> Result<Talked, Stop> {
        loop {
            // A failure ends the call, and with it the transaction.
            let ended = self.filling.fill(&name, None).map_err(Stop::Failed)?;
            if !ended.ending.is_success() && !self.filling.stays(ended.ending) {
                self.abandon(call, ended.ending);
                return Ok(Talked::Ended(ended.ending, None));
            }
            if ended.background {
                self.wish.say_of_background();
            }
            match self.commit(call, ended)? {
                Verdict::Committed(committed) => {
                    return Ok(Talked::Ended(ended.ending, Some(committed)));
                }
                Verdict::Conflicted(conflicts) => {
                    self.reruns.yield_to_all(&conflicts).map_err(Stop::Failed)?
                }
            }
            name = self.ask_to_begin(call)?;
        }
    }

    fn commit(&self, call: &mut Call<'_, Line>, ended: Ended) -> Result<Verdict, Stop> {
        call.set_timeout(Some(self.wish.wait + COMMIT));
        let (copy, exit_code) = (ended.background, ended.ending.code());
        let commit = TransactionCommit { copy, exit_code, ..self.wish.commit.clone() };
        // Until this has gone, nothing can have happened.
        send(call, Out::Commit(commit))?;
        let mut changes = Vec::new();
        loop {
            match receive(call) {
                Ok(In::Changes(more)) => changes.extend(more.changes),
                Ok(In::Committed(summary)) => {
                    return Ok(Verdict::Committed(Committed { summary, changes }));
                }
                Ok(In::Conflicted(conflicted)) => {
                    return Ok(Verdict::Conflicted(conflicted.conflicts));
                }
                Ok(_) => return Err(unknown("it gave another answer").into_stop()),
                Err(CallError::Status(status)) => return Err(Stop::Failed(status.into())),
                // The daemon refused the call as a whole.
                Err(CallError::Refused) => return Err(CallError::Refused.into()),
                Err(error) => return Err(unknown(&with_sources(&error)).into_stop()),
            }
        }
    }

    /// Gives the transaction up. Whatever becomes of that: nothing of it happens.
    fn abandon(&self, call: &mut Call<'_, Line>, ending: Ending) {
        let keep = self.wish.keep_failed;
        let abandon = TransactionAbandon { keep, exit_code: ending.code() };
        call.set_timeout(Some(self.wish.wait + GRACE));
        let answer = send(call, Out::Abandon(abandon)).and_then(|()| receive(call));
        match answer {
            Ok(In::Abandoned(abandoned)) if !abandoned.kept.is_empty() => {
                self.wish.say(format_args!(
                    "what it had written is in '{}'",
                    output::shown(&abandoned.kept)
                ));
            }
            Ok(_) if !keep => {}
            Ok(_) => self.wish.say(format_args!("what it had written was not kept")),
            Err(error) if keep => {
                self.wish.say(format_args!(
                    "what it had written was not kept: {}",
                    with_sources(&error)
                ));
            }
            Err(_) => {}
        }
    }

    /// The call broke off before anything could happen: counts as a conflict.
    fn take_stock(&mut self, error: CallError) -> Result<Talked, Failure> {
        match error {
            CallError::Closed { .. } | CallError::Refused | CallError::Io { .. } => {}
            CallError::Status(ref status) if is_draining(status) => {}
            error => return Err(error.into()),
        }
        let why = with_sources(&error);
        let again = self.reruns.count().map_err(|input| {
            Failure::Broken(format!(
                "the daemon ended while the command ran, and nothing of it was kept{input}: {why}"
            ))
        })?;
        self.wish.say(format_args!(
            "the daemon ended while the command ran; running it again ({again})"
        ));
        Ok(Talked::DaemonGone)
    }
}

impl Wish {
    /// A line on standard error, where a command's own lines are, too.
    pub(crate) fn say(&self, line: std::fmt::Arguments<'_>) {
        let line = format!("onewriter {}: {line}\n", self.verb);
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// What a command started is not at its end when that is.
    pub(crate) fn say_of_background(&self) {
        self.say(format_args!(
            "the command left processes running in the background; what they write from now on is not kept"
        ));
    }

    /// Tells what was committed.
    pub(crate) fn tell(&self, context: &mut Context, done: &Committed) -> Result<(), Failure> {
        let summary = &done.summary;
        if !summary.undeclared.is_empty() {
            let paths = in_a_row(&summary.undeclared);
            self.say(format_args!("changed without being declared: {paths}"));
        }
        if !summary.missing.is_empty() {
            self.say(format_args!("declared and not made: {}", in_a_row(&summary.missing)));
        }
        for Conflict { path, other } in &summary.conflicts {
            let path = output::shown(path);
            self.say(format_args!("'{path}' was changed meanwhile by {other}, and overwritten"));
        }
        if context.is_json() {
            return context.output.json(&done.as_json());
        }
        if self.verbose {
            for change in &done.changes {
                let (outcome, path) = (output::outcome(change), output::shown(&change.path));
                self.say(format_args!("{outcome} '{path}'"));
            }
        }
        Ok(())
    }
}

fn in_a_row(paths: &[Vec<u8>]) -> String {
    let shown: Vec<_> = paths.iter().map(|path| format!("'{}'", output::shown(path))).collect();
    shown.join(", ")
}

impl Committed {
    fn as_json(&self) -> Value {
        let list = |paths: &[Vec<u8>]| -> Value {
            paths.iter().map(|path| Value::Object(output::path_fields("path", path))).collect()
        };
        let conflict = |conflict: &Conflict| {
            let mut object = output::path_fields("path", &conflict.path);
            object.insert("other".into(), conflict.other.clone().into());
            Value::Object(object)
        };
        let mut value = output::changes(&self.changes);
        value["undeclared"] = list(&self.summary.undeclared);
        value["missing"] = list(&self.summary.missing);
        value["conflicts"] = self.summary.conflicts.iter().map(conflict).collect();
        value
    }
}

impl Failure {
    fn into_stop(self) -> Stop {
        Stop::Failed(self)
    }
}

/// Nobody can say whether it was committed.
pub(crate) fn unknown(why: &str) -> Failure {
    Failure::Unknown(format!(
        "the daemon broke off during the commit, and it is not known whether the changes were committed: {why}"
    ))
}

/// Whether the daemon refused because it is about to end.
pub(crate) fn is_draining(status: &crate::wire::Status) -> bool {
    status.info.as_ref().is_some_and(|info| info.reason == Reason::Draining.as_str())
}

fn send(call: &mut Call<'_, Line>, step: Out) -> Result<(), CallError> {
    call.send(&TransactRequest { step: Some(step) })
}

fn receive(call: &mut Call<'_, Line>) -> Result<In, CallError> {
    let answer = call.recv::<TransactResponse>()?;
    answer.and_then(|answer| answer.step).ok_or(CallError::Protocol("no answer to a step"))
}
