//! What the GNU tools say, in the C locale.

use std::{env, ffi::OsStr};

use onewriter_tree::Reason;

/// Whether the tools print a name as it is, in single quotes.
pub(super) fn is_plain(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|&b| matches!(b, b' '..=b'~') && b != b'\'' && b != b'\\')
}

/// A name in quotes. One with quotes of its own is quoted as the shell would.
pub(super) fn quoted(word: &[u8]) -> Vec<u8> {
    let quote = if word.contains(&b'\'') { b"\"" } else { b"'" };
    [&quote[..], word, quote].concat()
}

/// Whether the tools speak the language that is spoken here.
pub(super) fn is_c_locale() -> bool {
    let says = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    ["LC_MESSAGES", "LC_CTYPE"].iter().all(|category| {
        let locale = says("LC_ALL").or_else(|| says(category)).or_else(|| says("LANG"));
        locale.is_none_or(|locale| locale == OsStr::new("C") || locale == OsStr::new("POSIX"))
    })
}

/// What strerror(3) says of a failure; `None` if it is none that a tool would meet.
pub(super) fn cause(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Exists => "File exists",
        Reason::NotFound | Reason::Source => "No such file or directory",
        Reason::NotEmpty => "Directory not empty",
        Reason::IsADirectory => "Is a directory",
        Reason::NotADirectory => "Not a directory",
        Reason::Permission => "Permission denied",
        Reason::ReadOnly => "Read-only file system",
        Reason::NoSpace => "No space left on device",
        Reason::SymlinkLoop => "Too many levels of symbolic links",
        Reason::NameTooLong => "File name too long",
        _ => return None,
    })
}
