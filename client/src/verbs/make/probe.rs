//! Whether recipes can be transactions here: tried once, so that a build says once what is missing.

use std::ffi::OsString;

use onewriter_proto::v1::TransactionCommit;

use crate::{
    context::Context,
    failure::Failure,
    place::Place,
    process::{Command, Ended, Ending, Sandbox, StartError, Tick},
    server::Server,
    transaction::{Filling, Wish, transact},
    verbs::run::is_refusal,
};

/// Starts the daemon where none runs, and tells people what to know of the sandbox.
pub(super) fn can_sandbox(context: &mut Context) -> Result<bool, Failure> {
    let server = Server::Root(context.place()?);
    let Server::Root(place) = &server else { unreachable!("made so") };
    let wish = Wish {
        verb: "make",
        line: "onewriter make".into(),
        retries: 0,
        keep_failed: false,
        verbose: false,
        wait: context.timeout()?,
        commit: TransactionCommit::default(),
    };
    let mut probe = Probe { place, refused: None };
    let done = transact(context, &server, &wish, &mut probe);
    match probe.refused {
        None => done.map(|_| true),
        Some(what) => {
            wish.say(format_args!(
                "the kernel gives recipes no view of their own ({what}): they run as without onewriter"
            ));
            Ok(false)
        }
    }
}

struct Probe<'a> {
    place: &'a Place,
    refused: Option<String>,
}

impl Filling for Probe<'_> {
    fn fill(&mut self, name: &str, _: Option<Tick<'_>>) -> Result<Ended, Failure> {
        let words = [OsString::from("true")];
        let tried = Sandbox::new(self.place.root(), name, self.place.root())
            .map_err(|(step, errno)| StartError::Sandbox { step, errno })
            .and_then(|sandbox| {
                let running = Command::new(&words).start(Some(&sandbox))?;
                self.tell_of(&sandbox);
                Ok(running.wait(None))
            });
        match tried {
            Err(StartError::Sandbox { step, errno }) if is_refusal(errno) => {
                let what = format!("cannot {step}: {errno}");
                self.refused = Some(what.clone());
                Err(Failure::NoSandbox(what))
            }
            Err(StartError::Sandbox { step, errno }) => {
                Err(Failure::Io(format!("cannot {step} for recipes: {errno}")))
            }
            Err(StartError::Process(errno)) => {
                Err(Failure::Io(format!("cannot make a process: {errno}")))
            }
            // Nothing is to be committed.
            Ok(_) | Err(StartError::Execute(_)) => {
                Ok(Ended { ending: Ending::Exit(1), background: false })
            }
        }
    }
}

impl Probe<'_> {
    fn tell_of(&self, sandbox: &Sandbox) {
        let mounts: Vec<_> = sandbox.mounts().map(|m| format!("'{}'", m.display())).collect();
        if !mounts.is_empty() {
            eprintln!(
                "onewriter make: other filesystems are mounted in the build root; what recipes change there is changed at once: {}",
                mounts.join(", ")
            );
        }
    }
}
