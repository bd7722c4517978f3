//! What `onewriter run` was asked to do.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use onewriter_proto::v1::{OnConflict, TransactionCommit, Unchanged};

use crate::{
    command::Given,
    context::Context,
    failure::Failure,
    leased::millis,
    place::Place,
    transaction::{RETRIES, Wish},
    verbs::publish::unchanged,
};

/// A declared output.
#[derive(Debug)]
pub(super) struct Output {
    /// As it was typed.
    pub(super) typed: OsString,
    /// Relative to the root; empty in a transaction, where nobody asks.
    pub(super) path: Vec<u8>,
}

/// What keeps a command's changes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// An overlay where the kernel allows it, else [`Isolation::Outputs`].
    Auto,
    Overlay,
    /// The command itself, which writes its outputs where it is told to.
    Outputs,
}

/// The command line, understood.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) words: Vec<OsString>,
    pub(super) outputs: Vec<Output>,
    pub(super) isolation: Isolation,
    pub(super) wish: Wish,
}

impl Plan {
    /// `place`: where it is to happen; `None` in a transaction.
    pub(super) fn new(
        verb: &'static str,
        words: Vec<OsString>,
        given: &Given,
        context: &Context,
        place: Option<&Place>,
    ) -> Result<Self, Failure> {
        let output = |typed: &OsStr| {
            let path = place.map_or(Ok(Vec::new()), |place| place.relative(typed))?;
            Ok(Output { typed: typed.to_owned(), path })
        };
        let outputs = given.values("output").map(output).collect::<Result<Vec<_>, Failure>>()?;
        if outputs.is_empty() && given.has("strict") {
            return Err(Failure::Usage("--strict needs the files that may change: -o FILE".into()));
        }
        let (wait, verbose) = (context.timeout()?, given.has("verbose"));
        let wish = Wish {
            verb,
            line: words.join(OsStr::new(" ")).to_string_lossy().into_owned(),
            retries: given.number("retries")?.unwrap_or(RETRIES),
            keep_failed: given.has("keep-failed"),
            verbose,
            wait,
            commit: TransactionCommit {
                unchanged: unchanged(given, Unchanged::Keep)?,
                on_conflict: on_conflict(given)?.into(),
                keep: Vec::new(),
                outputs: outputs.iter().map(|output| output.path.clone()).collect(),
                strict: given.has("strict"),
                copy: false,
                report: verbose || context.is_json(),
                wait_ms: millis(wait),
                exit_code: 0,
            },
        };
        Ok(Self { words, isolation: isolation(given, &outputs)?, wish, outputs })
    }

    /// The command's words and variables, where its outputs are to be written to `paths`.
    pub(super) fn command(
        &self,
        paths: Vec<OsString>,
    ) -> (Vec<OsString>, Vec<(&'static str, OsString)>) {
        let words = self.words.iter().map(|word| with_paths(word, &paths)).collect();
        let mut variables = Vec::new();
        if let Some(first) = paths.first() {
            variables.push(("ONEWRITER_OUTPUT", first.clone()));
            variables.push(("ONEWRITER_OUTPUTS", paths.join(OsStr::new("\n"))));
        }
        (words, variables)
    }
}

fn isolation(given: &Given, outputs: &[Output]) -> Result<Isolation, Failure> {
    match given.text("isolation")? {
        None | Some("auto") => Ok(Isolation::Auto),
        Some("overlay") => Ok(Isolation::Overlay),
        Some("outputs") if outputs.is_empty() => Err(Failure::Usage(
            "--isolation outputs needs the files that the command makes: -o FILE".into(),
        )),
        Some("outputs") => Ok(Isolation::Outputs),
        Some(other) => {
            Err(Failure::Usage(format!("--isolation is auto, overlay or outputs, not '{other}'")))
        }
    }
}

pub(crate) fn on_conflict(given: &Given) -> Result<OnConflict, Failure> {
    match given.text("on-conflict")? {
        None | Some("rerun") => Ok(OnConflict::Rerun),
        Some("fail") => Ok(OnConflict::Fail),
        Some("last") => Ok(OnConflict::Last),
        Some(other) => {
            Err(Failure::Usage(format!("--on-conflict is rerun, fail or last, not '{other}'")))
        }
    }
}

/// `word` with the n-th path for each `{n}`, and the only one for each `{}`.
fn with_paths(word: &OsStr, paths: &[OsString]) -> OsString {
    let (mut made, mut rest) = (Vec::new(), word.as_bytes());
    while let Some(at) = rest.iter().position(|&b| b == b'{') {
        let (before, from) = rest.split_at(at);
        made.extend_from_slice(before);
        match place_holder(from, paths) {
            Some((path, length)) => {
                made.extend_from_slice(path.as_bytes());
                rest = &from[length..];
            }
            None => {
                made.push(b'{');
                rest = &from[1..];
            }
        }
    }
    made.extend_from_slice(rest);
    OsString::from_vec(made)
}

/// The path that `text` begins with a place for, and that place's length.
fn place_holder<'p>(text: &[u8], paths: &'p [OsString]) -> Option<(&'p OsString, usize)> {
    let end = text.iter().position(|&b| b == b'}')?;
    let number = match &text[1..end] {
        b"" if paths.len() == 1 => 1,
        digits => std::str::from_utf8(digits).ok()?.parse::<usize>().ok()?,
    };
    Some((paths.get(number.checked_sub(1)?)?, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_take_their_places() {
        let with = |word: &str, paths: &[&str]| {
            let paths: Vec<_> = paths.iter().map(OsString::from).collect();
            with_paths(OsStr::new(word), &paths).into_string().unwrap()
        };
        assert_eq!(with("--out={}", &["a b"]), "--out=a b");
        assert_eq!(with("x > {} 2> {1}", &["a"]), "x > a 2> a");
        assert_eq!(with("{2}{1}", &["a", "b"]), "ba");
        // What is no place for a path stays.
        assert_eq!(with("{} {3} {0} {x {-1} {", &["a", "b"]), "{} {3} {0} {x {-1} {");
        assert_eq!(with("{{1}} ${x}", &["a"]), "{a} ${x}");
        assert_eq!(with("{}", &[]), "{}");
        assert_eq!(with("{}", &["{1}"]), "{1}");
    }
}
