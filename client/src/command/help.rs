//! The commands as clap knows them: for help, completions, manual pages, and command lines that the fast
//! parser leaves to it.

use std::ffi::OsString;

use super::{Given, Opt, Verb};

/// Text as paragraphs of one line each, which whoever prints them breaks. Lines that are set in stay.
pub(crate) fn flowing(text: &str) -> String {
    let stands_alone = |line: &str| line.is_empty() || line.starts_with(' ');
    let mut flowing = String::new();
    let mut before = "";
    for (number, line) in text.split('\n').enumerate() {
        match stands_alone(before) || stands_alone(line) {
            _ if number == 0 => {}
            true => flowing.push('\n'),
            false => flowing.push(' '),
        }
        flowing.push_str(line);
        before = line;
    }
    flowing
}

impl Opt {
    fn clap(&self) -> clap::Arg {
        let mut arg = clap::Arg::new(self.long).long(self.long).help(self.help);
        if self.short != '\0' {
            arg = arg.short(self.short);
        }
        match self.value {
            Some(name) => arg
                .value_name(name)
                .action(clap::ArgAction::Append)
                .allow_hyphen_values(true)
                .value_parser(clap::value_parser!(OsString)),
            // As often as one likes.
            None => arg.action(clap::ArgAction::SetTrue).overrides_with(self.long),
        }
    }
}

impl Verb {
    /// The same as clap knows it.
    #[must_use]
    pub fn clap(&self) -> clap::Command {
        let mut command = clap::Command::new(self.name)
            .disable_help_flag(self.passes_on())
            .disable_version_flag(self.passes_on())
            .display_name(format!("onewriter {}", self.name))
            .about(self.about)
            .after_help(flowing(self.details))
            .override_usage(self.usage())
            .args(self.options.iter().map(Opt::clap))
            .args(self.common.iter().map(|option| option.clap().help_heading("Common options")));
        if !self.operands.is_empty() {
            let last = self.operands.split('|').next().and_then(|form| form.split(' ').next_back());
            let name = last.unwrap_or_default().trim_matches(['[', ']', '.']);
            let name = if self.runs_a_command() { "CMD" } else { name };
            let operands = clap::Arg::new("operands")
                .value_name(name)
                // The usage says it better.
                .hide(true)
                // Options may stand between them, so that only all together can be counted.
                .action(clap::ArgAction::Append)
                .num_args(1..)
                .trailing_var_arg(self.runs_a_command() || self.passes_on())
                .allow_hyphen_values(self.passes_on())
                .required(self.count.0 > 0)
                .value_parser(clap::value_parser!(OsString));
            command = command.arg(operands);
        }
        command
    }

    /// A line for each form of the command, without "Usage: ".
    fn usage(&self) -> String {
        let options = if self.all_options().next().is_some() { " [OPTIONS]" } else { "" };
        let form = |operands| format!("onewriter {}{options} {operands}", self.name);
        let forms: Vec<_> =
            self.operands.split('|').map(|o| form(o).trim_end().to_owned()).collect();
        forms.join("\n       ")
    }

    /// What clap understood, in the same words as [`Verb::parse`].
    ///
    /// # Errors
    /// Where there are more operands than the verb takes.
    pub fn given(&self, matches: &clap::ArgMatches) -> Result<Given, clap::Error> {
        let mut given = Given::default();
        for option in self.all_options() {
            if option.value.is_some() {
                let values = matches.get_many::<OsString>(option.long).unwrap_or_default();
                given.options.extend(values.map(|value| (option.long, Some(value.clone()))));
            } else if matches.get_flag(option.long) {
                given.options.push((option.long, None));
            }
        }
        if !self.operands.is_empty() {
            given.operands =
                matches.get_many::<OsString>("operands").unwrap_or_default().cloned().collect();
        }
        match given.operands.get(self.count.1) {
            None => Ok(given),
            Some(extra) => {
                let why = format!("unexpected argument '{}' found", extra.display());
                Err(self.clap().error(clap::error::ErrorKind::TooManyValues, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_paragraph_flow_and_those_that_are_set_in_stay() {
        let text = "One\ntwo.\n\n  three\n  four\nFive\nsix:\n  seven";
        assert_eq!(flowing(text), "One two.\n\n  three\n  four\nFive six:\n  seven");
        assert_eq!(flowing(""), "");
    }
}
