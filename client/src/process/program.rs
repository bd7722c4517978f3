//! Finding and executing a program as execvp(3) does.

use std::{
    env,
    ffi::{CStr, CString, OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use rustix::io::Errno;

use super::sys::{Strings, execute};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// What runs a script that does not say what runs it.
const SHELL: &CStr = c"/bin/sh";

/// A program with its arguments and environment, all of it made before there is a child that may
/// not allocate.
#[derive(Debug)]
pub(super) struct Program {
    /// Where it may be, in order.
    candidates: Vec<CString>,
    words: Vec<CString>,
    variables: Vec<CString>,
}

impl Program {
    /// `words`: its name and arguments. `program`: where it is, if its name does not say. `set`: variables in addition to this process's own.
    pub(super) fn new(
        words: &[OsString],
        program: Option<&Path>,
        set: &[(&str, OsString)],
    ) -> Result<Self, Errno> {
        let name = program.map(Path::as_os_str).or(words.first().map(OsString::as_os_str));
        let name = name.ok_or(Errno::NOENT)?;
        Ok(Self {
            candidates: candidates(name.as_bytes(), env::var_os("PATH").as_deref())?,
            words: words.iter().map(|word| string(word.as_bytes())).collect::<Result<_, _>>()?,
            variables: environment(set)?,
        })
    }

    /// What [`Ready::become_it`] needs, also in a child.
    pub(super) fn ready(&self) -> Ready<'_> {
        let words = self.words.iter().map(CString::as_c_str);
        Ready {
            candidates: &self.candidates,
            // Its second place is for the script's path.
            script: Strings::new([SHELL, c""].into_iter().chain(words.clone().skip(1))),
            words: Strings::new(words),
            variables: Strings::new(self.variables.iter().map(CString::as_c_str)),
        }
    }
}

/// A program that can be executed without allocating.
pub(super) struct Ready<'a> {
    candidates: &'a [CString],
    words: Strings<'a>,
    script: Strings<'a>,
    variables: Strings<'a>,
}

impl Ready<'_> {
    /// Executes it; returns only if that fails, with what is the matter with the first candidate
    /// that is there.
    pub(super) fn become_it(&mut self) -> Errno {
        let mut denied = false;
        for candidate in self.candidates {
            match execute(candidate, &self.words, &self.variables) {
                Errno::NOENT | Errno::NOTDIR => {}
                // Another directory may have one that can be executed.
                Errno::ACCESS => denied = true,
                Errno::NOEXEC => {
                    self.script.replace(1, candidate);
                    return execute(SHELL, &self.script, &self.variables);
                }
                errno => return errno,
            }
        }
        if denied { Errno::ACCESS } else { Errno::NOENT }
    }
}

/// The paths that `name` may mean.
fn candidates(name: &[u8], path: Option<&OsStr>) -> Result<Vec<CString>, Errno> {
    if name.is_empty() {
        return Err(Errno::NOENT);
    }
    if name.contains(&b'/') {
        return Ok(vec![string(name)?]);
    }
    let path = path.map_or(DEFAULT_PATH, OsStr::as_bytes);
    let in_directory = |directory: &[u8]| match directory {
        b"" => string(name),
        directory => string(&[directory, b"/", name].concat()),
    };
    path.split(|&b| b == b':').map(in_directory).collect()
}

/// This process's environment, with some variables set.
fn environment(set: &[(&str, OsString)]) -> Result<Vec<CString>, Errno> {
    let line =
        |name: &OsStr, value: &OsStr| string(&[name.as_bytes(), value.as_bytes()].join(&b'='));
    let kept = env::vars_os().filter(|(name, _)| !set.iter().any(|(other, _)| name == other));
    let kept = kept.map(|(name, value)| line(&name, &value));
    kept.chain(set.iter().map(|(name, value)| line(name.as_ref(), value))).collect()
}

/// No word of a command line, nor a variable that comes from one, holds a NUL.
fn string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_where_a_shell_would() {
        let found = |name: &str, path: Option<&str>| -> Vec<String> {
            let candidates = candidates(name.as_bytes(), path.map(OsStr::new)).unwrap();
            candidates.into_iter().map(|c| c.into_string().unwrap()).collect()
        };
        assert_eq!(found("cc", Some("/a:b::/c/")), ["/a/cc", "b/cc", "cc", "/c//cc"]);
        assert_eq!(found("./cc", Some("/a")), ["./cc"]);
        assert_eq!(found("cc", None), ["/usr/local/bin/cc", "/bin/cc", "/usr/bin/cc"]);
        assert_eq!(candidates(b"", None), Err(Errno::NOENT));
    }
}
