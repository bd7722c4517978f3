//! Whether make goes on when a recipe line has failed: then what the line did has to stay, as whatever
//! comes next will look for it.
//!
//! make strips the `-` from a line and tells nobody of it. So, when a line has failed, it is looked for
//! in the makefiles. There it has variables in it, which are not known here and may be anything. Of all
//! lines that it may have been, the one that has most letters of it decides.

use std::{env, ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path};

use super::{between_blanks, words::Words};

/// The makefiles, with spaces between them, relative to where make stands (`tail.mk`).
const MAKEFILES: &str = "ONEWRITER_MAKEFILES";

/// Whether make ignores that this recipe has failed.
pub(super) fn is_ignored(words: &Words) -> bool {
    if ignores_all() {
        return true;
    }
    let names = env::var_os(MAKEFILES).unwrap_or_default();
    let directory = Path::new(&words.directory);
    let texts = between_blanks(names.as_bytes())
        .filter_map(|name| fs::read(directory.join(OsStr::from_bytes(name))).ok());
    is_ignored_in(texts, words.target.as_bytes(), words.recipe.as_bytes())
}

/// `make -i`: the first word of MAKEFLAGS holds the flags of one letter.
fn ignores_all() -> bool {
    let flags = env::var_os("MAKEFLAGS").unwrap_or_default();
    let letters = flags.as_bytes().split(|&b| b == b' ').next().unwrap_or_default();
    let is_letters = letters.iter().all(u8::is_ascii_alphabetic);
    is_letters && letters.contains(&b'i')
}

fn is_ignored_in(texts: impl Iterator<Item = Vec<u8>>, target: &[u8], recipe: &[u8]) -> bool {
    let recipe = without_blanks(recipe);
    // How many letters the best line has, and whether it is one that may fail.
    let mut best = None;
    for text in texts {
        for line in logical_lines(&text) {
            if ignores_target(&line, target) {
                return true;
            }
            for shape in shapes(&line) {
                if shape.fits(&recipe) {
                    best = best.max(Some((shape.letters(), shape.may_fail)));
                }
            }
        }
    }
    best.is_some_and(|(_, may_fail)| may_fail)
}

/// `.IGNORE: TARGET...`, or of all targets.
fn ignores_target(line: &[u8], target: &[u8]) -> bool {
    let behind = line.strip_prefix(b".IGNORE").map(<[u8]>::trim_ascii_start);
    let Some(names) = behind.and_then(|behind| behind.strip_prefix(b":")) else { return false };
    let mut names = between_blanks(names).peekable();
    names.peek().is_none() || names.any(|name| name == target)
}

/// Lines, those that end in a backslash joined with the next one.
fn logical_lines(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut lines = text.split(|&b| b == b'\n');
    std::iter::from_fn(move || {
        let mut line = lines.next()?.to_vec();
        while line.ends_with(b"\\") {
            let Some(more) = lines.next() else { break };
            line.push(b'\n');
            line.extend_from_slice(more);
        }
        Some(line)
    })
}

/// A line as a makefile has it.
struct Shape {
    /// What stands between its variables, without blanks.
    fragments: Vec<Vec<u8>>,
    may_fail: bool,
}

/// What a line of a makefile may mean as a recipe: as a whole, behind a `;`, and with a variable at its
/// beginning that holds nothing, or `@`.
fn shapes(line: &[u8]) -> Vec<Shape> {
    let behind = line.iter().position(|&b| b == b';').map(|at| &line[at + 1..]);
    let mut shapes = Vec::new();
    for mut rest in [Some(line), behind].into_iter().flatten() {
        let mut may_fail = false;
        loop {
            match rest {
                [b'-', more @ ..] => (may_fail, rest) = (true, more),
                [b'@' | b'+' | b' ' | b'\t', more @ ..] => rest = more,
                [b'$', ..] => {
                    let behind = &rest[length_of_reference(rest)..];
                    // As in `$(Q)-rm`.
                    if !behind.starts_with(b"-") {
                        shapes.push(Shape { fragments: fragments(rest), may_fail });
                    }
                    rest = behind;
                }
                _ => break,
            }
        }
        shapes.push(Shape { fragments: fragments(rest), may_fail });
    }
    shapes
}

