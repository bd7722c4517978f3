//! The command line with which make calls its shell, as the last makefile has it (`tail.mk`):
//!
//! ```text
//! sh '' --target T --dir D --prereqs P --shell SHELL... --flags FLAG... RECIPE
//! ```

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use super::simple;

/// The fields, in their order.
const FIELDS: [&str; 5] = ["--target", "--dir", "--prereqs", "--shell", "--flags"];

/// A recipe that make wants to be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// What is made; empty where make only wants to know something.
    pub(super) target: OsString,
    /// Where make stands.
    pub(super) directory: OsString,
    /// What it is made from, with spaces between.
    pub(super) prerequisites: OsString,
    /// The shell and its flags.
    pub(super) shell: Vec<OsString>,
    /// How many words of those are not flags.
    pub(super) shell_length: usize,
    /// What the shell is to run.
    pub(super) recipe: OsString,
}

impl Words {
    /// `None`: it was not make that called, or not in the way of `tail.mk`.
    pub(super) fn of(arguments: &[OsString]) -> Option<Self> {
        // Under .ONESHELL, make splits at spaces and takes quotes for letters.
        let is_split = match arguments.get(1)?.as_bytes() {
            b"" => false,
            b"''" => true,
            _ => return None,
        };
        let (recipe, rest) = arguments.get(2..)?.split_last()?;
        let mut begins = [0; FIELDS.len()];
        let mut from = 0;
        for (field, begin) in FIELDS.iter().zip(&mut begins) {
            // A field that is one word has its place, whatever it says.
            let place = match is_split || *field == "--flags" {
                true => from + rest[from..].iter().position(|word| word == field)?,
                false => from,
            };
            if rest.get(place)? != field {
                return None;
            }
            *begin = place + 1;
            let is_list = is_split || matches!(*field, "--shell" | "--flags");
            from = if is_list { place + 1 } else { place + 2 };
            rest.get(from..)?;
        }
        let field = |at: usize| &rest[begins[at]..begins[at + 1] - 1];
        let value = |at: usize| match (is_split, field(at)) {
            (false, [word]) => word.clone(),
            (_, words) => unquoted(&words.join(OsStr::new(" "))),
        };
        let shell = [field(3), &rest[begins[4]..]].concat();
        Some(Self {
            target: value(0),
            directory: value(1),
            prerequisites: value(2),
            shell_length: field(3).len(),
            shell,
            recipe: recipe.clone(),
        })
    }

    /// What stands before the real flags in `$(.SHELLFLAGS)`, as `tail.mk` has it.
    pub(super) fn before_flags(&self) -> Vec<u8> {
        let values = [&self.target, &self.directory, &self.prerequisites];
        let mut text = b"''".to_vec();
        for (field, value) in FIELDS.iter().zip(values) {
            let quoted = value.as_bytes().split(|&b| b == b'\'').collect::<Vec<_>>();
            let quoted = quoted.join(&br"'\''"[..]);
            text.extend([b" ", field.as_bytes(), b" '", &quoted, b"'"].concat());
        }
        let shell = self.shell[..self.shell_length].join(OsStr::new(" "));
        text.extend([b" --shell ", shell.as_bytes(), b" --flags "].concat());
        text
    }

    /// What is to be executed: the shell's whole command line, or a command that needs none.
    pub(super) fn command(&self) -> Vec<OsString> {
        if let Some(words) = simple::words(&self.shell, &self.recipe) {
            return words;
        }
        let mut words = self.shell.clone();
        words.push(self.recipe.clone());
        words
    }
}

/// Without the single quotes around it.
fn unquoted(word: &OsStr) -> OsString {
    let word = word.as_bytes();
    let word = word.strip_prefix(b"'").unwrap_or(word);
    let mut rest = word.strip_suffix(b"'").unwrap_or(word);
    let mut made = Vec::with_capacity(rest.len());
    while let Some((&byte, more)) = rest.split_first() {
        let quote = rest.strip_prefix(br"'\''");
        made.push(byte);
        rest = quote.unwrap_or(more);
    }
    OsString::from_vec(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Option<Words> {
        Words::of(&list.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_recipe_comes_in_words() {
        let found = words(&[
            "/t/sh",
            "",
            "--target",
            "it's",
            "--dir",
            "--target",
            "--prereqs",
            "a b",
            "--shell",
            "/usr/bin/env",
            "bash",
            "--flags",
            "-e",
            "-c",
            "--flags",
        ])
        .unwrap();
        assert_eq!((found.target, found.directory), ("it's".into(), "--target".into()));
        assert_eq!(found.prerequisites, "a b");
        assert_eq!(found.shell, ["/usr/bin/env", "bash", "-e", "-c"]);
        assert_eq!((found.shell_length, found.recipe), (2, "--flags".into()));
    }

    #[test]
    fn what_stands_before_the_flags_is_known() {
        let line = "--dir,/d,--prereqs,a b,--shell,/usr/bin/env,bash,--flags,-c,recipe";
        let found = words(
            &[&["sh", "", "--target", "it's"], &line.split(',').collect::<Vec<_>>()[..]].concat(),
        );
        let expected =
            r"'' --target 'it'\''s' --dir '/d' --prereqs 'a b' --shell /usr/bin/env bash --flags ";
        assert_eq!(found.unwrap().before_flags(), expected.as_bytes());
    }

    #[test]
    fn flags_may_be_missing() {
        let line = ["sh", "", "--target", "", "--dir", "/", "--prereqs", "", "--shell", "perl"];
        let found = words(&[&line[..], &["--flags", "x"]].concat()).unwrap();
        assert_eq!((found.shell.len(), found.recipe), (1, "x".into()));
        assert_eq!(words(&line), None);
    }

    #[test]
    fn under_oneshell_quotes_are_letters() {
        let found = words(&[
            "/t/sh",
            "''",
            "--target",
            r"'it'\''s",
            "me'",
            "--dir",
            "'/a",
            "b'",
            "--prereqs",
            "''",
            "--shell",
            "/bin/sh",
            "--flags",
            "-c",
            "echo 1\necho 2",
        ])
        .unwrap();
        assert_eq!((found.target, found.directory), ("it's me".into(), "/a b".into()));
        assert_eq!((found.prerequisites, found.recipe), ("".into(), "echo 1\necho 2".into()));
        assert_eq!(found.shell, ["/bin/sh", "-c"]);
    }

    #[test]
    fn other_calls_are_not_makes() {
        for line in [
            &["sh", "-c", "echo"][..],
            &["sh"],
            &["sh", ""],
            &["sh", "", "--target"],
            &["sh", "''", "--target", "--dir", "x"],
            &["sh", "", "--target", "a", "--shell", "b", "--flags", "c", "d"],
        ] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
