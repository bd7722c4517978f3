//! `onewriter batch`: a list of mutations that happen together, or not at all.
//!
//! It is `onewriter run` of itself: inside the transaction, the list is applied to what is seen
//! there, line by line, as if each had been a command of its own.

mod list;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read, Seek as _, SeekFrom, Write as _},
    os::fd::OwnedFd,
};

use rustix::fs::{MemfdFlags, memfd_create};

use self::list::{Line, Mistake};
use super::{cp, install, ln, mkdir, mv, publish, publish_input, rm, run, this_program, touch};
use crate::{
    command::{COMMON, Given, Verb},
    context::{Context, is_inside_transaction},
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "batch",
    about: "Apply a list of mutations, all together or none of them",
    details: "\
LIST, or standard input, has a mutation a line, each as it would be given to onewriter itself, in
words as for a shell, as a JSON array of words, or as a JSON object of the mutation's operands and
options:

  mkdir -m 755 out/bin
  publish 'build dir/tool' out/bin/tool
  [\"ln\", \"-s\", \"tool\", \"out/bin/alias\"]
  {\"rm\": [\"out/old\"], \"recursive\": true, \"force\": true}

They are mkdir, publish, cp, install, mv, ln, rm and touch. Empty lines and those that begin with #
say nothing. No shell reads the list: variables and patterns mean themselves, and have to be quoted.

All are applied in their order to a view of the tree of their own, which replaces the tree when all
have succeeded. The first that fails is named, and nothing has happened. What is copied may lie outside
of the build root; nothing else may, not what is to be moved either.",
    operands: "[LIST]",
    count: (0, 1),
    options: &[run::ON_CONFLICT, run::RETRIES, run::KEEP_FAILED, run::VERBOSELY],
    common: COMMON,
    run: batch,
};

/// What may stand in a list.
const MUTATIONS: [&Verb; 8] = [
    &mkdir::VERB,
    &publish::VERB,
    &cp::VERB,
    &install::VERB,
    &mv::VERB,
    &ln::VERB,
    &rm::VERB,
    &touch::VERB,
];

fn batch(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let text = read(given)?;
    let lines = list::read(&text).map_err(|Mistake { number, what }| at_line(number, &what))?;
    let mutations = lines.iter().map(understood).collect::<Result<Vec<_>, _>>()?;
    if is_inside_transaction() {
        return apply(&mutations, given.value("root"), context.umask());
    }
    // What was read from a pipe cannot be read again where it has to be applied again.
    let mut list = kept(&text).map_err(|e| Failure::Io(format!("cannot keep the list: {e}")))?;
    let again = list.try_clone();
    let again = again.map_err(|e| Failure::Io(format!("cannot keep the list: {e}")))?;
    rustix::stdio::dup2_stdin(OwnedFd::from(again))
        .map_err(|e| Failure::Io(format!("cannot pass the list on: {e}")))?;
    run::run_command("batch", ourselves(context)?, given, context, || {
        let rewound = list.seek(SeekFrom::Start(0));
        rewound.map(drop).map_err(|e| Failure::Io(format!("cannot pass the list on: {e}")))
    })
}

/// In the transaction nothing tells which root it is, which the list must not leave.
fn ourselves(context: &Context) -> Result<Vec<OsString>, Failure> {
    let root = context.place()?.root().to_owned();
    Ok(vec![this_program()?.into(), "batch".into(), "--root".into(), root.into()])
}

fn read(given: &Given) -> Result<Vec<u8>, Failure> {
    let unreadable = |what: &str, e| Failure::Io(format!("'{what}' cannot be read: {e}"));
    match given.operands.first().filter(|list| *list != "-") {
        Some(list) => std::fs::read(list).map_err(|e| unreadable(&list.to_string_lossy(), e)),
        None => {
            let mut text = Vec::new();
            let read = std::io::stdin().read_to_end(&mut text);
            read.map_err(|e| unreadable("standard input", e)).map(|_| text)
        }
    }
}

fn kept(text: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("onewriter-batch", MemfdFlags::CLOEXEC)?);
    file.write_all(text)?;
    Ok(file)
}

/// A line, and what it says.
struct Mutation {
    number: usize,
    verb: &'static Verb,
    given: Given,
}

fn understood(line: &Line) -> Result<Mutation, Failure> {
    let number = line.number;
    let named = line.words.first().and_then(|name| MUTATIONS.iter().find(|v| *name == *v.name));
    let Some(verb) = named else {
        let name = line.words.first().map(|name| name.to_string_lossy()).unwrap_or_default();
        let known = MUTATIONS.map(|verb| verb.name).join(", ");
        return Err(at_line(number, &format!("'{name}' is none of {known}")));
    };
    let given = match verb.parse(&line.words[1..]) {
        Some(given) => given,
        None => slowly(verb, &line.words).map_err(|what| at_line(number, &what))?,
    };
    if verb.name == publish::VERB.name && given.operands.len() < 2 {
        return Err(at_line(number, "publish needs a SRC here: standard input is the list"));
    }
    if given.operands.iter().any(|source| publish_input::is_standard(source)) {
        return Err(at_line(number, "standard input is the list: name a file"));
    }
    Ok(Mutation { number, verb, given })
}

/// What the fast parser leaves to clap.
fn slowly(verb: &'static Verb, words: &[OsString]) -> Result<Given, String> {
    let matches = verb.clap().try_get_matches_from(words);
    let given = matches.and_then(|matches| verb.given(&matches));
    given.map_err(|error| {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        first.trim_start_matches("error: ").replace('\n', " ")
    })
}

fn at_line(number: usize, what: &str) -> Failure {
    Failure::Usage(format!("line {number} of the list: {what}"))
}

/// Applies them to the tree that is seen here, and to nothing outside of `root`, until one fails.
/// `umask`: the user's, since this process's own is gone after the first.
fn apply(mutations: &[Mutation], root: Option<&OsStr>, umask: u32) -> Result<(), Failure> {
    for Mutation { number, verb, given } in mutations {
        let mut context = Context::new(given);
        context.assume_umask(umask);
        root.into_iter().for_each(|root| context.confine(root));
        let done = context.check(given).and_then(|()| (verb.run)(given, &mut context));
        done.and_then(|()| context.output.flush()).map_err(|failure| {
            failure.with_message(|message| format!("line {number}: {}: {message}", verb.name))
        })?;
    }
    Ok(())
}
