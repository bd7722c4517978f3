//! Running a command for as long as a lease is held.

use std::{
    ffi::OsString,
    fmt::Display,
    time::{Duration, Instant},
};

use prost::Message;

use crate::{
    failure::Failure,
    process::{Command, Ending, Next, StartError, Tick},
    wire::{Call, CallError, Line, Stage},
};

/// Where a command finds the tokens of the leases under which it runs, separated by commas.
pub(crate) const VARIABLE: &str = "ONEWRITER_LEASE";

/// How often it is looked whether the lease is still held, at most: who has lost it should not work
/// on for nothing.
const LOOK: Duration = Duration::from_millis(500);

/// How long an answer that is there already may take to be read.
const AT_HAND: Duration = Duration::from_millis(1);

/// A lease that is held by a call under way.
pub(crate) struct Leased<'l, 'c, Q> {
    pub(crate) call: &'l mut Call<'c, Line>,
    /// The sign of life.
    pub(crate) keep_alive: Q,
    pub(crate) ttl: Duration,
    /// The verb and what the lease is on, for people.
    pub(crate) verb: &'static str,
    pub(crate) subject: String,
    /// All tokens that the command gets.
    pub(crate) tokens: Vec<u64>,
}

impl<Q: Message> Leased<'_, '_, Q> {
    /// Runs the command, and tells how it ended. If the lease is lost meanwhile, the command is told
    /// to end, and that is a failure whatever it says itself. `R` is what the daemon sends.
    pub(crate) fn run<R: Message + Default>(self, words: &[OsString]) -> Result<Ending, Failure> {
        let Self { call, keep_alive, ttl, verb, subject, tokens } = self;
        let tokens: Vec<String> = tokens.iter().map(u64::to_string).collect();
        let command = Command::new(words).variable(VARIABLE, tokens.join(","));
        let running = command.start(None).map_err(|error| not_started(&words[0], error))?;
        let mut lost: Option<String> = None;
        let (mut next_sign, mut heard) = (Instant::now() + ttl / 3, Instant::now());
        let mut look = || {
            if lost.is_some() {
                return Next::Continue;
            }
            let mut done = Ok(());
            if Instant::now() >= next_sign {
                next_sign = Instant::now() + ttl / 3;
                call.set_timeout(Some(ttl / 3));
                done = call.send(&keep_alive);
            }
            let why = match done.and_then(|()| still_there::<R>(call)) {
                Ok(true) => {
                    heard = Instant::now();
                    return Next::Continue;
                }
                Ok(false) if heard.elapsed() < ttl => return Next::Continue,
                // A link that is cut says nothing. By now the daemon may have given it to others.
                Ok(false) => {
                    format!("nothing was heard of the daemon for {:.1} s", ttl.as_secs_f64())
                }
                Err(why) => why_lost(why),
            };
            let why = lost.insert(why);
            eprintln!("onewriter {verb}: the lease on {subject} is lost: {why}");
            Next::Terminate
        };
        let every = (ttl / 3).min(LOOK);
        let ended = running.wait(Some(Tick { every, call: &mut look }));
        match lost {
            None => Ok(ended.ending),
            Some(why) => Err(Failure::Refused {
                reason: Some(onewriter_tree::Reason::StaleLease),
                message: format!(
                    "the lease on {subject} was lost while the command ran: {why}; what it did \
                     under the lease may not be whole"
                ),
                path: subject,
                index: None,
            }),
        }
    }
}

/// Takes what the daemon has answered so far; whether that is anything.
pub(crate) fn still_there<R: Message + Default>(
    call: &mut Call<'_, Line>,
) -> Result<bool, CallError> {
    let mut any = false;
    loop {
        call.set_timeout(Some(AT_HAND));
        match call.recv::<R>() {
            Ok(Some(_)) => any = true,
            Ok(None) => return Err(CallError::Closed { at: Stage::Answered }),
            Err(CallError::TimedOut) => return Ok(any),
            Err(error) => return Err(error),
        }
    }
}

fn why_lost(error: CallError) -> String {
    match error {
        CallError::Closed { .. } => "the daemon has gone away".into(),
        error => Failure::from(error).to_string(),
    }
}

fn not_started(program: &OsString, error: StartError) -> Failure {
    let (errno, what) = match error {
        StartError::Execute(errno) => (errno, "cannot be run"),
        StartError::Process(errno) | StartError::Sandbox { errno, .. } => {
            (errno, "cannot be started")
        }
    };
    let why: &dyn Display = &std::io::Error::from(errno);
    let message = format!("'{}' {what}: {why}", program.display());
    // As shells and env(1) have it.
    Failure::NotExecuted {
        message,
        code: if errno == rustix::io::Errno::NOENT { 127 } else { 126 },
    }
}

/// The tokens in a setting: numbers separated by commas.
pub(crate) fn tokens(setting: &str) -> Result<Vec<u64>, Failure> {
    let number = |text: &str| {
        text.trim().parse().ok().filter(|token| *token != 0).ok_or_else(|| {
            Failure::Usage(format!("a lease is the number in {VARIABLE}, not '{text}'"))
        })
    };
    setting.split(',').filter(|text| !text.is_empty()).map(number).collect()
}

/// A time to live in seconds.
pub(crate) fn ttl(text: Option<&str>) -> Result<Duration, Failure> {
    let Some(text) = text else { return Ok(Duration::from_secs(15)) };
    let seconds = text.parse::<f64>().ok().filter(|s| (0.1..=86_400.0).contains(s));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Failure::Usage(format!("a time to live is 0.1 to 86400 seconds, not '{text}'"))
    })
}

/// As messages count it.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_numbers_with_commas_between_them() {
        assert_eq!(tokens("").unwrap(), Vec::<u64>::new());
        assert_eq!(tokens("17").unwrap(), [17]);
        assert_eq!(tokens("17,18").unwrap(), [17, 18]);
        for nonsense in ["x", "17;18", "-1", "0", "1 2"] {
            assert!(tokens(nonsense).is_err(), "{nonsense}");
        }
    }
}
