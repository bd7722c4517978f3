//! Where the client stands: which build root it belongs to, and what its paths are below it.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use onewriter_tree::{Error, Printable, Reason, Tree, path::STATE_DIR};
use rustix::fs::{FileType, stat};

use crate::failure::Failure;

/// The socket's name in the state directory, as the daemon makes it.
const SOCKET: &str = "daemon.sock";

/// A build root as seen from the working directory.
#[derive(Debug)]
pub(crate) struct Place {
    /// A way to the root that is good for opening: relative and short where the root is a parent,
    /// so that neither its length nor a moved parent matters.
    way: PathBuf,
    /// The root's absolute path, without symbolic links.
    root: Vec<u8>,
    /// The working directory relative to the root; `None` if it is not below it.
    below: Option<Vec<u8>>,
    /// It is seen in a transaction, where the state directory is hidden.
    is_view: bool,
}

impl Place {
    /// The root that `given` names, or the nearest parent of the working directory that is one.
    pub(crate) fn find(given: Option<&OsStr>) -> Result<Self, Failure> {
        let here = working_directory()?;
        match given {
            Some(root) => Self::named(Path::new(root), here),
            None => Self::nearest(here),
        }
    }

    /// What a transaction in the build root `root` sees of it.
    pub(crate) fn view_of(root: &OsStr) -> Result<Self, Failure> {
        let place = Self::at(Path::new(root), &working_directory()?)?;
        Ok(Self { is_view: true, ..place })
    }

    fn named(root: &Path, here: Vec<u8>) -> Result<Self, Failure> {
        let place = Self::at(root, &here)?;
        if !is_directory(&place.way.join(STATE_DIR)) {
            return Err(Failure::NoRoot(format!(
                "'{}' is not a build root: it has no {STATE_DIR}",
                root.display()
            )));
        }
        Ok(place)
    }

    fn at(root: &Path, here: &[u8]) -> Result<Self, Failure> {
        let real = std::fs::canonicalize(root).map_err(|e| {
            Failure::NoRoot(format!("the build root '{}' cannot be opened: {e}", root.display()))
        })?;
        let bytes = real.clone().into_os_string().into_vec();
        let below = strip(here, &bytes).map(<[u8]>::to_vec);
        Ok(Self { way: real, root: bytes, below, is_view: false })
    }

    fn nearest(here: Vec<u8>) -> Result<Self, Failure> {
        let levels = here.split(|&b| b == b'/').filter(|name| !name.is_empty()).count();
        let mut way = PathBuf::new();
        for up in 0..=levels {
            if is_directory(&way.join(STATE_DIR)) {
                let end = end_of_parent(&here, up);
                let root = if end == 0 { b"/".to_vec() } else { here[..end].to_vec() };
                let below = here[end..].strip_prefix(b"/").unwrap_or(&here[end..]).to_vec();
                return Ok(Self { way, root, below: Some(below), is_view: false });
            }
            way.push("..");
        }
        let here = Printable(&here).to_string();
        Err(Failure::NoRoot(format!("there is no build root at '{here}' or above")))
    }

    /// All of the filesystem: for work without a daemon where there is no build root.
    pub(crate) fn everything() -> Result<Self, Failure> {
        let here = working_directory()?;
        let below = here.strip_prefix(b"/").unwrap_or(&here).to_vec();
        Ok(Self { way: "/".into(), root: b"/".to_vec(), below: Some(below), is_view: false })
    }

    /// The working directory's absolute path, without symbolic links.
    pub(crate) fn stand(&self) -> Result<PathBuf, Failure> {
        match &self.below {
            Some(below) if below.is_empty() => Ok(self.root().to_owned()),
            Some(below) => Ok(self.root().join(OsStr::from_bytes(below))),
            None => working_directory().map(|here| OsString::from_vec(here).into()),
        }
    }

    /// Whether it is [`Place::everything`]: nobody's build root.
    pub(crate) fn is_everything(&self) -> bool {
        self.root == b"/" && !is_directory(&Path::new("/").join(STATE_DIR))
    }

