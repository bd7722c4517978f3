//! make's own command line, as far as it decides which makefiles are read, and from where, and how
//! many recipes run at a time.
//!
//! make takes its options as getopt_long(3) does: in any order among the goals, letters together,
//! long names abbreviated. Of the options that it takes from MAKEFLAGS only `-j` matters here:
//! neither `-f` nor `-C` is among them.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

/// What make looks for where it is given no `-f`, in this order.
const MAKEFILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

/// The letters whose value is the rest of the word, or the next one.
const WITH_VALUE: &[u8] = b"CEfIoW";

/// The letters whose value is the rest of the word, if anything is.
const WITH_REST: &[u8] = b"lO";

/// The long options that need a value.
const LONG_WITH_VALUE: &[&str] = &[
    "assume-new",
    "assume-old",
    "directory",
    "eval",
    "file",
    "include-dir",
    "makefile",
    "new-file",
    "old-file",
    "what-if",
];

/// The others, which an abbreviation may mean instead.
const LONG_WITHOUT: &[&str] = &[
    "always-make",
    "check-symlink-times",
    "debug",
    "dry-run",
    "environment-overrides",
    "help",
    "ignore-errors",
    "jobs",
    "jobserver-auth",
    "jobserver-fds",
    "jobserver-style",
    "just-print",
    "keep-going",
    "load-average",
    "max-load",
    "no-builtin-rules",
    "no-builtin-variables",
    "no-keep-going",
    "no-print-directory",
    "no-silent",
    "output-sync",
    "print-data-base",
    "print-directory",
    "question",
    "quiet",
    "recon",
    "shuffle",
    "silent",
    "stop",
    "sync-mutex",
    "touch",
    "trace",
    "version",
    "warn-undefined-variables",
];

/// What the options say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// Where make goes before it reads anything, relative to where it is started.
    pub(super) directory: PathBuf,
    /// Behind which argument the last makefile is named; `None` where none is.
    last_file: Option<usize>,
    /// It only prints something about itself.
    pub(super) is_question: bool,
    /// It is told what to make, or given a line of a makefile.
    has_goals: bool,
    /// How many jobs it is told to run at a time: 0 for any number; `None` where it is not told.
    jobs: Option<u32>,
}