impl Shape {
    fn letters(&self) -> usize {
        self.fragments.iter().map(Vec::len).sum()
    }

    fn fits(&self, recipe: &[u8]) -> bool {
        let [first, middle @ .., last] = &self.fragments[..] else {
            return self.fragments.first().is_some_and(|only| only == recipe);
        };
        let Some(mut rest) = recipe.strip_prefix(&first[..]) else { return false };
        for fragment in middle.iter().filter(|fragment| !fragment.is_empty()) {
            let Some(at) = rest.windows(fragment.len()).position(|window| window == fragment)
            else {
                return false;
            };
            rest = &rest[at + fragment.len()..];
        }
        rest.ends_with(last)
    }
}

/// What stands before, between and behind the variables of a line.
fn fragments(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut fragments, mut fragment, mut rest) = (Vec::new(), Vec::new(), line);
    while let Some((&byte, more)) = rest.split_first() {
        match rest {
            [b'$', b'$', more @ ..] => {
                fragment.push(b'$');
                rest = more;
            }
            [b'$', ..] => {
                fragments.push(without_blanks(&std::mem::take(&mut fragment)));
                rest = &rest[length_of_reference(rest)..];
            }
            _ => {
                fragment.push(byte);
                rest = more;
            }
        }
    }
    fragments.push(without_blanks(&fragment));
    fragments
}

/// How long the variable, or call of a function, is with which this begins.
fn length_of_reference(text: &[u8]) -> usize {
    let (open, close) = match text.get(1) {
        Some(b'(') => (b'(', b')'),
        Some(b'{') => (b'{', b'}'),
        other => return 1 + usize::from(other.is_some()),
    };
    let mut depth = 0_usize;
    for (at, &byte) in text.iter().enumerate().skip(1) {
        depth += usize::from(byte == open);
        depth -= usize::from(byte == close);
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Blanks are many or one, and a line is broken or not.
fn without_blanks(text: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let breaks = byte == b'\\' && text.get(at + 1) == Some(&b'\n');
        if !breaks && !byte.is_ascii_whitespace() {
            made.push(byte);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ignored(makefile: &str, recipe: &str) -> bool {
        is_ignored_in([makefile.into()].into_iter(), b"all", recipe.as_bytes())
    }

    #[test]
    fn a_line_is_found_again() {
        for (makefile, recipe) in [
            ("all:\n\t-rm a\n\trm b\n", "rm a"),
            ("all:\n\t@ -@rm a\n", "rm a"),
            ("all: ; -rm a\n", "rm a"),
            ("all:\n\t$(Q)-$(RM) a $(B)\n", "/bin/rm -f a b c"),
            ("all:\n\t-$(if $(x),(,)) $(A) $${b}\n\t$(A)\n", "( x ${b}"),
            (
                "all:\n\t-for a in b; do \\\n\t  rm $$a; \\\n\tdone\n",
                "for a in b; do \\\n  rm $a; \\\ndone",
            ),
            ("all:\n\trm a\n.IGNORE: b all\n", "rm a"),
            (".IGNORE:\nall:\n\trm a\n", "rm a"),
        ] {
            assert!(is_ignored(makefile, recipe), "{makefile}");
        }
    }

    #[test]
    fn a_line_that_must_not_fail_is_none() {
        for (makefile, recipe) in [
            ("all:\n\trm a\n\t-rm b\n", "rm a"),
            ("all:\n\t$(RM) -f a\n", "rm -f a"),
            ("all:\n\t-$(X)\n\t$(CC) -c a.c\n", "gcc -c a.c"),
            ("-include a\nall:\n\t$(A)\n", "touch a"),
            ("all:\n\trm a\n.IGNORE: b\n", "rm a"),
            ("all:\n\t-rm b $(", "rm a"),
            ("", "rm a"),
        ] {
            assert!(!is_ignored(makefile, recipe), "{makefile}");
        }
    }
}
