//! `onewriter watch`: prints what is changed, as it happens.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use onewriter_proto::v1::{JournalRecord, WatchJournalRequest, WatchJournalResponse};
use onewriter_tree::Reason;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{MANY, log};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    process::Ending,
    session::{Session, is},
    wire::{Call, CallError, GRACE, Line, Stage},
};

pub(super) const VERB: Verb = Verb {
    name: "watch",
    about: "Print what is changed as it happens, by whom, for which target",
    details: "\
With PATH, only what is changed there and below. Begins with what comes from now on, or, with --from,
with what the journal holds after that record; whoever begins with the number of the last record that
he has seen misses nothing and gets nothing twice. The number is the first word of a line, and \"seq\"
of --json, which prints one object a line. The journal keeps the last two million records.

Goes on when the daemon ends, as soon as there is another one. Ends after --count records, or when
nobody reads what it prints.",
    operands: "[PATH...]",
    count: (0, MANY),
    options: &[
        Opt::value('f', "from", "SEQ", "Begin after this record; 0: with the first one"),
        Opt::value('n', "count", "N", "End after N records"),
        Opt::flag('c', "changes", "Leave out what changed nothing"),
    ],
    common: COMMON,
    run,
};

/// How long it may go unnoticed that nobody reads standard output any more.
const ATTENTION: Duration = Duration::from_millis(500);

/// The pauses between two looks for another daemon: the first, and the longest, of which each is twice
/// the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let (build, target) = context.labels();
    let request = WatchJournalRequest {
        context: None,
        after_seq: given.number("from")?.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX)),
        paths: server.paths(&given.operands)?,
        target: target.to_owned(),
        build: build.to_owned(),
        changes_only: given.has("changes"),
    };
    let left = given.number("count")?.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(());
    }
    let timeout = context.timeout()?;
    let mut watch = Watch { context, request, left, timeout, has_begun: false, pause: PAUSES.0 };
    let mut session = Session::new(&server, timeout, !watch.context.is_direct());
    loop {
        match session
            .converse_again("/onewriter.v1.Reading/WatchJournal", |call| watch.follow(call))?
        {
            End::Over(done) => return done,
            End::Unread => break,
            End::Again => {}
        }
        session = Session::new(&server, timeout, false);
        if !watch.await_daemon(&mut session)? {
            break;
        }
    }
    // As whoever writes to it would end.
    watch.context.ending = Ending::Signal(rustix::process::Signal::PIPE.as_raw());
    Ok(())
}

/// Why one call is over.
enum End {
    /// All has come that was wanted, or it cannot go on.
    Over(Result<(), Failure>),
    /// Nobody reads standard output.
    Unread,
    /// The daemon is gone, or says that it will be.
    Again,
}

struct Watch<'c> {
    context: &'c mut Context,
    /// With the position that was reached.
    request: WatchJournalRequest,
    /// How many records are still wanted.
    left: u64,
    /// How long the daemon may take to begin.
    timeout: Duration,
    /// Whether a daemon has told where it begins: from then on, nothing is lost by another one.
    has_begun: bool,
    /// The next pause before a look for another daemon.
    pause: Duration,
}

impl Watch<'_> {
    fn follow(&mut self, call: &mut Call<'_, Line>) -> Result<End, CallError> {
        let begun = Instant::now();
        let mut is_silent = true;
        if let Err(error) = call.send_last(&self.request) {
            return self.broken(error);
        }
        loop {
            call.set_timeout(Some(ATTENTION));
            match call.recv::<WatchJournalResponse>() {
                Ok(Some(message)) => {
                    is_silent = false;
                    if let Some(over) = self.take(message) {
                        return Ok(End::Over(over));
                    }
                }
                Err(CallError::TimedOut) if is_silent && begun.elapsed() > self.timeout + GRACE => {
                    return Err(CallError::TimedOut);
                }
                Err(CallError::TimedOut) if is_unread() => return Ok(End::Unread),
                Err(CallError::TimedOut) => {}
                Ok(None) => return self.broken(CallError::Closed { at: Stage::Answered }),
                Err(error) => return self.broken(error),
            }
        }
    }

    /// The call broke off: whether another one may go on with it.
    fn broken(&self, error: CallError) -> Result<End, CallError> {
        let may_go_on = match &error {
            CallError::Status(status) => {
                is(status, Reason::AskAgain) || is(status, Reason::Draining)
            }
            CallError::Closed { .. } | CallError::Refused | CallError::Io { .. } => true,
            _ => false,
        };
        if self.has_begun && may_go_on { Ok(End::Again) } else { Err(error) }
    }

    /// Prints what has come; `Some` when that was all, or cannot be printed.
    fn take(&mut self, message: WatchJournalResponse) -> Option<Result<(), Failure>> {
        (self.has_begun, self.pause) = (true, PAUSES.0);
        for record in message.records.iter().take(self.left.try_into().unwrap_or(usize::MAX)) {
            if let Err(failure) = self.print(record) {
                return Some(Err(failure));
            }
            self.left -= 1;
        }
        self.request.after_seq = Some(message.seq);
        match self.context.output.flush() {
            Ok(()) if self.left > 0 => None,
            over => Some(over),
        }
    }

    fn print(&mut self, record: &JournalRecord) -> Result<(), Failure> {
        match self.context.is_json() {
            true => self.context.output.json(&log::as_json(record)),
            false => self.context.output.line(log::as_text(record)),
        }
    }

    /// Returns when a daemon is there again, or `false` when nobody wants to know any more. It starts
    /// none: what happens without one is in no journal.
    fn await_daemon(&mut self, session: &mut Session<'_>) -> Result<bool, Failure> {
        let mut is_told = false;
        loop {
            sleep(self.pause);
            self.pause = (self.pause * 2).min(PAUSES.1);
            if is_unread() {
                return Ok(false);
            }
            if session.is_answered()? {
                return Ok(true);
            }
            if !std::mem::replace(&mut is_told, true) {
                eprintln!("onewriter watch: the daemon has ended; it goes on with the next one");
            }
        }
    }
}

/// Whether nobody will ever read what is written to standard output.
fn is_unread() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok()
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}