impl Arguments {
    pub(super) fn of(arguments: &[OsString]) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        while let Some(argument) = arguments.get(at) {
            let word = argument.as_bytes();
            let next = arguments.get(at + 1).map(|next| next.as_bytes());
            at += 1;
            let takes_next = match word {
                b"--" => {
                    found.has_goals |= at < arguments.len();
                    break;
                }
                [b'-', b'-', long @ ..] => found.long(long, next, at),
                [b'-', first, rest @ ..] => found.letters(*first, rest, next, at),
                _ => {
                    found.has_goals |= !word.contains(&b'=');
                    false
                }
            };
            at += usize::from(takes_next);
        }
        found
    }

    /// A word of letters; whether the next word belongs to it.
    fn letters(&mut self, first: u8, rest: &[u8], next: Option<&[u8]>, at: usize) -> bool {
        let (mut letter, mut rest) = (first, rest);
        loop {
            if WITH_VALUE.contains(&letter) {
                let takes_next = rest.is_empty();
                let value = if takes_next { next } else { Some(rest) };
                self.option(letter, value, at + usize::from(takes_next));
                return takes_next;
            }
            if letter == b'j' {
                return self.count_jobs((!rest.is_empty()).then_some(rest), next);
            }
            if WITH_REST.contains(&letter) && !rest.is_empty() {
                return false;
            }
            self.is_question |= matches!(letter, b'h' | b'v');
            let Some((&following, more)) = rest.split_first() else { return false };
            (letter, rest) = (following, more);
        }
    }

    fn long(&mut self, word: &[u8], next: Option<&[u8]>, at: usize) -> bool {
        let mut parts = word.splitn(2, |&b| b == b'=');
        let (name, inline) = (parts.next().unwrap_or_default(), parts.next());
        let Some(name) = full_name(name) else { return false };
        self.is_question |= matches!(name, "help" | "version");
        if name == "jobs" {
            return self.count_jobs(inline, next);
        }
        if !LONG_WITH_VALUE.contains(&name) {
            return false;
        }
        let letter = match name {
            "directory" => b'C',
            "file" | "makefile" => b'f',
            "eval" => b'E',
            _ => b'o',
        };
        let takes_next = inline.is_none();
        self.option(letter, inline.or(next), at + usize::from(takes_next));
        takes_next
    }

    /// `-j`, whose number may be the next word; whether it is.
    fn count_jobs(&mut self, inline: Option<&[u8]>, next: Option<&[u8]>) -> bool {
        let begins_with_digit = |word: &[u8]| word.first().is_some_and(u8::is_ascii_digit);
        let takes_next = inline.is_none() && next.is_some_and(begins_with_digit);
        self.jobs = number(if takes_next { next } else { inline });
        takes_next
    }

    /// `behind`: where the next argument begins.
    fn option(&mut self, letter: u8, value: Option<&[u8]>, behind: usize) {
        // A value that is missing is make's to complain about.
        let Some(value) = value else { return };
        match letter {
            b'C' => self.directory.push(at_home(value)),
            b'f' => self.last_file = Some(behind),
            b'E' => self.has_goals = true,
            _ => {}
        }
    }

    /// How many jobs run at a time, unless a makefile says otherwise; 0 for any number. `flags` are
    /// make's options by its environment.
    pub(super) fn jobs(&self, flags: Option<OsString>) -> u32 {
        let words = flags.as_deref().unwrap_or_default().as_bytes().split(|&b| b == b' ');
        let words: Vec<_> = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
        let by_environment = || Self::of(&words).jobs;
        self.jobs.or_else(by_environment).unwrap_or(1)
    }

    /// Where there is none, make says so.
    pub(super) fn directory_is_there(&self) -> bool {
        self.directory.as_os_str().is_empty() || self.directory.is_dir()
    }

    /// The same arguments, and `tail` read after all makefiles.
    pub(super) fn with_tail(&self, arguments: &[OsString], tail: &OsStr) -> Vec<OsString> {
        let file = |path: &OsStr| ["-f".into(), path.to_owned()];
        let mut made = Vec::with_capacity(arguments.len() + 4);
        let behind = match self.last_file {
            Some(behind) => behind,
            None => match MAKEFILES.iter().find(|name| is_there(&self.directory.join(name))) {
                Some(found) => {
                    made.extend(file(found.as_ref()));
                    0
                }
                // make shall say that there is no makefile, in its own words.
                None if !self.has_goals => return arguments.to_vec(),
                None => 0,
            },
        };
        let (before, after) = arguments.split_at(behind);
        made.extend_from_slice(before);
        made.extend(file(tail));
        made.extend_from_slice(after);
        made
    }
}

