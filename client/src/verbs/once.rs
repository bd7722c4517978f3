//! `onewriter once`: of all that ask for a key, one runs the command.

use std::{ffi::OsString, time::Instant};

use onewriter_proto::v1::{
    LeaseKeepAlive, OnceBegin, OnceEnded, OnceFinish, OnceForget, OnceRequest, OnceResponse,
    once_request, once_response,
};
use onewriter_tree::Printable;

use super::{MANY, lock::TTL, this_program};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    leased::{Leased, millis, ttl},
    process::Ending,
    server::Server,
    wire::{Call, CallError, GRACE, Line},
};

pub(super) const VERB: Verb = Verb {
    name: "once",
    about: "Run a command once, whoever asks for it and how often",
    details: "\
Of all that ask for KEY, one runs its command; the others wait for its end and exit as it does. If
the one that runs it goes away, the next in order runs its own. Within a build, all later ones are
told how it ended. With '--scope root', a success counts for good: until --forget, or until one of
the files named with -o is missing; after a failure, the next one that comes runs it again.

What the command changes happens all together when it succeeds, or not at all, as with
'onewriter run', and before the others are told.

Exits as the command does; 127 if it is not found, 126 if it cannot be run.",
    operands: "KEY -- COMMAND...|--forget KEY",
    count: (1, MANY),
    options: &[
        Opt::value(
            '\0',
            "scope",
            "SCOPE",
            "Once in this 'build' (see --build), or for the build 'root' [default: build]",
        ),
        Opt::value('o', "output", "FILE", "A file that the command makes; may be repeated"),
        Opt::flag('\0', "unwrapped", "Run it in the tree as it is, not as a transaction"),
        Opt::flag('\0', "forget", "Forget that it ran"),
        Opt::flag('v', "verbose", "Say who ran it, if it was another"),
        TTL,
    ],
    common: COMMON,
    run,
};

const METHOD: &str = "/onewriter.v1.Leases/Once";

/// What is asked for, in the daemon's words.
struct Ask {
    key: String,
    root: bool,
}

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let (key, words) = given.operands.split_first().expect("there is one at least");
    let ask = Ask::of(given, key, context)?;
    let server = context.server_for("the right to run once")?;
    match (given.has("forget"), words) {
        (true, []) => forget(ask, context, &server),
        (true, _) => Err(Failure::Usage("--forget takes no command".into())),
        (false, []) => Err(Failure::Usage("there is no command: KEY -- COMMAND...".into())),
        (false, words) => once(given, ask, words, context, &server),
    }
}

impl Ask {
    fn of(given: &Given, key: &OsString, context: &Context) -> Result<Self, Failure> {
        let root = match given.text("scope")? {
            None | Some("build") => false,
            Some("root") => true,
            Some(other) => {
                return Err(Failure::Usage(format!("a scope is 'build' or 'root', not '{other}'")));
            }
        };
        if !root && context.labels().0.is_empty() {
            let why = "there is no build within which it could run once: start it from 'onewriter \
                       make', name one with --build ID or ONEWRITER_BUILD, or use '--scope root'";
            return Err(Failure::Usage(why.into()));
        }
        let key = key.to_str().filter(|key| (1..=1024).contains(&key.len()));
        let key = key.ok_or_else(|| Failure::Usage("a key is a text of 1 to 1024 bytes".into()))?;
        Ok(Self { key: key.to_owned(), root })
    }
}

/// How it went, for whoever asked.
enum Done {
    /// Another ran it.
    Told(OnceEnded),
    /// This client did.
    Ran(Result<Ending, Failure>),
}

