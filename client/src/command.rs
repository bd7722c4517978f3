//! Command lines: one table for each verb, from which come a parser that costs nothing at
//! start-up, and clap's for everything that a person reads.
//!
//! The fast one knows the common forms (`-p`, `-m 755`, `-m755`, `--mode=755`, `--`). What it does
//! not understand, and every request for help, goes to clap, which is built from the same table.

mod help;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

pub(crate) use self::help::flowing;
use crate::{context::Context, failure::Failure};

/// A subcommand.
#[derive(Debug)]
pub struct Verb {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// The rest of `--help`, or nothing.
    pub details: &'static str,
    /// As in `SRC DST`; empty for none; beginning with `CMD` for a command that is to be run. After
    /// a `|`, as they are in another form of the command.
    pub operands: &'static str,
    /// The fewest and the most operands.
    pub count: (usize, usize),
    /// Its own options.
    pub options: &'static [Opt],
    /// What it knows of [`COMMON`].
    pub common: &'static [Opt],
    /// Does it.
    pub run: fn(&Given, &mut Context) -> Result<(), Failure>,
}

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// As in `-p`; `'\0'` for none.
    pub short: char,
    /// As in `--parents`; also its name in [`Given`].
    pub long: &'static str,
    /// What its value is called in the help; `None` if it takes none.
    pub value: Option<&'static str>,
    /// One line.
    pub help: &'static str,
}

impl Opt {
    /// One without a value.
    pub const fn flag(short: char, long: &'static str, help: &'static str) -> Self {
        Self { short, long, value: None, help }
    }

    /// One with a value.
    pub const fn value(
        short: char,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self { short, long, value: Some(value), help }
    }
}

/// `--json`, of all that print a result.
pub const JSON: Opt = Opt::flag('\0', "json", "Print the result as JSON, for programs");

/// The options of every verb that works on a build root.
pub const COMMON: &[Opt] = &[
    Opt::value(
        '\0',
        "root",
        "DIR",
        "The build root, instead of the nearest parent with a .onewriter [env: ONEWRITER_ROOT]",
    ),
    Opt::value(
        '\0',
        "server",
        "ADDRESS",
        "The daemon's address, as in https://HOST:PORT or unix:/path/to/daemon.sock; etcd://HOST:PORT/NAME is whichever owns that root of a cluster [env: ONEWRITER_SERVER]",
    ),
    Opt::value(
        '\0',
        "tls-ca",
        "FILE",
        "Trust servers whose certificate one in FILE has signed (PEM) [default: those that the system trusts] [env: ONEWRITER_TLS_CA]",
    ),
    Opt::value(
        '\0',
        "tls-cert",
        "FILE",
        "The client's certificate for https:// (PEM) [env: ONEWRITER_TLS_CERT]",
    ),
    Opt::value('\0', "tls-key", "FILE", "The key of --tls-cert (PEM) [env: ONEWRITER_TLS_KEY]"),
    Opt::value(
        '\0',
        "token-file",
        "FILE",
        "The client's token, in a file [env: ONEWRITER_TOKEN_FILE]",
    ),
    Opt::value(
        '\0',
        "timeout",
        "SECONDS",
        "Wait at most so long for locks and the daemon [default: 300] [env: ONEWRITER_TIMEOUT]",
    ),
    Opt::value('\0', "build", "ID", "The build that this belongs to [env: ONEWRITER_BUILD]"),
    Opt::value(
        '\0',
        "target",
        "NAME",
        "The make target that this is done for [env: ONEWRITER_TARGET]",
    ),
    Opt::value(
        '\0',
        "lease",
        "TOKEN",
        "Refuse to do anything unless this lease is held [env: ONEWRITER_LEASE]",
    ),
    JSON,
];

/// Moves common options that come before the verb behind it, where everything else expects them.
pub(crate) fn verb_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let at = before_verb(&arguments);
    if at > 1 && at < arguments.len() {
        arguments[1..=at].rotate_right(1);
    }
    arguments
}

/// Whether there are common options, and nothing that they could be for.
pub(crate) fn lacks_verb(arguments: &[OsString]) -> bool {
    arguments.len() > 1 && before_verb(arguments) >= arguments.len()
}

/// How many words the program's name and the common options after it are.
fn before_verb(arguments: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(long) = arguments.get(at).and_then(|a| a.as_bytes().strip_prefix(b"--")) {
        let mut parts = long.splitn(2, |&b| b == b'=');
        let name = parts.next().unwrap_or_default();
        let Some(option) = COMMON.iter().find(|o| o.long.as_bytes() == name) else { break };
        let takes_next = option.value.is_some() && parts.next().is_none();
        at += if takes_next { 2 } else { 1 };
    }
    at
}

