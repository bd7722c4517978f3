//! Which program a name means: what PATH would find, without this client's own links.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, FileType, access, lstat, stat};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// Where Linux systems have their tools.
const USUAL: [&[u8]; 2] = [b"/usr/bin", b"/bin"];

/// Whether `typed` means the system's own tool: a file of its own in the usual place. A link there
/// may lead to another family's tools.
pub(super) fn is_usual(typed: &[u8]) -> bool {
    let found = match typed.contains(&b'/') {
        true => Some(PathBuf::from(OsStr::from_bytes(typed))),
        false => real(typed, 0).map(|(path, _)| path),
    };
    found.is_some_and(|path| is_usual_file(&path))
}

/// Whether a program is a file of its own where the system has its tools.
pub(crate) fn is_usual_file(path: &Path) -> bool {
    let directory = path.parent().map(|parent| parent.as_os_str().as_bytes());
    directory.is_some_and(|directory| USUAL.contains(&directory))
        && lstat(path)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
}

/// The program that PATH finds for a name from its entry number `first` on, which is not this client,
/// and the number of the entry.
pub(crate) fn real(name: &[u8], first: usize) -> Option<(PathBuf, usize)> {
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    let directories = path.as_bytes().split(|&b| b == b':').enumerate().skip(first);
    for (number, directory) in directories {
        let directory = if directory.is_empty() { b"." } else { directory };
        let candidate = Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name));
        if access(&candidate, Access::EXEC_OK).is_ok()
            && is_file(&candidate)
            && !is_ours(&candidate)
        {
            return Some((candidate, number));
        }
    }
    None
}

fn is_file(path: &Path) -> bool {
    stat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
}

/// Whether a program is this client: the same file, or another one of its name behind a link.
fn is_ours(path: &Path) -> bool {
    let Ok(found) = lstat(path) else { return false };
    if FileType::from_raw_mode(found.st_mode) == FileType::Symlink
        && std::fs::canonicalize(path)
            .is_ok_and(|real| real.file_name() == Some("onewriter".as_ref()))
    {
        return true;
    }
    let file = |path: &Path| stat(path).map(|found| (found.st_dev, found.st_ino)).ok();
    file(path) == file(Path::new("/proc/self/exe"))
}
