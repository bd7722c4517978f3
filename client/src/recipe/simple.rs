//! Commands for which make needs no shell: words without anything in them that is special to one.
//!
//! With another shell than the default, make does not look any more, and a recipe would cost the
//! start of a shell that it did not cost before. So this looks as make does (`job.c`), and where it
//! is in doubt, there is a shell.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

/// What only a shell understands. A backslash is among them here: make knows what it means, but
/// hardly anybody writes one in a simple command.
const SPECIAL: &[u8] = b"#;\"*?[]&|<>(){}$`^~!\\\n";

/// Commands that a shell has built in, or that begin something.
const BUILT_IN: &[&str] = &[
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "eval", "exec", "exit",
    "export", "fc", "fg", "for", "getopts", "hash", "if", "jobs", "login", "logout", "read",
    "readonly", "return", "set", "shift", "test", "times", "trap", "type", "ulimit", "umask",
    "unalias", "unset", "wait", "while",
];

/// The words of a recipe that `shell` need not split.
pub(super) fn words(shell: &[OsString], recipe: &OsStr) -> Option<Vec<OsString>> {
    let [program, flags] = shell else { return None };
    if program != "/bin/sh" || flags != "-c" {
        return None;
    }
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut is_quoted = false;
    for &byte in recipe.as_bytes() {
        match byte {
            b'\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            b'\n' => return None,
            byte if is_quoted => word.get_or_insert_default().push(byte),
            b' ' | b'\t' => words.extend(word.take()),
            byte if SPECIAL.contains(&byte) => return None,
            // A variable for the command, before its name.
            b'=' if words.is_empty() => return None,
            byte => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    let first = words.first().filter(|first| !is_quoted && !first.is_empty())?;
    let is_built_in = BUILT_IN.iter().any(|name| name.as_bytes() == first);
    (!is_built_in).then(|| words.into_iter().map(OsString::from_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_command_needs_no_shell() {
        let shell = ["/bin/sh".into(), "-c".into()];
        let words = |recipe: &str| words(&shell, recipe.as_ref());
        for (recipe, expected) in [
            ("cc -c a.c", &["cc", "-c", "a.c"][..]),
            ("cc\t-DX=1  -o 'a b' ''", &["cc", "-DX=1", "-o", "a b", ""]),
            ("echo '$x;*' x'y'z%", &["echo", "$x;*", "xyz%"]),
        ] {
            assert_eq!(words(recipe).unwrap(), expected, "{recipe}");
        }
        for recipe in [
            "a && b", "a > b", "a *", "a \"b\"", "a $x", "X=1 a", "cd x", ": x", "a 'b",
            "a 'b\nc'", "a \\b", "~/a", "", "''", "'' a",
        ] {
            assert_eq!(words(recipe), None, "{recipe}");
        }
    }

    #[test]
    fn another_shell_is_asked() {
        for shell in [&["/bin/bash", "-c"][..], &["/bin/sh", "-ec"], &["/bin/sh"]] {
            let shell: Vec<_> = shell.iter().map(Into::into).collect();
            assert_eq!(words(&shell, "cc".as_ref()), None);
        }
    }
}
