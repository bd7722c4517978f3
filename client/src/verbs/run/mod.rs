//! `onewriter run`: runs a command whose changes happen together, or not at all.

mod execution;
mod plan;

use std::ffi::OsString;

use super::{MANY, publish};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::{Context, is_inside_transaction},
    failure::Failure,
    process::{Command, Ended, Tick},
    server::Server,
    transaction::{Filling, transact},
    worker,
};
use execution::Execution;
use plan::Plan;

pub(crate) use self::execution::{cannot_execute, is_refusal};
pub(super) use self::{execution::make_way, plan::on_conflict};

pub(super) const VERB: Verb = Verb {
    name: "run",
    about: "Run a command whose changes happen together when it succeeds, or not at all",
    details: "\
The command sees the build root as it was, and its own changes; nobody else sees those before it
has ended. When it exits with 0, they all happen at once; otherwise nothing has happened. The exit
code is the command's; 126 and 127 mean, as for a shell, that it cannot be executed or found. A
signal that arrives when the command has succeeded already ends this program, but not the commit.

If others changed the same files to something else meanwhile, the command is run again, and then has
its turn before the others.

What it writes outside of the build root, or in another filesystem mounted in it, is written at once.
Clients in the command work on what it sees, so that their changes belong to its own.

With a --server on another machine, the command runs on this machine's own copy of the root (see
'onewriter init' and 'onewriter fetch'), and what it changes happens there, too. Where the copy is not
up to date in what the command changes, it is made so, and the command is run again.

Where the kernel gives no command a view of its own (see --isolation), declare what it makes with -o,
and have it write there:

  onewriter run -o parser.h -- sh -c 'sed s/x/y/ grammar.y > {}'

In the words of the command, {} is the path to write the declared FILE to, {1}, {2} and so on those of
several. ONEWRITER_OUTPUT is the first, ONEWRITER_OUTPUTS has all, a line each.",
    operands: "CMD [ARG]...",
    count: (1, MANY),
    options: &[
        Opt::value(
            'o',
            "output",
            "FILE",
            "It makes or changes FILE, or else this is told; may be given several times",
        ),
        Opt::flag(
            '\0',
            "strict",
            "Fail where it changed other files than those of -o, or one of those is not there",
        ),
        publish::UNCHANGED,
        ON_CONFLICT,
        RETRIES,
        KEEP_FAILED,
        Opt::value(
            '\0',
            "isolation",
            "HOW",
            "What keeps its changes apart: overlay (all that it does), outputs (what it writes to {}), auto [default: auto]",
        ),
        VERBOSELY,
    ],
    common: COMMON,
    run,
};

/// `--on-conflict`, of all that are transactions.
pub(super) const ON_CONFLICT: Opt = Opt::value(
    '\0',
    "on-conflict",
    "HOW",
    "Where others changed the same files: rerun (run it again), fail, last (overwrite) [default: rerun]",
);

/// `--retries`.
pub(super) const RETRIES: Opt =
    Opt::value('\0', "retries", "N", "Run it again at most N times [default: 3]");

/// `--keep-failed`.
pub(super) const KEEP_FAILED: Opt =
    Opt::flag('\0', "keep-failed", "Where it fails, keep what it had written for a look");

/// `--verbose`, of what runs in an overlay.
pub(super) const VERBOSELY: Opt =
    Opt::flag('v', "verbose", "Say what was changed, and how it was kept apart");

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    if is_inside_transaction() {
        let plan = Plan::new("run", given.operands.clone(), given, context, None)?;
        return become_the_command(&plan);
    }
    run_command("run", given.operands.clone(), given, context, || Ok(()))
}

/// Runs a command in a transaction of its own, for the user's `verb`; `ready` is called each time
/// before it is started.
pub(super) fn run_command(
    verb: &'static str,
    words: Vec<OsString>,
    given: &Given,
    context: &mut Context,
    ready: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if context.is_direct() {
        return Err(Failure::Usage(
            "ONEWRITER=off has no transactions: the daemon keeps them".into(),
        ));
    }
    let server = context.server()?;
    let place = context.place().map_err(|failure| match &server {
        Server::Remote(_) => failure.with_message(no_copy),
        Server::Root(_) | Server::Unix(_) => failure,
    })?;
    let plan = Plan::new(verb, words, given, context, Some(&place))?;
    let mut running = Running { execution: Execution::new(&plan, &place)?, ready };
    let (ending, committed) = match &server {
        Server::Remote(_) => worker::run(context, &server, &plan.wish, &place, &mut running)?,
        Server::Root(_) | Server::Unix(_) => transact(context, &server, &plan.wish, &mut running)?,
    };
    context.ending = ending;
    committed.map_or(Ok(()), |committed| plan.wish.tell(context, &committed))
}

/// Where there is no root, and the server is elsewhere.
fn no_copy(message: &str) -> String {
    format!(
        "{message}, and for a server elsewhere a command runs in a copy of its root ('onewriter init' makes an empty one, 'onewriter fetch' fills it)"
    )
}

/// A transaction that a command fills.
struct Running<'a, F> {
    execution: Execution<'a>,
    ready: F,
}

impl<F: FnMut() -> Result<(), Failure>> Filling for Running<'_, F> {
    fn fill(&mut self, name: &str, tick: Option<Tick<'_>>) -> Result<Ended, Failure> {
        (self.ready)()?;
        self.execution.run(name, tick)
    }
}

/// In a transaction already, the command's changes belong to that.
fn become_the_command(plan: &Plan) -> Result<(), Failure> {
    let (words, variables) = plan.command(plan.outputs.iter().map(|o| o.typed.clone()).collect());
    let command = Command::new(&words).variables(variables);
    Err(execution::cannot_execute(&plan.words[0], command.replace_this_process()))
}
