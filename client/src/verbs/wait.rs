//! `onewriter wait`: waits until something is at a path.

use onewriter_proto::v1::{Awaited, WaitRequest, WaitResponse};
use serde_json::{Value, json};

use super::{MANY, stat};
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::{Context, is_inside_transaction},
    failure::Failure,
    output::{path_fields, shown},
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "wait",
    about: "Wait until something is at each path",
    details: "\
A file counts, and a directory, also at the end of a symbolic link. What the daemon brings is noticed
at once, what comes otherwise within a second. With --changed, only what is made, replaced or changed
after the wait has begun, in a directory also what is below it; with --from, after that record of the
journal ('onewriter watch' and --json tell the numbers).

Exits with 5 when --timeout is over, and says who works on the path, if anybody does. In 'onewriter
run', and in a recipe of 'onewriter make', it is refused: there, what others publish does not appear.",
    operands: "PATH...",
    count: (1, MANY),
    options: &[
        Opt::flag('c', "changed", "Wait for a change, also where something is there already"),
        Opt::value('f', "from", "SEQ", "Wait for a change after this record"),
        Opt::flag('v', "verbose", "Say what has come"),
    ],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = server(context)?;
    let since = given.number("from")?.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let mut errand = Errand {
        changed: given.has("changed") || since.is_some(),
        since,
        paths: server.paths(&given.operands)?,
        missing: (0..given.operands.len()).collect(),
        found: Vec::new(),
    };
    let mut session = context.session(&server)?;
    session.stream_again("/onewriter.v1.Reading/Wait", |call| {
        call.send_last(&errand.request())?;
        // The daemon that goes on with it is not to look for what has come.
        let asked = errand.missing.clone();
        while !errand.missing.is_empty()
            && let Some(answer) = call.recv::<WaitResponse>()?
        {
            errand.take(&asked, answer);
        }
        Ok(())
    })?;
    if context.is_json() {
        return context.output.json(&errand.as_json());
    }
    if given.has("verbose") {
        for (which, _) in &errand.found {
            context.output.line(format_args!("'{}' is there", shown(&errand.paths[*which])))?;
        }
    }
    Ok(())
}

fn server(context: &Context) -> Result<Server, Failure> {
    let barred = |message: &str, hint| Failure::Barred { message: message.into(), hint };
    if is_inside_transaction() {
        return Err(barred(
            "a command in a transaction sees a tree of its own, in which what others publish does \
             not appear: it would wait in vain",
            "wait before 'onewriter run', not in it; in a Makefile, name the file as a prerequisite, \
             or run the recipe without a transaction: 'onewriter make --unwrapped TARGET'",
        ));
    }
    if context.is_direct() {
        let why = "the daemon knows when something comes, and ONEWRITER=off wants none";
        return Err(barred(why, "leave out ONEWRITER=off"));
    }
    context.server()
}

/// What is waited for, and what has come.
struct Errand {
    changed: bool,
    /// Where the wait began, once a daemon has told.
    since: Option<i64>,
    paths: Vec<Vec<u8>>,
    /// Places among the paths, as in `found`.
    missing: Vec<usize>,
    found: Vec<(usize, Awaited)>,
}

impl Errand {
    fn request(&self) -> WaitRequest {
        WaitRequest {
            context: None,
            paths: self.missing.iter().map(|&which| self.paths[which].clone()).collect(),
            changed: self.changed,
            after_seq: self.since.filter(|_| self.changed),
        }
    }

    /// What was `asked` for has come, in part.
    fn take(&mut self, asked: &[usize], answer: WaitResponse) {
        self.since = Some(answer.seq);
        for one in answer.found {
            if let Some(&which) = asked.get(one.index as usize) {
                self.missing.retain(|missing| *missing != which);
                self.found.push((which, one));
            }
        }
    }

    fn as_json(&self) -> Value {
        let found = self.found.iter().map(|(which, awaited)| {
            let mut object = path_fields("asked", &self.paths[*which]);
            object.extend(awaited.stat.iter().flat_map(stat::as_json));
            if awaited.seq != 0 {
                object.insert("seq".into(), awaited.seq.into());
            }
            Value::Object(object)
        });
        json!({ "seq": self.since, "found": found.collect::<Vec<_>>() })
    }
}
