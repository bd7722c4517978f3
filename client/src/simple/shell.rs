//! Which shell would run a line, and whether its surroundings change what a line means.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

/// The shells that agree on what simple lines mean.
const SHELLS: [&str; 3] = ["sh", "dash", "bash"];

/// Whether a command that fails ends the line. `None` for a shell, or flags, that are not known.
pub(super) fn exits_on_failure(shell: &OsStr, flags: &[OsString]) -> Option<bool> {
    let name = Path::new(shell).file_name()?;
    if !SHELLS.iter().any(|known| name == *known) {
        return None;
    }
    match flags {
        [only] if only == "-c" => Some(false),
        [only] if only == "-ec" => Some(true),
        [first, second] if first == "-e" && second == "-c" => Some(true),
        _ => None,
    }
}

/// Variables by which shells and tools behave otherwise than usual.
const UNUSUAL: [&[u8]; 12] = [
    b"POSIXLY_CORRECT",
    b"_POSIX2_VERSION",
    b"CDPATH",
    b"SHELLOPTS",
    b"BASHOPTS",
    b"BASH_ENV",
    b"BASH_COMPAT",
    b"BASH_XTRACEFD",
    b"ENV",
    b"LD_PRELOAD",
    b"LD_AUDIT",
    b"SIMPLE_BACKUP_SUFFIX",
];

/// Whether nothing in the environment changes what shells and tools do.
pub(super) fn is_usual() -> bool {
    env::vars_os().all(|(name, _)| {
        let name = name.as_bytes();
        // A function that bash exports may have a tool's name.
        !UNUSUAL.contains(&name) && !name.starts_with(b"BASH_FUNC_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_shells_are_stood_in_for() {
        let exits = |shell: &str, flags: &str| {
            let flags: Vec<_> = flags.split(' ').map(OsString::from).collect();
            exits_on_failure(OsStr::new(shell), &flags)
        };
        assert_eq!(exits("/bin/sh", "-c"), Some(false));
        assert_eq!(exits("/usr/bin/bash", "-ec"), Some(true));
        assert_eq!(exits("dash", "-e -c"), Some(true));
        for (shell, flags) in
            [("zsh", "-c"), ("/bin/sh", "-xc"), ("/bin/sh", "-c -e"), ("/bin/sh", ""), ("", "-c")]
        {
            assert_eq!(exits(shell, flags), None, "{shell} {flags}");
        }
    }
}