fn once(
    given: &Given,
    ask: Ask,
    words: &[OsString],
    context: &mut Context,
    server: &Server,
) -> Result<(), Failure> {
    let words = match given.has("unwrapped") {
        true => words.to_vec(),
        false => in_a_transaction(given, words)?,
    };
    let (ttl, timeout, begun) = (ttl(given.text("ttl")?)?, context.timeout()?, Instant::now());
    // A worker's command runs in its copy of the root, where they are named from, too.
    let copy = match server {
        Server::Remote(_) if !given.has("unwrapped") => Some(context.place()?),
        _ => None,
    };
    let outputs = given.values("output").map(|path| match &copy {
        Some(copy) => copy.relative(path),
        None => server.path(path),
    });
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let mut begin = OnceBegin {
        context: Some(context.request(server)),
        key: ask.key.clone(),
        root: ask.root,
        wait_ms: 0,
        ttl_ms: millis(ttl),
    };
    let mut session = context.session(server)?;
    let done = session.stream_again(METHOD, |call| {
        let left = timeout.saturating_sub(begun.elapsed());
        begin.wait_ms = millis(left);
        call.set_timeout(Some(left + GRACE));
        call.send(&step(once_request::Step::Begin(begin.clone())))?;
        let token = match call.recv()? {
            Some(OnceResponse { step: Some(once_response::Step::Ended(ended)) }) => {
                return Ok(Done::Told(ended));
            }
            Some(OnceResponse { step: Some(once_response::Step::Run(run)) }) => run.token,
            _ => return Err(CallError::Protocol("neither a turn nor an outcome")),
        };
        let leased = Leased {
            call,
            keep_alive: step(once_request::Step::KeepAlive(LeaseKeepAlive {})),
            ttl,
            verb: VERB.name,
            subject: format!("once '{}'", Printable(ask.key.as_bytes())),
            tokens: context.leases_and(token),
        };
        let ran = leased.run::<OnceResponse>(&words);
        Ok(Done::Ran(ran.and_then(|ending| finish(call, ending, &outputs))))
    })?;
    context.ending = match done {
        Done::Ran(ran) => ran?,
        Done::Told(ended) => {
            if given.has("verbose") {
                let key = Printable(ask.key.as_bytes());
                eprintln!(
                    "onewriter once: {} ran '{key}': exit code {}",
                    ended.by, ended.exit_code
                );
            }
            Ending::Exit(ended.exit_code)
        }
    };
    Ok(())
}

/// The command as `onewriter run` runs it, with the options that mean something there.
fn in_a_transaction(given: &Given, command: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let mut words = vec![this_program()?.into(), "run".into()];
    let common = COMMON.iter().filter(|option| option.value.is_some()).map(|option| option.long);
    for option in common.chain(["output"]) {
        for value in given.values(option) {
            words.extend([format!("--{option}").into(), value.to_owned()]);
        }
    }
    words.push("--".into());
    words.extend_from_slice(command);
    Ok(words)
}

/// Tells the daemon how the command ended, and waits until it will be remembered.
fn finish(
    call: &mut Call<'_, Line>,
    ending: Ending,
    outputs: &[Vec<u8>],
) -> Result<Ending, Failure> {
    let finish = OnceFinish { exit_code: ending.code(), outputs: outputs.to_vec() };
    call.set_timeout(Some(std::time::Duration::from_secs(30)));
    call.send_last(&step(once_request::Step::Finish(finish)))?;
    loop {
        match call.recv::<OnceResponse>()? {
            Some(OnceResponse { step: Some(once_response::Step::Ended(_)) }) => return Ok(ending),
            Some(_) => {}
            None => return Err(CallError::Protocol("it ended without an outcome").into()),
        }
    }
}

fn forget(ask: Ask, context: &mut Context, server: &Server) -> Result<(), Failure> {
    let forget =
        OnceForget { context: Some(context.request(server)), key: ask.key, root: ask.root };
    let mut session = context.session(server)?;
    let existed = session.stream_again(METHOD, |call| {
        call.send_last(&step(once_request::Step::Forget(forget.clone())))?;
        match call.recv()? {
            Some(OnceResponse { step: Some(once_response::Step::Forgotten(told)) }) => {
                Ok(told.existed)
            }
            _ => Err(CallError::Protocol("it was not forgotten")),
        }
    })?;
    match context.is_json() {
        true => context.output.json(&serde_json::json!({ "forgotten": existed })),
        false => Ok(()),
    }
}

fn step(step: once_request::Step) -> OnceRequest {
    OnceRequest { step: Some(step) }
}
