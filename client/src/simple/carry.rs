//! Carrying out a plan: one request for the whole line, unless the tree changes meanwhile.

use std::io::Write as _;

use onewriter_proto::v1::{PublishStaged, mutation::Kind as Mutation};
use onewriter_tree::{Error, Pattern, Reason, Tree};

use super::{
    keep,
    line::Command,
    plan::{Act, Deed, Plan},
    speech,
    world::World,
};
use crate::{context::Context, failure::Failure, place::Place, server::Server};

/// A line that was understood.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) commands: &'a [Command],
    /// A command that fails ends it.
    pub(super) exits: bool,
    pub(super) umask: u32,
    /// Files that keep their time where they stay as they were.
    pub(super) keep: &'a [Pattern],
}

/// Does a line; its exit code. `None`, before anything is done, if it is not simple.
pub(super) fn line(
    line: &Line<'_>,
    context: &mut Context,
    server: &Server,
) -> Option<Result<i32, Failure>> {
    let Server::Root(place) = server else { return None };
    let plan = plan(line, 0, 0, place, place.below()?)?;
    let done = carry_out(line, plan, context, server, place);
    if done.is_err() {
        // What was said before it failed is said.
        let _ = context.output.flush();
    }
    Some(done)
}

fn plan(line: &Line<'_>, first: usize, status: i32, place: &Place, here: &[u8]) -> Option<Plan> {
    let world = World::new(place.root(), here)?;
    let mut plan = Plan::of(line.commands, first, status, line.exits, world, line.umask)?;
    keep::keep(&mut plan.deeds, line.keep)?;
    Some(plan)
}

fn carry_out(
    line: &Line<'_>,
    mut plan: Plan,
    context: &mut Context,
    server: &Server,
    place: &Place,
) -> Result<i32, Failure> {
    while let Some(broken) = perform(&plan, context, server)? {
        // It did not go as foreseen: the commands after this one are in for another world.
        let here = plan.stands.iter().find(|(number, _)| *number == broken);
        let here = here.map(|(_, here)| here.clone()).unwrap_or_default();
        plan = self::plan(line, broken + 1, 1, place, &here).ok_or_else(|| {
            let why = "the tree was changed while the line ran, and the rest of it needs a shell";
            Failure::Io(why.into())
        })?;
    }
    context.output.flush()?;
    Ok(plan.status)
}

/// Does what was planned. If a deed fails, the rest of its command is done all the same, as the
/// tools do, and the command's number is returned.
fn perform(plan: &Plan, context: &mut Context, server: &Server) -> Result<Option<usize>, Failure> {
    let (mut done, mut said, mut broken) = (0, 0, None);
    loop {
        let end = match broken {
            None => plan.deeds.len(),
            Some(command) => plan.deeds.partition_point(|deed| deed.command <= command),
        };
        let last = broken.unwrap_or(usize::MAX);
        while let Some(saying) =
            plan.sayings.get(said).filter(|s| s.after <= done && s.command <= last)
        {
            speak(context, saying.is_error, &saying.text)?;
            said += 1;
        }
        let Some(deeds) = plan.deeds.get(done..end).filter(|deeds| !deeds.is_empty()) else {
            return Ok(broken);
        };
        // A command that cannot speak ends the line before what comes after it is done.
        context.output.flush()?;
        match send(deeds, context, server) {
            Ok(()) => done = end,
            Err(Failure::Refused { reason, index, message, path }) => {
                let failed = &deeds[index.unwrap_or(0).min(deeds.len() - 1)];
                let Some(cause) = reason.and_then(speech::cause) else {
                    return Err(Failure::Refused { reason, index, message, path });
                };
                broken = Some(failed.command);
                let text = [&failed.blame[..], b": ", cause.as_bytes(), b"\n"].concat();
                done += index.unwrap_or(0) + 1;
                speak(context, true, &text)?;
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn speak(context: &mut Context, is_error: bool, text: &[u8]) -> Result<(), Failure> {
    if !is_error {
        return context.output.bytes(text);
    }
    context.output.flush()?;
    // Who closed it does not want to hear it.
    let _ = std::io::stderr().write_all(text);
    Ok(())
}

/// All in one request.
fn send(deeds: &[Deed], context: &mut Context, server: &Server) -> Result<(), Failure> {
    let writes = deeds.iter().any(|deed| matches!(deed.what, Act::Write(..)));
    let tree = if writes { Some(context.open_tree(server, b".")?) } else { None };
    let mut waiting = Waiting { tree: tree.as_ref(), files: Vec::new() };
    let mut kinds = Vec::with_capacity(deeds.len());
    for deed in deeds {
        kinds.push(match &deed.what {
            Act::Mutation(mutation) => mutation.clone(),
            Act::Write(to, content) => {
                let name = waiting.write(content)?;
                Mutation::PublishStaged(PublishStaged { to: Some(to.clone()), name })
            }
        });
    }
    context.apply(server, kinds).map(|_| ())
}

/// Content in staging, locked against being cleared away. What nobody took is removed.
struct Waiting<'t> {
    tree: Option<&'t Tree>,
    files: Vec<(Vec<u8>, std::fs::File)>,
}

impl Waiting<'_> {
    fn write(&mut self, content: &[u8]) -> Result<Vec<u8>, Failure> {
        let refuse =
            |errno| Error::io(b".onewriter/staging", "cannot put the content into staging", errno);
        let broken = |e: std::io::Error| Failure::Io(format!("the content cannot be written: {e}"));
        let Some(tree) = self.tree else { return Ok(Vec::new()) };
        let staged = tree.staging().create_for_others().map_err(refuse)?;
        let mut file = staged.file().try_clone().map_err(broken)?;
        file.write_all(content).map_err(broken)?;
        let name = staged.leave().unwrap_or_default().into_bytes();
        self.files.push((name.clone(), file));
        Ok(name)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for (name, _) in &self.files {
            if let Some(tree) = self.tree {
                let _ = tree.staging().delete(name);
            }
        }
    }
}

/// Whether nothing was done before this came to pass: no daemon was found that could do it.
pub(crate) fn was_in_vain(failure: &Failure) -> bool {
    let draining = Some(Reason::Draining);
    match failure {
        Failure::Unreachable(_) | Failure::Barred { .. } | Failure::NoRoot(_) => true,
        Failure::Refused { reason, .. } => *reason == draining,
        _ => false,
    }
}