    /// Refuses to have moved, in a transaction, what lies outside, whatever links lead there: nobody
    /// could give it back.
    pub(crate) fn check_movable(&self, path: &OsStr) -> Result<(), Failure> {
        if !self.is_view {
            return Ok(());
        }
        let above = Path::new(path).parent().filter(|above| !above.as_os_str().is_empty());
        let above = std::fs::canonicalize(above.unwrap_or(Path::new(".")));
        match above {
            Ok(real)
                if self.is_view && strip(real.as_os_str().as_bytes(), &self.root).is_none() =>
            {
                Err(self.outside(path.as_bytes(), ", and what may fail cannot move it: copy it"))
            }
            _ => Ok(()),
        }
    }

    /// The tree, to work on in this process.
    pub(crate) fn open(&self) -> Result<Tree, Error> {
        if self.is_view { Tree::of_directory(self.root()) } else { Tree::open(self.root()) }
    }

    /// Whether the working directory is in the root.
    pub(crate) fn is_within(&self) -> bool {
        self.below.is_some()
    }

    /// The root's absolute path.
    pub(crate) fn root(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.root))
    }

    /// The working directory relative to the root; `None` if it is not below it.
    pub(crate) fn below(&self) -> Option<&[u8]> {
        self.below.as_deref()
    }

    /// The working directory relative to the root, for the journal.
    pub(crate) fn directory(&self) -> String {
        String::from_utf8_lossy(self.below.as_deref().unwrap_or_default()).into_owned()
    }

    /// Where the daemon listens. A socket's path may not be longer than 107 bytes: where it would
    /// be, the handle (to be kept open meanwhile) makes it short.
    pub(crate) fn socket(&self) -> Result<(PathBuf, Option<rustix::fd::OwnedFd>), Failure> {
        use std::os::fd::AsRawFd as _;
        let state = self.way.join(STATE_DIR);
        if state.as_os_str().len() + SOCKET.len() < 107 {
            return Ok((state.join(SOCKET), None));
        }
        let flags =
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let handle = rustix::fs::open(&state, flags, rustix::fs::Mode::empty())
            .map_err(|e| Failure::Unreachable(format!("cannot open '{}': {e}", state.display())))?;
        let short = format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd());
        Ok((short.into(), Some(handle)))
    }

    /// `path` as it was typed, relative to the root, as the wire wants it.
    pub(crate) fn relative(&self, path: &OsStr) -> Result<Vec<u8>, Failure> {
        let typed = path.as_bytes();
        if typed.is_empty() || typed.contains(&0) {
            // For the daemon to refuse, in its words.
            return Ok(typed.to_vec());
        }
        let spelled = match (typed.starts_with(b"/"), &self.below) {
            (true, _) => strip(typed, &self.root).map(<[u8]>::to_vec),
            (false, Some(below)) if below.is_empty() => Some(typed.to_vec()),
            (false, Some(below)) => Some([below, typed].join(&b'/')),
            (false, None) => {
                let here = "; the working directory does, too: give an absolute path";
                return Err(self.outside(typed, here));
            }
        };
        match spelled {
            // "..", or a way to the root that is spelled otherwise: only the filesystem knows.
            Some(path) if has_parent(&path) => self.resolve(typed, &path),
            None => self.resolve(typed, typed),
            Some(path) if path.is_empty() => Ok(b".".to_vec()),
            Some(path) => Ok(path),
        }
    }

    /// Leading `..` leave the working directory, which has no symbolic links. Any other `..`, and
    /// an absolute path, is resolved on the disk up to its last existing directory.
    fn resolve(&self, typed: &[u8], spelled: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut real: Vec<u8> =
            if typed.starts_with(b"/") { b"/".to_vec() } else { self.root.clone() };
        let names: Vec<&[u8]> = match typed.starts_with(b"/") {
            true => split(typed).collect(),
            false => split(spelled).collect(),
        };
        for (at, name) in names.iter().enumerate() {
            if *name == b".." {
                let end = end_of_parent(&real, 1);
                real.truncate(end.max(1));
                continue;
            }
            if real.last() != Some(&b'/') {
                real.push(b'/');
            }
            real.extend_from_slice(name);
            // The last component is meant itself; a link before it is followed.
            if at + 1 < names.len()
                && let Ok(followed) = std::fs::canonicalize(OsStr::from_bytes(&real))
            {
                real = followed.into_os_string().into_vec();
            }
        }
        match strip(&real, &self.root) {
            Some([]) => Ok(b".".to_vec()),
            Some(below) => Ok(below.to_vec()),
            None => Err(self.outside(typed, "")),
        }
    }

    fn outside(&self, typed: &[u8], more: &str) -> Failure {
        let why = format!("lies outside the build root '{}'{more}", Printable(&self.root));
        Error::new(Reason::OutsideRoot, typed, why).into()
    }
}

