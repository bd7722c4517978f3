//! Which program a name means: what PATH would find, without this client's own links.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::fs::{Access, FileType, Stat, access, lstat, stat};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// Where Linux systems have their tools.
const USUAL: [&[u8]; 2] = [b"/usr/bin", b"/bin"];

/// A program that PATH leads to.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// The number of its directory in PATH, counted from 0.
    pub(crate) entry: usize,
    /// It is a file of its own where the system has its tools. A link there may lead to another
    /// family's.
    pub(crate) is_usual: bool,
}

/// Tells recipes a PATH on which all tools are the system's own, so that they need not look for them.
pub(crate) const USUAL_PATH: &str = "ONEWRITER_USUAL_PATH";

/// Whether `typed` means the system's own tool.
pub(super) fn is_usual(typed: &[u8]) -> bool {
    match typed.contains(&b'/') {
        true => lstat(typed).is_ok_and(|found| kind(&found) == FileType::RegularFile),
        false => is_usual_path() || real(typed, 0).is_some_and(|program| program.is_usual),
    }
}

fn is_usual_path() -> bool {
    let told = env::var_os(USUAL_PATH);
    told.is_some() && told == env::var_os("PATH")
}

/// PATH, if `tools` are all the system's own there, and what is built below `root` cannot change that.
pub(super) fn usual_path<'t>(
    root: &Path,
    mut tools: impl Iterator<Item = &'t [u8]>,
) -> Option<OsString> {
    let path = env::var_os("PATH")?;
    let is_elsewhere = |directory: &[u8]| {
        let directory = Path::new(OsStr::from_bytes(directory));
        let real = std::fs::canonicalize(directory);
        directory.is_absolute() && !real.as_deref().unwrap_or(directory).starts_with(root)
    };
    let is_fixed = path.as_bytes().split(|&b| b == b':').all(is_elsewhere);
    let is_usual = tools.all(|tool| real(tool, 0).is_some_and(|program| program.is_usual));
    (is_fixed && is_usual).then_some(path)
}

/// The program that PATH finds for a name from its entry number `first` on, which is not this client.
pub(crate) fn real(name: &[u8], first: usize) -> Option<Program> {
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    let directories = path.as_bytes().split(|&b| b == b':').enumerate().skip(first);
    for (entry, directory) in directories {
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name));
        let Ok(here) = lstat(&path) else { continue };
        let is_link = kind(&here) == FileType::Symlink;
        if is_link && is_named_as_we_are(&path) {
            continue;
        }
        let Ok(found) = (if is_link { stat(&path) } else { Ok(here) }) else { continue };
        let is_usual = !is_link && USUAL.contains(&directory);
        // Where the system has its tools, a look is enough.
        let may_run =
            || is_usual && found.st_mode & 0o111 == 0o111 || access(&path, Access::EXEC_OK).is_ok();
        // A shim is one name of many. Were it the only one, a shim that becomes it searches on behind it.
        let is_ours = || (is_link || found.st_nlink > 1) && is_this_program(&found);
        if kind(&found) == FileType::RegularFile && !is_ours() && may_run() {
            return Some(Program { path, entry, is_usual });
        }
    }
    None
}

fn kind(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

/// Whether a link leads to another installation of this client.
fn is_named_as_we_are(link: &Path) -> bool {
    let real = std::fs::canonicalize(link);
    real.is_ok_and(|real| real.file_name() == Some("onewriter".as_ref()))
}

fn is_this_program(found: &Stat) -> bool {
    static THIS: OnceLock<Option<(u64, u64)>> = OnceLock::new();
    let identity = |found: &Stat| (found.st_dev, found.st_ino);
    let this = THIS.get_or_init(|| stat("/proc/self/exe").ok().as_ref().map(identity));
    *this == Some(identity(found))
}
