//! The make that does the work.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Names the make that is to run, instead of the first one on PATH.
pub(crate) const VARIABLE: &str = "ONEWRITER_MAKE";

/// The make that the environment names, or the first on PATH that is not this client.
pub(super) fn real_make() -> Result<PathBuf, Failure> {
    let named = env::var_os(VARIABLE).filter(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| OsString::from("make"));
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let ours = std::fs::metadata("/proc/self/exe").map(|own| (own.dev(), own.ino())).ok();
    let is_make = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok();
        found.is_some_and(|found| {
            let is_ours = ours == Some((found.dev(), found.ino()));
            found.is_file() && found.mode() & 0o111 != 0 && !is_ours
        })
    };
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let found = path.as_bytes().split(|&b| b == b':').map(|directory| {
        let directory = if directory.is_empty() { b"." } else { directory };
        Path::new(OsStr::from_bytes(directory)).join(&name)
    });
    found.into_iter().find(is_make).and_then(|path| std::path::absolute(path).ok()).ok_or_else(
        || Failure::NotExecuted {
            message: format!("there is no '{}' on PATH", name.display()),
            code: 127,
        },
    )
}