fn working_directory() -> Result<Vec<u8>, Failure> {
    let here = env::current_dir();
    let here =
        here.map_err(|e| Failure::Io(format!("the working directory cannot be found: {e}")))?;
    Ok(here.into_os_string().into_vec())
}

fn is_directory(path: &Path) -> bool {
    stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".")
}

fn has_parent(path: &[u8]) -> bool {
    path.split(|&b| b == b'/').any(|name| name == b"..")
}

/// How much of an absolute path is left without its last `up` components.
fn end_of_parent(path: &[u8], up: usize) -> usize {
    (0..up).fold(path.len(), |end, _| path[..end].iter().rposition(|&b| b == b'/').unwrap_or(0))
}

/// What of the absolute `path` comes after `root`, without slashes before it.
fn strip<'a>(path: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
    match rest.first() {
        None => Some(rest),
        Some(b'/') => Some(&rest[rest.iter().take_while(|&&b| b == b'/').count()..]),
        Some(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "sets up directories to stand in")]
mod tests {
    use super::*;

    fn place(root: &str, below: Option<&str>) -> Place {
        let below = below.map(|b| b.as_bytes().to_vec());
        Place { way: root.into(), root: root.into(), below, is_view: false }
    }

    fn relative(place: &Place, typed: &str) -> Result<String, &'static str> {
        let found = place.relative(OsStr::new(typed));
        found.map(|p| String::from_utf8(p).unwrap()).map_err(|f| f.reason())
    }

    #[test]
    fn paths_are_taken_from_where_the_client_stands() {
        let at = place("/no/such/root", Some("sub/dir"));
        assert_eq!(relative(&at, "x/y").unwrap(), "sub/dir/x/y");
        assert_eq!(relative(&at, "/no/such/root/a").unwrap(), "a");
        assert_eq!(relative(&at, "/no/such/root").unwrap(), ".");
        assert_eq!(relative(&at, "../x").unwrap(), "sub/x");
        assert_eq!(relative(&at, "../../x").unwrap(), "x");
        assert_eq!(relative(&at, "../..").unwrap(), ".");
        assert_eq!(relative(&at, "../../../x"), Err("OUTSIDE_ROOT"));
        assert_eq!(relative(&at, "/no/such/rootx"), Err("OUTSIDE_ROOT"));
        assert_eq!(relative(&at, "/etc/passwd"), Err("OUTSIDE_ROOT"));
    }

    #[test]
    fn outside_of_the_root_only_absolute_paths_mean_something() {
        let at = place("/no/such/root", None);
        assert_eq!(relative(&at, "x"), Err("OUTSIDE_ROOT"));
        assert_eq!(relative(&at, "/no/such/root/x").unwrap(), "x");
    }

    #[test]
    fn a_parent_of_a_symbolic_link_is_where_the_link_leads() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", root.join("link")).unwrap();
        let at = Place {
            way: root.clone(),
            root: root.into_os_string().into_vec(),
            below: Some(Vec::new()),
            is_view: false,
        };
        assert_eq!(relative(&at, "link/../x").unwrap(), "a/x");
    }

    #[test]
    fn a_root_that_is_spelled_through_a_link_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(real.join("root/sub")).unwrap();
        std::os::unix::fs::symlink("root", real.join("alias")).unwrap();
        let root = real.join("root").into_os_string().into_vec();
        let at = Place { way: PathBuf::new(), root, below: Some(Vec::new()), is_view: false };
        let typed = format!("{}/alias/sub/x", real.display());
        assert_eq!(relative(&at, &typed).unwrap(), "sub/x");
    }
}
