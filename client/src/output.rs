//! What commands print: data on standard output, everything else on standard error.

use std::io::Write as _;

use onewriter_proto::v1;
use onewriter_tree::Printable;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// Collects what goes to standard output, and writes it in large pieces.
#[derive(Debug, Default)]
pub(crate) struct Output {
    waiting: Vec<u8>,
}

/// What is worth a write.
const PIECE: usize = 64 * 1024;

impl Output {
    /// One line.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        let _ = writeln!(self.waiting, "{line}");
        self.spill()
    }

    /// One JSON value, on a line.
    pub(crate) fn json(&mut self, value: &Value) -> Result<(), Failure> {
        self.line(value)
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() < PIECE {
            self.waiting.extend_from_slice(bytes);
            return self.spill();
        }
        self.flush()?;
        write_all(bytes)
    }

    fn spill(&mut self) -> Result<(), Failure> {
        if self.waiting.len() < PIECE { Ok(()) } else { self.flush() }
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = write_all(&self.waiting);
        self.waiting.clear();
        written
    }
}

fn write_all(mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(rustix::stdio::stdout(), bytes)) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) => return Err(Failure::Io(format!("cannot write to standard output: {e}"))),
        }
    }
    Ok(())
}

/// One line of what happened, then what to do about it.
pub(crate) fn failure(verb: &str, failure: &Failure, as_json: bool, output: &mut Output) {
    let mut text = format!("onewriter {verb}: {failure}\n");
    if let Some(hint) = failure.hint(verb) {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
    if as_json {
        failure_as_json(failure, output);
    }
    let _ = output.flush();
}

/// What a program is told of a failure.
pub(crate) fn failure_as_json(failure: &Failure, output: &mut Output) {
    let mut error = Map::new();
    error.insert("reason".into(), failure.reason().into());
    error.insert("message".into(), failure.to_string().into());
    if let Failure::Refused { path, .. } = failure {
        error.insert("path".into(), path.clone().into());
    }
    let _ = output.json(&json!({ "error": error }));
}

/// An outcome as it is in the journal.
pub(crate) fn outcome(change: &v1::Change) -> String {
    change.outcome().as_str_name().trim_start_matches("OUTCOME_").to_lowercase()
}

/// The changes of a mutation, as `--json` has them.
pub(crate) fn changes(changes: &[v1::Change]) -> Value {
    let change = |change: &v1::Change| {
        let mut object = path_fields("path", &change.path);
        object.insert("outcome".into(), outcome(change).into());
        object.insert("bytes".into(), change.bytes.into());
        Value::Object(object)
    };
    json!({ "changes": changes.iter().map(change).collect::<Vec<_>>() })
}

/// A path as a string for people, and as base64 where it is not UTF-8.
pub(crate) fn path_fields(name: &str, path: &[u8]) -> Map<String, Value> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let mut object = Map::new();
    object.insert(name.into(), String::from_utf8_lossy(path).into());
    if std::str::from_utf8(path).is_err() {
        object.insert(format!("{name}_base64"), BASE64_STANDARD.encode(path).into());
    }
    object
}

/// A path for a terminal.
pub(crate) fn shown(path: &[u8]) -> Printable<'_> {
    Printable(path)
}