/// Without a number, as many as there are; what is none is make's to complain about.
fn number(text: Option<&[u8]>) -> Option<u32> {
    match text {
        None | Some([]) => Some(0),
        Some(text) => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// A long option among make's arguments that make does not know, and which of `ours` it may be meant to
/// be.
pub(super) fn mistaken(
    arguments: &[OsString],
    ours: impl Iterator<Item = &'static str> + Clone,
) -> Option<(&str, &'static str)> {
    let words = arguments.iter().take_while(|word| *word != "--");
    let mut names = words.filter_map(|word| word.to_str()?.strip_prefix("--")?.split('=').next());
    names.find_map(|name| {
        let is_unknown = !name.is_empty() && candidates(name.as_bytes()).next().is_none();
        let mut near = ours.clone().filter(|our| strsim::damerau_levenshtein(name, our) <= 2);
        is_unknown.then(|| near.next())?.map(|our| (name, our))
    })
}

/// The long options that begin with `name`.
fn candidates(name: &[u8]) -> impl Iterator<Item = &'static &'static str> {
    let all = LONG_WITH_VALUE.iter().chain(LONG_WITHOUT);
    all.filter(move |long| long.as_bytes().starts_with(name))
}

/// What an abbreviation stands for; `None` where that is not certain.
fn full_name(name: &[u8]) -> Option<&'static str> {
    let exact = candidates(name).find(|long| long.as_bytes() == name);
    let mut beginning = candidates(name);
    let only = beginning.next().filter(|_| beginning.next().is_none());
    exact.or(only).copied()
}

/// make sees names, not what they lead to.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// make knows `~/` as shells do.
fn at_home(value: &[u8]) -> PathBuf {
    let value = match (value.strip_prefix(b"~/"), env::var_os("HOME")) {
        (Some(rest), Some(home)) => return Path::new(&home).join(OsStr::from_bytes(rest)),
        _ => value,
    };
    OsString::from_vec(value.to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn what_make_does_not_know_may_be_ours() {
        let ours = ["quiet", "unchanged", "root"];
        for (line, found) in [
            ("--unchaged keep", Some(("unchaged", "unchanged"))),
            ("-j8 --unchanged=keep", Some(("unchanged", "unchanged"))),
            ("--rooot x all", Some(("rooot", "root"))),
            ("--quiet --silent --quie", None),
            ("--something all", None),
            ("-- --unchaged", None),
            ("", None),
        ] {
            assert_eq!(mistaken(&words(line), ours.into_iter()), found, "{line}");
        }
    }

    #[test]
    fn the_tail_comes_after_the_last_makefile() {
        for (line, expected) in [
            ("-f a all", "-f a -f TAIL all"),
            ("all -fa -j8", "all -fa -f TAIL -j8"),
            ("-f a -f b x", "-f a -f b -f TAIL x"),
            ("--file=a --makefile b -- x", "--file=a --makefile b -f TAIL -- x"),
            ("--makef a -kf b", "--makef a -kf b -f TAIL"),
            ("-f - x=-f", "-f - -f TAIL x=-f"),
            ("-j -f a -j2f -l2.5 -Ofa", "-j -f a -f TAIL -j2f -l2.5 -Ofa"),
            ("-C nowhere -j 4", "-C nowhere -j 4"),
            ("-o -f -Ifb x -C nowhere", "-f TAIL -o -f -Ifb x -C nowhere"),
            ("x -C nowhere -- -f a", "-f TAIL x -C nowhere -- -f a"),
            ("-C nowhere", "-C nowhere"),
            ("-C nowhere -E x:", "-f TAIL -C nowhere -E x:"),
            ("--eval=x: -C nowhere", "-f TAIL --eval=x: -C nowhere"),
            ("-C nowhere x=1", "-C nowhere x=1"),
        ] {
            let arguments = words(line);
            let made = Arguments::of(&arguments).with_tail(&arguments, "TAIL".as_ref());
            assert_eq!(made, words(expected), "{line}");
        }
    }

    #[test]
    fn directories_follow_each_other() {
        for (line, directory) in [
            ("-C a -kC b", "a/b"),
            ("-Ca --directory=../c", "a/../c"),
            ("--dir a -C /x -C y", "/x/y"),
            ("-I -C x", ""),
            ("-- -C x", ""),
        ] {
            assert_eq!(Arguments::of(&words(line)).directory, Path::new(directory), "{line}");
        }
    }

    #[test]
    fn jobs_are_counted_as_make_counts_them() {
        for (line, flags, jobs) in [
            ("all", "", 1),
            ("-j8", "", 8),
            ("-kj 4 all", "", 4),
            ("-j all", "", 0),
            ("--jobs=3 --jobs", "", 0),
            ("--jobs 3", "", 3),
            ("-- -j3", "", 1),
            ("all", "k -j5 --no-print-directory", 5),
            ("-j2", " -j5", 2),
            ("-jx", "", 1),
        ] {
            assert_eq!(
                Arguments::of(&words(line)).jobs(Some(flags.into())),
                jobs,
                "{line}, {flags}"
            );
        }
    }

    #[test]
    fn questions_about_make_itself_are_told_apart() {
        for (line, is_question) in [
            ("-v", true),
            ("-kv", true),
            ("--help", true),
            ("--vers", true),
            ("-fv", false),
            ("-jv", false),
            ("-- -v", false),
            ("-n", false),
        ] {
            assert_eq!(Arguments::of(&words(line)).is_question, is_question, "{line}");
        }
    }
}
