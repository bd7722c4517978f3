//! Reading the configuration file.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{ConfigError, Settings};

/// The settings in `file`.
pub(super) fn read(file: &Path) -> Result<Settings, ConfigError> {
    let unreadable = |source| ConfigError::Read { file: file.to_owned(), source };
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let mut settings = parse(file, &text)?;
    settings.make_absolute(file.parent().unwrap_or(Path::new("/")));
    Ok(settings)
}

fn parse(file: &Path, text: &str) -> Result<Settings, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        let what = in_plain_words(error.message());
        let key = text.lines().nth(line - 1).and_then(|line| Some(line.split_once('=')?.0.trim()));
        let what = match key.filter(|key| !key.is_empty() && !what.contains(key)) {
            Some(key) => format!("`{key}`: {what}"),
            None => what,
        };
        ConfigError::Parse { file: file.to_owned(), line, what }
    })
}

/// What the parser says, without the names of Rust's types.
fn in_plain_words(message: &str) -> String {
    [("expected u64", "expected a whole number"), ("expected usize", "expected a whole number")]
        .into_iter()
        .chain([("expected a sequence", "expected a list, as in [\"...\"]")])
        .fold(message.to_owned(), |message, (ours, theirs)| message.replace(ours, theirs))
}

/// Where relative paths of flags begin.
pub(super) fn here() -> Result<PathBuf, ConfigError> {
    std::env::current_dir().or_else(|error| match error.kind() {
        // Whoever stands in a directory that is gone can still name others from the top.
        io::ErrorKind::NotFound => Ok(PathBuf::from("/")),
        _ => Err(ConfigError::Here(error)),
    })
}
