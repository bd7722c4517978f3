//! How often a transaction is filled again after others came first, and what is said of that.

use onewriter_proto::v1::{Conflict, OnConflict};
use onewriter_tree::Reason;

use crate::{failure::Failure, output, process::Input, transaction::Wish};

/// Why something is not filled again.
const INPUT_IS_GONE: &str = "; it is not run again, since it has read of its standard input, which cannot be read again (a file can)";

/// How often it was filled again.
pub(crate) struct Reruns<'a> {
    wish: &'a Wish,
    /// What runs in it, for people.
    line: String,
    done: u64,
    input: Input,
}

impl<'a> Reruns<'a> {
    pub(crate) fn new(wish: &'a Wish, line: &str) -> Self {
        Self { wish, line: line.to_owned(), done: 0, input: Input::now() }
    }

    /// Others came first on these paths.
    pub(crate) fn yield_to_all(&mut self, conflicts: &[Conflict]) -> Result<(), Failure> {
        let (path, other) = conflicts
            .first()
            .map_or((&b"."[..], "somebody"), |conflict| (&conflict.path, &conflict.other));
        self.yield_to(path, other, conflicts.len())
    }

    /// Somebody came first on `path`, which is one of so many.
    pub(crate) fn yield_to(
        &mut self,
        path: &[u8],
        other: &str,
        count: usize,
    ) -> Result<(), Failure> {
        let more = match count {
            0 | 1 => String::new(),
            100 => ", and so were 99 others or more".into(),
            count => format!(", and so were {} others", count - 1),
        };
        let shown = output::shown(path);
        // Where that is no reason to run again, the daemon says so itself; a worker's copy does not.
        let may_rerun = self.wish.commit.on_conflict() != OnConflict::Fail;
        let again = if may_rerun { self.count() } else { Err("") };
        let again = again.map_err(|why| Failure::Refused {
            reason: Some(Reason::Conflict),
            message: format!(
                "'{shown}' was changed meanwhile by {other}{more}; this was pid {} ({}), of which nothing was kept{why}",
                std::process::id(),
                self.line
            ),
            path: shown.to_string(),
            index: None,
        })?;
        self.wish.say(format_args!(
            "'{shown}' was changed meanwhile by {other}{more}; running again ({again})"
        ));
        Ok(())
    }

    /// As in "1 of 3"; an error if it was run often enough or cannot be, to be told after what happened.
    pub(crate) fn count(&mut self) -> Result<String, &'static str> {
        if self.done == self.wish.retries {
            return Err("");
        }
        if !self.input.rewind() {
            return Err(INPUT_IS_GONE);
        }
        self.done += 1;
        Ok(format!("{} of {}", self.done, self.wish.retries))
    }
}