/// A command line that was understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    options: Vec<(&'static str, Option<OsString>)>,
    /// What is not an option.
    pub operands: Vec<OsString>,
}

impl Given {
    /// Whether an option was given.
    #[must_use]
    pub fn has(&self, long: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == long)
    }

    /// The value of an option; the last one counts.
    #[must_use]
    pub fn value(&self, long: &str) -> Option<&OsStr> {
        self.options.iter().rev().find(|(name, _)| *name == long)?.1.as_deref()
    }

    /// All values of an option, in their order.
    pub(crate) fn values(&self, long: &str) -> impl Iterator<Item = &OsStr> {
        let of_it = self.options.iter().filter(move |(name, _)| *name == long);
        of_it.filter_map(|(_, value)| value.as_deref())
    }

    /// The value of an option, as text.
    pub fn text(&self, long: &str) -> Result<Option<&str>, Failure> {
        let value = self.value(long);
        value
            .map(|v| v.to_str().ok_or_else(|| Failure::Usage(format!("--{long} is not UTF-8"))))
            .transpose()
    }

    /// The value of an option, as a number.
    pub fn number(&self, long: &str) -> Result<Option<u64>, Failure> {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| Failure::Usage(format!("--{long} takes a number, not '{text}'")))
        };
        self.text(long)?.map(number).transpose()
    }
}

impl Verb {
    /// Whether its operands are a command, with options of its own: from the first operand on,
    /// every word belongs to it.
    fn runs_a_command(&self) -> bool {
        self.operands.starts_with("CMD")
    }

    /// Whether all that it does not know itself, options as well, is for another program: from the
    /// first such word on.
    fn passes_on(&self) -> bool {
        self.operands.starts_with("[MAKE")
    }

    fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().chain(self.common)
    }

    /// The fast parser. `None`: clap shall look at it.
    #[must_use]
    pub fn parse(&self, arguments: &[OsString]) -> Option<Given> {
        let mut given = Given::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let bytes = argument.as_bytes();
            if bytes == b"--" {
                given.operands.extend(rest.cloned());
                break;
            }
            if let Some(long) = bytes.strip_prefix(b"--") {
                let (name, inline) = match long.iter().position(|&b| b == b'=') {
                    Some(at) => (&long[..at], Some(OsString::from_vec(long[at + 1..].to_vec()))),
                    None => (long, None),
                };
                let found = self.all_options().find(|o| o.long.as_bytes() == name);
                let Some(option) = found else {
                    if !self.passes_on() {
                        return None;
                    }
                    given.operands.push(argument.clone());
                    given.operands.extend(rest.cloned());
                    break;
                };
                let value = match (option.value, inline) {
                    (None, None) => None,
                    (None, Some(_)) => return None,
                    (Some(_), Some(value)) => Some(value),
                    (Some(_), None) => Some(rest.next()?.clone()),
                };
                given.options.push((option.long, value));
            } else if bytes.len() > 1 && bytes[0] == b'-' && !self.passes_on() {
                let mut cluster = &bytes[1..];
                while let Some((&letter, more)) = cluster.split_first() {
                    let option = self
                        .all_options()
                        .find(|o| o.short as u32 == u32::from(letter) && letter != 0)?;
                    cluster = more;
                    let value = match option.value {
                        None => None,
                        Some(_) if more.is_empty() => Some(rest.next()?.clone()),
                        Some(_) => {
                            cluster = &[];
                            Some(OsString::from_vec(
                                more.strip_prefix(b"=").unwrap_or(more).to_vec(),
                            ))
                        }
                    };
                    given.options.push((option.long, value));
                }
            } else {
                given.operands.push(argument.clone());
                if self.runs_a_command() || self.passes_on() {
                    given.operands.extend(rest.cloned());
                    break;
                }
            }
        }
        let (fewest, most) = self.count;
        (fewest..=most).contains(&given.operands.len()).then_some(given)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// Options by name, flags once, the others with their values in their order: what clap keeps.
    fn comparable(given: &Given) -> (Vec<(&'static str, Option<OsString>)>, Vec<OsString>) {
        let mut options = given.options.clone();
        options.sort_by_key(|(name, _)| *name);
        options.dedup_by(|a, b| a.0 == b.0 && a.1.is_none() && b.1.is_none());
        (options, given.operands.clone())
    }

    /// Words of a command line of `verb`: its options in all spellings, and what looks like some.
    fn words(verb: &'static Verb) -> impl Strategy<Value = Vec<OsString>> {
        let value = || {
            prop_oneof![
                select(vec!["755", "x", "", "-", "--", "-p", "--mode", "a=b", "=", "-1", "\u{e4}"])
                    .prop_map(OsString::from),
                Just(OsString::from_vec(vec![b'a', 0xff])),
            ]
        };
        let mut options: Vec<&'static Opt> = verb.all_options().collect();
        if options.is_empty() {
            options.extend(COMMON);
        }
        let join =
            |parts: &[&OsStr]| parts.iter().map(|p| p.as_bytes()).collect::<Vec<_>>().concat();
        let word = (select(options.clone()), select(options), value(), 0..9).prop_map(
            move |(option, other, value, spelling)| {
                let long = OsString::from(format!("--{}", option.long));
                let letter = |o: &Opt| match o.short {
                    '\0' => "z".to_owned(),
                    short => short.to_string(),
                };
                let short = OsString::from(format!("-{}", letter(option)));
                let joined = |parts: &[&OsStr]| vec![OsString::from_vec(join(parts))];
                match spelling {
                    0 => vec![long],
                    1 => vec![long, value],
                    2 => joined(&[&long, "=".as_ref(), &value]),
                    3 => vec![short],
                    4 => vec![short, value],
                    5 => joined(&[&short, &value]),
                    6 => joined(&[&short, "=".as_ref(), &value]),
                    7 => joined(&[&short, letter(other).as_ref()]),
                    _ => vec![value],
                }
            },
        );
        proptest::collection::vec(word, 0..5).prop_map(|words| words.concat())
    }

    fn lines() -> impl Strategy<Value = (&'static Verb, Vec<OsString>)> {
        select(crate::verbs().to_vec())
            .prop_flat_map(|verb| words(verb).prop_map(move |words| (verb, words)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn both_parsers_understand_the_same((verb, words) in lines()) {
            let fast = verb.parse(&words);
            let line = [vec![OsString::from(verb.name)], words].concat();
            let slow = verb.clap().try_get_matches_from(line).and_then(|m| verb.given(&m));
            if let Some(fast) = fast {
                let slow = slow.map_err(|e| TestCaseError::fail(format!("clap refuses it: {e}")))?;
                prop_assert_eq!(comparable(&fast), comparable(&slow));
            }
        }
    }

    #[test]
    fn the_usual_spellings_need_no_clap() {
        let mkdir = crate::verbs().iter().find(|verb| verb.name == "mkdir").unwrap();
        let parse = |line: &str| {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            mkdir.parse(&words).unwrap_or_else(|| panic!("'{line}' is left to clap"))
        };
        for line in ["-m 755 d", "-m755 d", "--mode=755 d", "--mode 755 d", "d -m755", "-pvm 755 d"]
        {
            let given = parse(line);
            assert_eq!(given.text("mode").unwrap(), Some("755"), "{line}");
            assert_eq!(given.operands, ["d"], "{line}");
        }
        assert_eq!(parse("-p -- -d -p").operands, ["-d", "-p"]);
        assert_eq!(parse("-m 700 -m 755 d").text("mode").unwrap(), Some("755"));
        assert_eq!(parse("-").operands, ["-"]);
    }

    #[test]
    fn from_its_first_word_on_a_command_keeps_its_options() {
        let run = crate::verbs().iter().find(|verb| verb.name == "run").unwrap();
        for (line, command) in [
            ("-o a gcc -o b --strict", &["gcc", "-o", "b", "--strict"][..]),
            ("-o a -- -x -- y", &["-x", "--", "y"]),
            ("make -- --help", &["make", "--", "--help"]),
            ("--strict true --json", &["true", "--json"]),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            let given = run.parse(&words).unwrap_or_else(|| panic!("'{line}' is left to clap"));
            assert_eq!(given.operands, command, "{line}");
            assert!(!given.has("json"), "{line}");
            let line = [vec![OsString::from("run")], words].concat();
            let slow = run.clap().try_get_matches_from(line).map(|m| run.given(&m));
            assert_eq!(comparable(&slow.unwrap().unwrap()), comparable(&given));
        }
    }

    #[test]
    fn common_options_may_come_first() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, moved) in [
            ("o --root r mkdir d", "o mkdir --root r d"),
            ("o --json --root=r --timeout 5 mkdir d", "o mkdir --json --root=r --timeout 5 d"),
            ("o mkdir --root r d", "o mkdir --root r d"),
            ("o --help mkdir", "o --help mkdir"),
            ("o --root", "o --root"),
            ("o --root r", "o --root r"),
        ] {
            assert_eq!(verb_first(words(line)), words(moved), "{line}");
            let lacks_verb = !moved.contains("mkdir");
            assert_eq!(super::lacks_verb(&words(moved)), lacks_verb, "{line}");
        }
        assert!(!lacks_verb(&words("o")));
    }
}
