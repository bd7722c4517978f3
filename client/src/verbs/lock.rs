//! `onewriter lock`: runs a command under a lease.

use std::{ffi::OsStr, time::Instant};

use onewriter_proto::v1::{
    HoldRequest, HoldResponse, LeaseAcquire, LeaseKeepAlive, hold_request, hold_response,
    lease_acquire,
};
use onewriter_tree::Printable;

use super::MANY;
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    leased::{Leased, millis, ttl},
    server::Server,
    wire::{CallError, GRACE},
};

pub(super) const VERB: Verb = Verb {
    name: "lock",
    about: "Run a command while nobody else changes a path, or holds a name",
    details: "\
Waits its turn, in order of arrival; 'onewriter status' shows who holds and who waits. Mutations of
others at PATH and below wait until COMMAND has ended; those of COMMAND, which finds the lease's
number in ONEWRITER_LEASE, do not. The lease ends with COMMAND, with this client however it ends,
and when this client has given no sign for the time to live. What COMMAND wants to change after that
is refused.

Exits as COMMAND does; 127 if it is not found, 126 if it cannot be run.",
    operands: "PATH -- COMMAND...|--name NAME -- COMMAND...",
    count: (2, MANY),
    options: &[
        Opt::flag('n', "name", "The operand is a name, not a path: no '/' in it"),
        Opt::flag('s', "shared", "Together with others who share it; mutations wait all the same"),
        TTL,
    ],
    common: COMMON,
    run,
};

/// `--ttl`, of all that hold a lease.
pub(super) const TTL: Opt = Opt::value(
    '\0',
    "ttl",
    "SECONDS",
    "The lease ends so long after the last sign of this client [default: 15]",
);

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let (operand, words) = match given.operands.split_first() {
        Some((operand, words)) if !words.is_empty() => (operand, words),
        _ => return Err(Failure::Usage("there is no command: PATH -- COMMAND...".into())),
    };
    let (ttl, timeout) = (ttl(given.text("ttl")?)?, context.timeout()?);
    let server = context.server_for("a lease")?;
    let subject = subject(given.has("name"), operand, &server)?;
    let shown = match &subject {
        lease_acquire::Subject::Path(path) => format!("'{}'", Printable(path)),
        lease_acquire::Subject::Name(name) => format!("name '{}'", Printable(name.as_bytes())),
    };
    let begun = Instant::now();
    let mut acquire = LeaseAcquire {
        context: Some(context.request(&server)),
        subject: Some(subject),
        shared: given.has("shared"),
        wait_ms: 0,
        ttl_ms: millis(ttl),
    };
    let mut session = context.session(&server)?;
    let done = session.stream_again("/onewriter.v1.Leases/Hold", |call| {
        let left = timeout.saturating_sub(begun.elapsed());
        acquire.wait_ms = millis(left);
        call.set_timeout(Some(left + GRACE));
        call.send(&hold(hold_request::Step::Acquire(acquire.clone())))?;
        let Some(HoldResponse { step: Some(hold_response::Step::Granted(granted)) }) =
            call.recv()?
        else {
            return Err(CallError::Protocol("a lease that is not granted"));
        };
        let leased = Leased {
            call,
            keep_alive: hold(hold_request::Step::KeepAlive(LeaseKeepAlive {})),
            ttl,
            verb: VERB.name,
            subject: shown.clone(),
            tokens: context.leases_and(granted.token),
        };
        let done = leased.run::<HoldResponse>(words);
        // Others may have it when this client has ended; that the daemon is gone does no harm.
        call.set_timeout(Some(GRACE));
        let _ = call.finish().and_then(|()| call.recv::<HoldResponse>());
        Ok(done)
    })?;
    context.ending = done?;
    Ok(())
}

fn hold(step: hold_request::Step) -> HoldRequest {
    HoldRequest { step: Some(step) }
}

fn subject(
    is_name: bool,
    operand: &OsStr,
    server: &Server,
) -> Result<lease_acquire::Subject, Failure> {
    if !is_name {
        return Ok(lease_acquire::Subject::Path(server.path(operand)?));
    }
    let name = operand.to_str();
    let name = name.filter(|name| (1..=255).contains(&name.len()) && !name.contains('/'));
    let refuse = || {
        let why = "a name is a text of 1 to 255 bytes without '/'";
        Failure::Usage(format!("{why}, not '{}'", operand.display()))
    };
    Ok(lease_acquire::Subject::Name(name.ok_or_else(refuse)?.to_owned()))
}
