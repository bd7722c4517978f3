//! How recipes are to be run: options of `onewriter make`, `.onewriter.toml`, and the environment, by
//! which it is handed down to every recipe.

use std::{env, ffi::OsString, path::Path};

use toml::{Table, Value};

use crate::{command::Given, failure::Failure, recipe};

/// The settings of a build root, for everybody who builds in it.
const FILE: &str = ".onewriter.toml";

/// As the environment has them; empty where nothing was said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// Targets whose recipes run as they would without onewriter.
    unwrapped: Vec<String>,
    /// Files that keep their time where they are made again as they were.
    keep: Vec<String>,
    on_conflict: Option<String>,
}

impl Settings {
    /// What the user says now, then what the environment and the file say.
    pub(super) fn of(given: &Given, root: &Path) -> Result<Self, Failure> {
        let mut settings = Self::from_file(&root.join(FILE))?;
        settings.add_environment()?;
        settings.add_options(given)?;
        Ok(settings)
    }

    /// What is added further down, by an `onewriter make` in a recipe.
    pub(super) fn inherited(given: &Given) -> Result<Self, Failure> {
        let mut settings = Self::default();
        settings.add_environment()?;
        settings.add_options(given)?;
        Ok(settings)
    }

    pub(super) fn variables(self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            (recipe::UNWRAPPED, self.unwrapped.join(" ").into()),
            (recipe::KEEP, self.keep.join(" ").into()),
        ];
        variables.extend(self.on_conflict.map(|how| (recipe::ON_CONFLICT, how.into())));
        variables
    }

    fn add_environment(&mut self) -> Result<(), Failure> {
        // Better now than in the middle of a build.
        recipe::on_conflict()?;
        let words = |variable| {
            let text = env::var_os(variable).unwrap_or_default().to_string_lossy().into_owned();
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        self.unwrapped.extend(words(recipe::UNWRAPPED));
        self.keep.extend(words(recipe::KEEP));
        if let Some(how) = words(recipe::ON_CONFLICT).pop() {
            self.on_conflict = Some(how);
        }
        Ok(())
    }

    fn add_options(&mut self, given: &Given) -> Result<(), Failure> {
        let text = |value: &std::ffi::OsStr| {
            pattern(&value.to_string_lossy(), "a pattern").map_err(Failure::Usage)
        };
        for value in given.values("unwrapped") {
            self.unwrapped.push(text(value)?);
        }
        for value in given.values("unchanged") {
            match &*value.to_string_lossy() {
                // Later on the command line, it takes back what was said before.
                "touch" => self.keep.clear(),
                "keep" => self.keep.push("%".into()),
                other => match other.strip_prefix("keep=") {
                    Some(of) => self.keep.push(text(of.as_ref())?),
                    None => {
                        let what = format!("--unchanged is keep or touch, not '{other}'");
                        return Err(Failure::Usage(what));
                    }
                },
            }
        }
        if given.has("on-conflict") {
            super::super::run::on_conflict(given)?;
            self.on_conflict = given.text("on-conflict")?.map(str::to_owned);
        }
        Ok(())
    }

    fn from_file(path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::Usage(format!("'{}': {what}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(fail(error.to_string())),
        };
        Self::parse(&text).map_err(fail)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
        })?;
        let mut settings = Self::default();
        for (key, value) in table {
            match key.as_str() {
                "unwrapped" => settings.unwrapped = patterns(&key, value)?,
                "keep" => settings.keep = patterns(&key, value)?,
                "on-conflict" => match value.as_str() {
                    Some(how @ ("rerun" | "fail" | "last")) => {
                        settings.on_conflict = Some(how.into());
                    }
                    _ => return Err(format!("{key} is \"rerun\", \"fail\" or \"last\"")),
                },
                _ => return Err(format!("it may hold unwrapped, keep and on-conflict, not {key}")),
            }
        }
        Ok(settings)
    }
}

fn patterns(key: &str, value: Value) -> Result<Vec<String>, String> {
    let Value::Array(values) = value else { return Err(format!("{key} is a list of patterns")) };
    let text = |value: Value| match value {
        Value::String(text) => pattern(&text, key),
        _ => Err(format!("{key} is a list of patterns, not of {}", value.type_str())),
    };
    values.into_iter().map(text).collect()
}

/// Patterns are handed down with spaces between them.
fn pattern(text: &str, what: &str) -> Result<String, String> {
    match text.split_whitespace().eq([text]) {
        true => Ok(text.to_owned()),
        false => Err(format!("{what} has no spaces in it and is not empty: '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_the_options_say() {
        let text = "unwrapped = ['docs', 'test-%']\nkeep = ['gen/*.h']\non-conflict = 'fail'\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.unwrapped, ["docs", "test-%"]);
        assert_eq!(settings.keep, ["gen/*.h"]);
        assert_eq!(settings.on_conflict.as_deref(), Some("fail"));
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn what_the_file_may_not_hold_is_refused() {
        for text in [
            "unwraped = ['x']",
            "keep = 'x'",
            "keep = [1]",
            "keep = ['a b']",
            "unwrapped = ['']",
            "on-conflict = 'maybe'",
            "keep = [",
        ] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
    }
}
