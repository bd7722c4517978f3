//! Command lines: one table for each verb, from which come a parser that costs nothing at
//! start-up, and clap's for everything that a person reads.
//!
//! The fast one knows the common forms (`-p`, `-m 755`, `-m755`, `--mode=755`, `--`). What it does
//! not understand, and every request for help, goes to clap, which is built from the same table.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

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
    /// As in `SRC DST`; empty for none.
    pub operands: &'static str,
    /// The fewest and the most operands.
    pub count: (usize, usize),
    /// Its own options, besides [`COMMON`].
    pub options: &'static [Opt],
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

/// The options of every verb.
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
        "The daemon's address, as in unix:/path/to/daemon.sock [env: ONEWRITER_SERVER]",
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
    Opt::flag('\0', "json", "Print the result as JSON, for programs"),
];

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
    fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().chain(COMMON)
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
                let option = self.all_options().find(|o| o.long.as_bytes() == name)?;
                let value = match (option.value, inline) {
                    (None, None) => None,
                    (None, Some(_)) => return None,
                    (Some(_), Some(value)) => Some(value),
                    (Some(_), None) => Some(rest.next()?.clone()),
                };
                given.options.push((option.long, value));
            } else if bytes.len() > 1 && bytes[0] == b'-' {
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
            }
        }
        let (fewest, most) = self.count;
        (fewest..=most).contains(&given.operands.len()).then_some(given)
    }

    /// The same as clap knows it.
    #[must_use]
    pub fn clap(&self) -> clap::Command {
        let mut command = clap::Command::new(self.name).about(self.about).after_help(self.details);
        for option in self.all_options() {
            let mut arg = clap::Arg::new(option.long).long(option.long).help(option.help);
            if option.short != '\0' {
                arg = arg.short(option.short);
            }
            arg = match option.value {
                Some(name) => arg
                    .value_name(name)
                    .action(clap::ArgAction::Append)
                    .allow_hyphen_values(true)
                    .value_parser(clap::value_parser!(OsString)),
                None => arg.action(clap::ArgAction::Count),
            };
            command = command.arg(arg);
        }
        if !self.operands.is_empty() {
            let (fewest, most) = self.count;
            let operands = clap::Arg::new("operands")
                .value_name(self.operands)
                .num_args(fewest..=most)
                .required(fewest > 0)
                .value_parser(clap::value_parser!(OsString));
            command = command.arg(operands);
        }
        command
    }

    /// What clap understood, in the same words as [`Verb::parse`].
    #[must_use]
    pub fn given(&self, matches: &clap::ArgMatches) -> Given {
        let mut given = Given::default();
        for option in self.all_options() {
            if option.value.is_some() {
                let values = matches.get_many::<OsString>(option.long).unwrap_or_default();
                given.options.extend(values.map(|value| (option.long, Some(value.clone()))));
            } else {
                given
                    .options
                    .extend((0..matches.get_count(option.long)).map(|_| (option.long, None)));
            }
        }
        if !self.operands.is_empty() {
            given.operands =
                matches.get_many::<OsString>("operands").unwrap_or_default().cloned().collect();
        }
        given
    }
}
